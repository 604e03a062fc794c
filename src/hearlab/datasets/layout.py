"""The path of every file of a data set: the challenges' published layout, and the folders that the stages fill.

`clarity_data` (hrir/, train/, dev/, metadata/) and `cadenza_data` (task1/) are laid out as published. What the
stages make is beside them, because DVC wants each folder to belong to one stage:

    data/<data set>/inputs/clarity_data/...          prepare
    data/<data set>/scene_lists/{rooms,scenes}.*.json  build_scenes
    data/<data set>/rendered/<split>/<scene>_*.wav    render_scenes (or links to the package's <split>/scenes)
    data/<data set>/rendered/learning/<scene>_*.wav   learning_scenes
    data/<data set>/enhancer/enhancer.pth            train_enhancer
    data/<data set>/enhanced/<scene>_<listener>_HA-output.wav  enhance_speech
    data/<data set>/inputs/cadenza_data/...          prepare_music
    data/<data set>/separator/<stem>.pth             train_separator
    data/<data set>/separated/<song>/<stem>.wav      separate_music
    data/<data set>/enhanced_music/<listener>/<song>/<listener>_<song>_*.flac  enhance_music
    data/<data set>/tracked.json                     track
    data/<data set>/units/<stage>.json                which unit made which bytes, one file for each stage
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = "data"  # the folder of the data sets
INPUTS = "inputs"  # in it, what stages prepare and prepare_music make or link
METRICS_FOLDER = "metrics"  # the folder of the score tables and their averages

# The split of the published data whose rooms, targets and interferers a split of scenes uses.
SOURCE_SPLIT = {"train": "train", "dev": "dev", "demo": "dev", "train_additional": "train"}

SAMPLE_RATE = 44100
MICROPHONES = ("ED", "BTE_fr", "BTE_mid", "BTE_rear")
CHANNELS = tuple(f"CH{k}" for k in range(len(MICROPHONES)))

# The stems of a song, in the order in which the published baseline scores them.
STEMS = ("drums", "bass", "other", "vocals")
SIDES = ("left", "right")
STEM_RATE = 24000  # Hz, of enhanced stems
REMIX_RATE = 32000  # Hz, of the remix


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

    def scenes(self, split: str) -> Path:
        """The packages' rendered scenes of 'train' or 'dev'."""
        return self.root / split / "scenes"

    def target(self, split: str, name: str) -> Path:
        return self.root / SOURCE_SPLIT[split] / "targets" / f"{name}.wav"

    def interferer(self, split: str, kind: str, name: str) -> Path:
        return self.root / SOURCE_SPLIT[split] / "interferers" / kind / name


@dataclass(frozen=True)
class CadenzaData:
    """Paths inside one `cadenza_data` folder: task 1 of the first Cadenza challenge, with MUSDB18-HQ."""

    root: Path

    @property
    def audio(self) -> Path:
        return self.root / "task1" / "audio" / "musdb18hq"

    @property
    def metadata(self) -> Path:
        return self.root / "task1" / "metadata" / "musdb18hq"

    def songs(self, split: str) -> Path:
        """The song list of 'train', 'valid' or 'test'."""
        return self.metadata / f"musdb18.{split}.json"

    @property
    def segments(self) -> Path:
        """The seconds of each test song that are evaluated."""
        return self.metadata / "musdb18.segments.test.json"

    def listeners(self, split: str) -> Path:
        return self.metadata / f"listeners.{split}.json"

    def song(self, split: str, name: str) -> Path:
        """A song's folder; validation songs are among the training ones, as published."""
        return self.audio / ("test" if split == "test" else "train") / name

    def stem(self, split: str, song: str, stem: str) -> Path:
        """A song's WAV file of a stem, or of the 'mixture'."""
        return self.song(split, song) / f"{stem}.wav"


@dataclass(frozen=True)
class Workspace:
    """Paths of one data set inside the repository; `root` is `data/<data set>`."""

    root: Path

    @property
    def clarity(self) -> ClarityData:
        return ClarityData(self.root / INPUTS / "clarity_data")

    @property
    def cadenza(self) -> CadenzaData:
        return CadenzaData(self.root / INPUTS / "cadenza_data")

    def rooms(self, split: str) -> Path:
        return self.root / "scene_lists" / f"rooms.{split}.json"

    def scenes(self, split: str) -> Path:
        return self.root / "scene_lists" / f"scenes.{split}.json"

    def rendered(self, split: str) -> Path:
        return self.root / "rendered" / split

    @property
    def enhancer(self) -> Path:
        return self.root / "enhancer"

    @property
    def enhanced(self) -> Path:
        return self.root / "enhanced"

    @property
    def separator(self) -> Path:
        return self.root / "separator"

    @property
    def separated(self) -> Path:
        return self.root / "separated"

    @property
    def enhanced_music(self) -> Path:
        return self.root / "enhanced_music"

    @property
    def tracked(self) -> Path:
        """Which result was handed to MLflow last."""
        return self.root / "tracked.json"

    def index(self, stage: str) -> Path:
        """The stage's versioned index of finished units."""
        return self.root / "units" / f"{stage}.json"


def scene_file(folder: Path, scene: str, signal: str, channel: int | None = None) -> Path:
    """A rendered file: `signal` is 'target', 'interferer', 'mix', 'target_anechoic' (with a channel) or 'hr'."""
    suffix = "" if channel is None else f"_CH{channel}"
    return folder / f"{scene}_{signal}{suffix}.wav"


def enhanced_file(folder: Path, scene: str, listener: str) -> Path:
    return folder / f"{scene}_{listener}_HA-output.wav"


def music_file(folder: Path, listener: str, song: str, signal: str) -> Path:
    """An enhanced file: `signal` is 'left_bass' and the like, or 'remix'; a stem's factor is in the .txt beside it."""
    return folder / listener / song / f"{listener}_{song}_{signal}.flac"
