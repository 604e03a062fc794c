"""What the challenges' packages hold, as stages prepare and prepare_music link to it.

dvc.yaml names this folder, or `demo` beside it, as what these stages depend on: a change in the demo world is no reason
to link again.
"""

# The folders of a split.
PARTS = ("rooms/ac", "rooms/rpf", "rooms/HOA_IRs", "targets", "interferers", "scenes")
# Those of the data roots clarity_data and cadenza_data that dvc.yaml names as outputs.
SPEECH_FOLDERS = (
    "metadata",
    "hrir",
    *(f"{split}/{part}" for split in ("train", "dev") for part in PARTS),
    "eval/scenes",
)
MUSIC_FOLDERS = ("task1/metadata", "task1/audio")
