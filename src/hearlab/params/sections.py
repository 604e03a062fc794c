"""The sections of params.yaml: types and ranges of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from hearlab.learners import LEARNED, TRAINED, named_weights
from hearlab.params.learn import NOTHING_LEARNED, SCENES_OF_A_ROOM, SPLIT, Learn
from hearlab.params.subsets import Draw, chosen_listeners, chosen_names
from hearlab.params.values import (
    DEVICE,
    Count,
    Degrees,
    DistinctNames,
    Factor,
    Name,
    Names,
    NonNegative,
    Positive,
    SceneIndex,
    Section,
    Selection,
    Share,
    Snr,
    SplitName,
)
from hearlab.ranges import SIGNAL_LEVELS
from hearlab.separators import SEPARATORS

# Weights of separators are those of the stage train_separator, or in the folder of the published ones.
PUBLISHED_WEIGHTS = "data/weights"
# Splits whose rendered scenes the packages hold.
PACKAGED_SPLITS = ("train", "dev", "eval")
EVAL = "eval"  # the challenge's evaluation set, whose scenes only its package lists
# The splits in which the recordings of an own data set are: those that params.yaml names from the start.
OWN_SPLITS = {"split": ("dev",), "song_split": ("valid",)}
UNKNOWN_NAME = "unknown_name"  # type of the error for a name that depends on another value
# Stages that check the unpacked packages and put them under DVC; the demo's data they make.
PREPARING = ("prepare", "prepare_music")


def _known_separator(name: str) -> str:
    if name not in SEPARATORS:
        raise PydanticCustomError("literal_error", "Input should be " + " or ".join(map(repr, SEPARATORS)))
    return name


class Interferers(Section):
    """How the interferers of a scene are drawn; times in samples at 44.1 kHz."""

    number: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    start_time_range: tuple[Count, Count]
    end_early_time_range: tuple[Count, Count]


class HeadTurn(Section):
    """The head turn of CEC2; times in samples at 44.1 kHz, angles in degrees."""

    relative_start_time_range: tuple[float, float]
    duration_mean: Positive
    duration_sd: NonNegative
    angle_initial_mean: Degrees
    angle_initial_sd: Annotated[float, Field(gt=0, le=90)]
    angle_final_range: tuple[Degrees, Degrees]


class AdditionalScenes(Section):
    """The additional training scenes; none are built unless `enabled`."""

    enabled: bool
    room_selection: Selection
    target_selection: Selection
    shuffle_rooms: bool


class Scenes(Section):
    target_selection: Selection
    shuffle_rooms: bool
    snr_range: tuple[Snr, Snr]
    interferers: Interferers
    head_turn: HeadTurn
    channels: Names
    additional: AdditionalScenes


class Render(Section):
    """Where the microphone files come from; the other keys: see `hearlab.scenes.RenderOptions`."""

    source: Literal["auto", "rendered", "packaged"]
    ambisonic_order: Annotated[int, Field(ge=1, le=6)]
    reference_channel: Count
    channel_norms: Annotated[tuple[Factor, ...], Field(min_length=1)]
    equalise_loudness: bool
    interferer_response: Literal["sequence", "position"]
    resample_interferers: bool
    short_sources: Literal["pad", "error"]

    @model_validator(mode="after")
    def _reference_exists(self) -> Render:
        if self.reference_channel >= len(self.channel_norms):
            raise ValueError(
                f"reference_channel: must be below the number of channel_norms ({len(self.channel_norms)}), "
                f"found {self.reference_channel}"
            )
        return self


class NalRParams(Section):
    taps: Annotated[int, Field(ge=2, multiple_of=2)]


class CompressorParams(Section):
    threshold: Positive
    attenuation: Share
    attack: Positive
    release: Positive
    rms_buffer_size: Positive
    makeup_gain: Factor


class Enhance(Section):
    system: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    gain: Annotated[float, Field(ge=-100, le=100)]
    nalr: NalRParams
    compressor: CompressorParams
    soft_clip: bool
    music_compressor: bool
    params: dict[str, Any]


class Train(Section):
    """See `hearlab.separation.training.TrainingSettings`, `UnmixShape` and `Mixing`."""

    hidden_size: Annotated[int, Field(ge=2, multiple_of=2)]
    nb_layers: Annotated[int, Field(ge=1)]
    unidirectional: bool
    nfft: Annotated[int, Field(ge=16, multiple_of=2)]
    nhop: Annotated[int, Field(ge=1)]
    bandwidth: Positive
    excerpt: Positive
    mix_songs: Share
    gains: tuple[Annotated[float, Field(ge=0, le=100)], Factor]
    swap_channels: Share
    batch_size: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Share
    validate_every: Annotated[int, Field(ge=1)]
    decay: Annotated[float, Field(gt=0, le=1)]
    decay_patience: Annotated[int, Field(ge=1)]
    stop_patience: Annotated[int, Field(ge=1)]


class Separate(Section):
    """How songs are separated; segment and overlap in seconds."""

    model: Annotated[str, AfterValidator(_known_separator)]
    weights: Name
    device: Annotated[str, Field(pattern=DEVICE)]
    segment: Positive
    overlap: NonNegative
    train: Train


class Evaluate(Section):
    split: SplitName
    unprocessed: bool
    level: Annotated[float, Field(ge=SIGNAL_LEVELS[0], le=SIGNAL_LEVELS[1])]
    speech_metrics: DistinctNames = ("haspi",)  # of the track, which knows their names
    song_split: SplitName
    song_listeners: SplitName
    small_test: bool
    music_level: Literal["challenge", "current"] = "current"  # of older revisions; params.yaml says challenge
    # Subsets, and listeners of one's own; older revisions do not know them. See `hearlab.params.subsets`.
    listeners: Annotated[str | tuple[str, ...] | None, BeforeValidator(chosen_listeners)] = None
    scenes: Annotated[Draw | tuple[str, ...] | None, BeforeValidator(chosen_names)] = None
    songs: Annotated[Draw | tuple[str, ...] | None, BeforeValidator(chosen_names)] = None


class SplitCounts(Section):
    """Rooms and scenes of one split: how many, and the number of the first."""

    rooms: Count
    first_room: SceneIndex
    scenes: Count
    first_scene: SceneIndex
    room_selection: Selection


class AdditionalCounts(Section):
    scenes: Count
    first_scene: SceneIndex


class Splits(Section):
    """In the order in which the published pipeline draws them from its one random stream."""

    train: SplitCounts
    dev: SplitCounts
    demo: SplitCounts
    # Scenes that only a package can list: that of the challenge's evaluation.
    eval: Literal["packaged"] | None = None


class SongCounts(Section):
    """How many songs the demo composes."""

    train: Annotated[int, Field(ge=1)]
    valid: Annotated[int, Field(ge=1)]
    test: Count


class DataSet(Section):
    """What differs between the demo and the real data."""

    seed_offset: Count
    splits: Splits
    additional: AdditionalCounts
    heads: Names
    pre_samples_range: tuple[Count, Count]
    post_samples_range: tuple[Count, Count]
    songs: SongCounts | None = None


class OwnData(Section):
    """A data set of the user's recordings: all else is in its description, which `hearlab data import` writes."""

    source: Literal["own"]


