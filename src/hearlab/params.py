"""params.yaml as typed, validated values.

The whole file is checked before any work: unknown keys (with the nearest known one), wrong types and values out of
range each give one line. What cannot change a result (workers, addresses) is not in params.yaml.
"""

from __future__ import annotations

import difflib
import json
import os
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from hearlab.errors import ParameterError
from hearlab.files import read_yaml
from hearlab.ranges import SIGNAL_LEVELS, SNRS
from hearlab.separators import SEPARATORS

PARAMS_FILE = "params.yaml"
# Weights of separators: those of the stage train_separator, and the folder of the published ones.
TRAINED = "trained"
PUBLISHED_WEIGHTS = "data/weights"
# Splits whose rendered scenes the packages hold.
PACKAGED_SPLITS = ("train", "dev")
# Stages that check the unpacked packages and put them under DVC; the demo's data they make.
PREPARING = ("prepare", "prepare_music")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("repeated_name", "Input should be names that differ")
    return names


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SceneIndex = Annotated[int, Field(ge=0, le=99999)]
Selection = Literal["SEQUENTIAL", "RANDOM"]
Snr = Annotated[float, Field(ge=SNRS[0], le=SNRS[1])]
Degrees = Annotated[float, Field(ge=-180, le=180)]
Factor = Annotated[float, Field(gt=0, le=100)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
DistinctNames = Annotated[Names, AfterValidator(_distinct)]
S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A section whose keys and values are checked; a `..._range`, and `gains`, must not descend."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Section:
        for name, value in self:
            is_range = (name.endswith("_range") or name == "gains") and isinstance(value, tuple) and len(value) == 2
            if is_range and value[0] > value[1]:
                raise ValueError(f"{name}: the first value must not exceed the second, found {list(value)}")
        return self


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
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    segment: Positive
    overlap: NonNegative
    train: Train


class Evaluate(Section):
    split: Literal["train", "dev"]
    unprocessed: bool
    level: Annotated[float, Field(ge=SIGNAL_LEVELS[0], le=SIGNAL_LEVELS[1])]
    speech_metrics: DistinctNames = ("haspi",)  # of the track, which knows their names
    song_split: Literal["train", "valid", "test"]
    song_listeners: Literal["train", "valid", "test"]
    small_test: bool
    music_level: Literal["challenge", "current"] = "current"  # of older revisions; params.yaml says challenge


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


class DataSets(Section):
    demo: DataSet
    clarity: DataSet


class Params(Section):
    dataset: Literal["demo", "clarity"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    scenes: Scenes
    render: Render
    separate: Separate
    enhance: Enhance
    evaluate: Evaluate
    datasets: DataSets

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

    def scene_source(self, split: str) -> Literal["rendered", "packaged"]:
        """Where the microphone files of a split come from; scenes that no package holds are always rendered."""
        if split not in PACKAGED_SPLITS or self.render.source == "rendered":
            return "rendered"
        return "packaged" if self.render.source == "packaged" or self.dataset == "clarity" else "rendered"

    def scene_count(self, split: str) -> int:
        """How many scenes a split has, by the parameters."""
        if split == "train_additional":
            return self.data.additional.scenes if self.scenes.additional.enabled else 0
        counts: SplitCounts = getattr(self.data.splits, split)
        return counts.scenes

    @property
    def data(self) -> DataSet:
        """The chosen data set's own parameters."""
        chosen: DataSet = getattr(self.datasets, self.dataset)
        return chosen


def automatic_weights(model: str, dataset: str) -> str:
    """What `separate.weights: auto` means."""
    trained = dataset == "demo" and model in SEPARATORS and SEPARATORS[model].trainable
    return TRAINED if trained else PUBLISHED_WEIGHTS


def load_params(path: str | os.PathLike[str] = PARAMS_FILE) -> Params:
    """Read and check params.yaml.

    Raises:
        ParameterError: the file is missing, not YAML, or has wrong keys or values: one line for each.
    """
    advice = "run from the root of the repository"
    return check_params(read_yaml(path, advice=advice, error=ParameterError), Path(path))


def check_params(content: Any, path: Path = Path(PARAMS_FILE)) -> Params:
    """The content of a params.yaml, checked; `path` is for messages. Raises as `load_params`."""
    if not isinstance(content, dict):
        raise ParameterError(path, "must hold keys and values", found=type(content).__name__)
    try:
        return validated(Params, content)
    except ValidationError as error:
        lines = [ParameterError(path, **mistake) for mistake in mistakes(error, Params)]
        raise lines[0] if len(lines) == 1 else ParameterErrors(lines) from None


class ParameterErrors(ParameterError):
    """Several wrong parameters: `str()` gives one line for each."""

    def __init__(self, errors: list[ParameterError]) -> None:
        self.errors = errors
        first = errors[0]
        super().__init__(
            first.where, first.problem, field=first.field, found=first.found, wanted=first.wanted, advice=first.advice
        )

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def validated(section: type[S], content: Any) -> S:
    """A section with its values. JSON mode is strict about types and still takes lists for tuples.

    Raises:
        ValidationError: see `mistakes`.
    """
    return section.model_validate_json(json.dumps(content, default=str), strict=True)


def mistakes(error: ValidationError, section: type[Section]) -> list[dict[str, Any]]:
    """Wrong keys and values as keyword arguments of `InputError`, without `where`."""
    details = error.errors()
    # A misspelt key is unknown and, under its right name, missing: the first line says both.
    misspelt = {_nearest(section, detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
    return [
        _mistake(section, detail) for detail in details if detail["type"] != "missing" or detail["loc"] not in misspelt
    ]


def _nearest(section: type[Section], location: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The known key nearest to an unknown one."""
    near = difflib.get_close_matches(str(location[-1]), _keys(section, location[:-1]), n=1, cutoff=0.5)
    return (*location[:-1], near[0]) if near else None


def _mistake(section: type[Section], detail: Any) -> dict[str, Any]:
    location = detail["loc"]
    field = ".".join(map(str, location))
    if detail["type"] == "extra_forbidden":
        near = _nearest(section, location)
        wanted = f"one of {', '.join(_keys(section, location[:-1]))}"
        advice = f"did you mean {near[-1]}?" if near else None
        return {"problem": "unknown key", "field": field, "wanted": wanted, "advice": advice}
    if detail["type"] == "missing":
        return {"problem": "key is missing", "field": field}
    if detail["type"] == "value_error":
        name, _, problem = str(detail["ctx"]["error"]).partition(": ")
        return {"problem": problem, "field": ".".join(map(str, [*location, name]))}
    wanted = detail["msg"].removeprefix("Input should be ").replace("Input should have ", "")
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name of the form package.module:Class"
    found = json.dumps(detail["input"], default=str)
    found = found if len(found) <= 60 else found[:57] + "..."
    return {"problem": "wrong value", "field": field, "found": found, "wanted": wanted}


def _keys(section: Any, location: tuple[Any, ...]) -> list[str]:
    """Known keys of the section at `location`."""
    for part in location:
        annotation = section.model_fields[part].annotation
        section = next((a for a in (annotation, *typing.get_args(annotation)) if hasattr(a, "model_fields")), None)
        if section is None:
            return []
    return list(section.model_fields)


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with the dotted names by which DVC calls parameters."""
    if not isinstance(value, dict):
        return {prefix: value} if prefix else {}
    values: dict[str, Any] = {}
    for name, inner in value.items():
        values.update(flat(inner, f"{prefix}.{name}" if prefix else str(name)))
    return values
