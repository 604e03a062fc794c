"""Where every file of a data set lies: the challenges' published layout, and the folders that the stages fill.

`clarity_data` is laid out as published (hrir/, train/, dev/, metadata/). What the stages make stands beside it, because
DVC wants each folder to belong to one stage:

    data/<data set>/clarity_data/...                 prepare
    data/<data set>/scene_lists/{rooms,scenes}.*.json  build_scenes
    data/<data set>/rendered/<split>/<scene>_*.wav    render_scenes
    data/<data set>/enhanced/<scene>_<listener>_HA-output.wav  enhance_speech
    data/<data set>/units/<stage>.json                which unit made which bytes, one file for each stage
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The split of the published data whose rooms, targets and interferers a split of scenes uses.
SOURCE_SPLIT = {"train": "train", "dev": "dev", "demo": "dev", "train_additional": "train"}

SAMPLE_RATE = 44100
MICROPHONES = ("ED", "BTE_fr", "BTE_mid", "BTE_rear")
CHANNELS = tuple(f"CH{k}" for k in range(len(MICROPHONES)))


@dataclass(frozen=True)
class ClarityData:
    """Paths inside one `clarity_data` folder (the `data_root` of `render_scene`)."""

    root: Path

    @property
    def metadata(self) -> Path:
        return self.root / "metadata"

    @property
    def listeners(self) -> Path:
        return self.metadata / "listeners.json"

    @property
    def hrir_metadata(self) -> Path:
        return self.metadata / "hrir_data.json"

    def scenes_listeners(self, split: str) -> Path:
        return self.metadata / f"scenes_listeners.{split}.json"

    def rpf(self, split: str) -> Path:
        return self.root / SOURCE_SPLIT[split] / "rooms" / "rpf"

    def hrir(self, name: str) -> Path:
        return self.root / "hrir" / "HRIRs_MAT" / f"{name}.mat"

    def room_response(self, split: str, room: str, source: str) -> Path:
        """`source` is 't' for the target or 'i1', 'i2', 'i3' for an interferer."""
        return self.root / SOURCE_SPLIT[split] / "rooms" / "HOA_IRs" / f"HOA_{room}_{source}.wav"

    def target(self, split: str, name: str) -> Path:
        return self.root / SOURCE_SPLIT[split] / "targets" / f"{name}.wav"

    def interferer(self, split: str, kind: str, name: str) -> Path:
        return self.root / SOURCE_SPLIT[split] / "interferers" / kind / name


@dataclass(frozen=True)
class Workspace:
    """Paths of one data set inside the repository; `root` is `data/<data set>`."""

    root: Path

    @property
    def clarity(self) -> ClarityData:
        return ClarityData(self.root / "clarity_data")

    def rooms(self, split: str) -> Path:
        return self.root / "scene_lists" / f"rooms.{split}.json"

    def scenes(self, split: str) -> Path:
        return self.root / "scene_lists" / f"scenes.{split}.json"

    def rendered(self, split: str) -> Path:
        return self.root / "rendered" / split

    @property
    def enhanced(self) -> Path:
        return self.root / "enhanced"

    def index(self, stage: str) -> Path:
        """The stage's versioned index of finished units."""
        return self.root / "units" / f"{stage}.json"


def scene_file(folder: Path, scene: str, signal: str, channel: int | None = None) -> Path:
    """A rendered file: `signal` is 'target', 'interferer', 'mix', 'target_anechoic' (with a channel) or 'hr'."""
    suffix = "" if channel is None else f"_CH{channel}"
    return folder / f"{scene}_{signal}{suffix}.wav"


def enhanced_file(folder: Path, scene: str, listener: str) -> Path:
    return folder / f"{scene}_{listener}_HA-output.wav"