class DataSets(Section):
    """The demo, the challenges' packages, and any number of own data sets by their names."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, OwnData] = Field(init=False)

    demo: DataSet
    clarity: DataSet


_NOTHING = SplitCounts(rooms=0, first_room=1, scenes=0, first_scene=1, room_selection="SEQUENTIAL")
# Own recordings are neither built nor rendered, so there is nothing to count or to draw.
OWN_DATA = DataSet(
    seed_offset=0,
    splits=Splits(train=_NOTHING, dev=_NOTHING, demo=_NOTHING),
    additional=AdditionalCounts(scenes=0, first_scene=1),
    heads=("none",),
    pre_samples_range=(0, 0),
    post_samples_range=(0, 0),
)


class Params(Section):
    dataset: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    scenes: Scenes
    render: Render
    separate: Separate
    enhance: Enhance
    learn: Learn = NOTHING_LEARNED  # older revisions do not know it
    evaluate: Evaluate
    datasets: DataSets

    @property
    def source(self) -> Literal["demo", "packages", "own"]:
        """Where the chosen data set comes from: made here, from the challenges' packages, or the user's recordings."""
        if self.dataset in ("demo", "clarity"):
            return "demo" if self.dataset == "demo" else "packages"
        return "own"

    @property
    def data_seed(self) -> int:
        """Seed of the chosen data set's world and scenes."""
        return self.seed + self.data.seed_offset

    @property
    def separator_weights(self) -> str:
        """Where the separator's weights come from: 'trained' (by train_separator) or a folder or file."""
        if self.separate.weights != "auto":
            return self.separate.weights
        return automatic_weights(self.separate.model, self.dataset)

    @property
    def trains_enhancer(self) -> bool:
        """Whether the hearing aid is trained here: it is one that learns, and no weights of it are named."""
        return self.enhance.system == LEARNED and self.learn.weights == TRAINED

    @property
    def system_params(self) -> dict[str, Any]:
        """What the parameters give the constructor of the system: `enhance.params`, and weights that are named."""
        return named_weights(self.enhance.system, self.learn.weights, self.enhance.params)

    def scene_source(self, split: str) -> Literal["rendered", "packaged"]:
        """Where the microphone files of a split come from; scenes that no package holds are always rendered."""
        if self.source == "own" or split == EVAL:
            return "packaged"
        if split not in PACKAGED_SPLITS or self.render.source == "rendered":
            return "rendered"
        return "packaged" if self.render.source == "packaged" or self.source == "packages" else "rendered"

    def scene_count(self, split: str) -> int:
        """How many scenes a split has, by the parameters; 0 where only a list in the data can tell."""
        if split == "train_additional":
            return self.data.additional.scenes if self.scenes.additional.enabled else 0
        counts = getattr(self.data.splits, split)
        return counts.scenes if isinstance(counts, SplitCounts) else 0

    @model_validator(mode="after")
    def _names_are_known(self) -> Params:
        """The data set, and the splits that it has: a misspelt name should not show after an hour of rendering."""
        own = self.datasets.__pydantic_extra__
        if self.dataset not in (*type(self.datasets).model_fields, *own):
            raise _unknown("dataset", self.dataset, ["demo", "clarity", *own])
        splits = [name for name, counts in self.data.splits if counts is not None and _has_scenes(counts)]
        for name, known in (
            ("split", OWN_SPLITS["split"] if self.source == "own" else splits),
            ("song_split", _song_splits(self.source)),
            ("song_listeners", _song_splits(self.source)),
        ):
            found = getattr(self.evaluate, name)
            if known and found not in known:
                raise _unknown(f"evaluate.{name}", found, known)
        if self.source == "own" and self.render.reference_channel != 1:
            raise _unknown("render.reference_channel", self.render.reference_channel, [1])
        return self

    @model_validator(mode="after")
    def _scenes_to_learn_from(self) -> Params:
        """Where a hearing aid is trained, there are scenes by the parameters, and no other weights are named."""
        own, learn, split = self.enhance.params, self.learn, self.learn.split
        if self.enhance.system == LEARNED and "weights" in own:
            raise _wrong("enhance.params.weights", own["weights"], "learn.weights to name the file")
        if not self.trains_enhancer:
            return self
        if self.source == "own":
            raise _wrong("learn.weights", learn.weights, "a file: own recordings have no scenes to train with")
        if split == SPLIT and self.source != "demo":
            raise _unknown("learn.split", split, ["train", "train_additional"])
        if split == "train_additional" and not self.scenes.additional.enabled:
            raise _wrong("learn.split", split, "scenes.additional.enabled: true, which makes the scenes")
        count = learn.rooms * SCENES_OF_A_ROOM if split == SPLIT else self.scene_count(split)
        if 0 < count <= learn.validation:
            raise _wrong("learn.validation", learn.validation, f"fewer than the {count} scenes of the split {split}")
        return self

    @property
    def data(self) -> DataSet:
        """The chosen data set's own parameters."""
        chosen: DataSet | OwnData = getattr(self.datasets, self.dataset)
        return chosen if isinstance(chosen, DataSet) else OWN_DATA


def _has_scenes(counts: SplitCounts | str) -> bool:
    """Whether a split can have scenes: rooms without scenes are for a scene list from elsewhere."""
    return isinstance(counts, str) or counts.scenes > 0 or counts.rooms > 0


def _song_splits(source: str) -> tuple[str, ...]:
    """The splits of songs; none where the lists of a package tell."""
    return {"demo": ("train", "valid", "test"), "own": OWN_SPLITS["song_split"]}.get(source, ())


def _unknown(field: str, found: Any, known: Sequence[Any]) -> PydanticCustomError:
    return _wrong(field, found, " or ".join(map(repr, known)))


def _wrong(field: str, found: Any, wanted: str) -> PydanticCustomError:
    return PydanticCustomError(UNKNOWN_NAME, "unknown", {"field": field, "found": found, "wanted": wanted})


def automatic_weights(model: str, dataset: str) -> str:
    """What `separate.weights: auto` means."""
    trained = dataset == "demo" and model in SEPARATORS and SEPARATORS[model].trainable
    return TRAINED if trained else PUBLISHED_WEIGHTS
