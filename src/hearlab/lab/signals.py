"""The signals of a scene or song as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from hearlab.arrays import Array
from hearlab.audio import read_audio
from hearlab.datasets.layout import SAMPLE_RATE, STEMS
from hearlab.datasets.song_lists import Song
from hearlab.params import Params
from hearlab.stages import enhance_music
from hearlab.stages.common import files_of_scenes, workspace
from hearlab.stages.enhance_speech import channels_of, read_microphones
from hearlab.stages.score_speech import is_scaled, reference_files, scene_reference


@dataclass(frozen=True, eq=False)
class SceneSignals:
    """What is known of a scene. Arrays are float64, shape (n, 2), left ear first; an RMS of 1 is 100 dB SPL.

    Attributes:
        microphones: 'CH0' (ear drum), 'CH1' (front), 'CH2' (mid), 'CH3' (rear): what a system is given.
        target: the target speech alone, in the room, at the microphone of `render.reference_channel`; where own
            recordings have none, their reference.
        reference: what scores compare with: the target without the room, each ear scaled to the RMS of `target`.
        rate: sample rate in Hz.
    """

    microphones: dict[str, Array]
    target: Array
    reference: Array
    rate: int


@dataclass(frozen=True, eq=False)
class SongSignals:
    """What is known of a song. Arrays are float64, shape (n, 2), left ear first.

    Attributes:
        stems: 'drums', 'bass', 'other' and 'vocals' as they were separated: what a system is given.
        references: the original stems, which scores compare with.
        mixture: the original song.
        rate: sample rate in Hz.
    """

    stems: dict[str, Array]
    references: dict[str, Array]
    mixture: Array
    rate: int


def scene_signals(params: Params, scene: str) -> SceneSignals:
    """Read a scene's files, below the current folder.

    Raises:
        InputError: a file is missing or wrong.
    """
    scenes = workspace(params).rendered(params.evaluate.split)
    names, channel = files_of_scenes(params).get(scene, []), params.render.reference_channel
    files = reference_files(scenes, scene, channel, scaled=is_scaled(scene, channel, names))
    return SceneSignals(
        read_microphones(scenes, scene, channels_of(scene, names)),
        read_audio(files[-1], rate=SAMPLE_RATE, channels=2)[0],
        scene_reference(*files),
        SAMPLE_RATE,
    )


def song_signals(params: Params, song: Song) -> SongSignals:
    """Read a song's files, below the current folder.

    Raises:
        InputError: a file is missing or wrong.
    """
    files = workspace(params)
    originals = {
        name: read_audio(files.cadenza.stem(song.split, song.name, name), rate=SAMPLE_RATE, channels=2)[0]
        for name in (*STEMS, "mixture")
    }
    mixture = originals.pop("mixture")
    return SongSignals(enhance_music.read_stems(files.separated, song.name), originals, mixture, SAMPLE_RATE)
