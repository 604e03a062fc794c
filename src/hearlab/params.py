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
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hearlab.errors import ParameterError

PARAMS_FILE = "params.yaml"
# Weights of separators: those of the stage train_separator, and the folder of the published ones.
TRAINED = "trained"
PUBLISHED_WEIGHTS = "data/weights"
# Splits whose rendered scenes the packages hold.
PACKAGED_SPLITS = ("train", "dev")

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
SceneIndex = Annotated[int, Field(ge=0, le=99999)]
Selection = Literal["SEQUENTIAL", "RANDOM"]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ranges_ascend(self) -> _Section:
        for name, value in self:
            is_range = name.endswith("_range") and isinstance(value, tuple) and len(value) == 2
            if is_range and value[0] > value[1]:
                raise ValueError(f"{name}: the first value must not exceed the second, found {list(value)}")
        return self


class Interferers(_Section):
    """How the interferers of a scene are drawn; times in samples at 44.1 kHz."""

    number: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    start_time_range: tuple[Count, Count]
    end_early_time_range: tuple[Count, Count]


class HeadTurn(_Section):
    """The head turn of CEC2; times in samples at 44.1 kHz, angles in degrees."""

    relative_start_time_range: tuple[float, float]
    duration_mean: Positive
    duration_sd: NonNegative
    angle_initial_mean: float
    angle_initial_sd: Positive
    angle_final_range: tuple[float, float]


class AdditionalScenes(_Section):
    """The additional training scenes; none are built unless `enabled`."""

    enabled: bool
    room_selection: Selection
    target_selection: Selection
    shuffle_rooms: bool


class Scenes(_Section):
    target_selection: Selection
    shuffle_rooms: bool
    snr_range: tuple[float, float]
    interferers: Interferers
    head_turn: HeadTurn
    channels: Names
    additional: AdditionalScenes


class Render(_Section):
    """Where the microphone files come from; the other keys: see `hearlab.scenes.RenderOptions`."""

    source: Literal["auto", "rendered", "packaged"]
    ambisonic_order: Annotated[int, Field(ge=1, le=6)]
    reference_channel: Count
    channel_norms: Annotated[tuple[Positive, ...], Field(min_length=1)]
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


class NalRParams(_Section):
    taps: Annotated[int, Field(ge=2, multiple_of=2)]


class CompressorParams(_Section):
    threshold: Positive
    attenuation: Annotated[float, Field(ge=0, le=1)]
    attack: Positive
    release: Positive
    rms_buffer_size: Positive
    makeup_gain: Positive


class Enhance(_Section):
    system: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    gain: Annotated[float, Field(ge=-100, le=100)]
    nalr: NalRParams
    compressor: CompressorParams
    soft_clip: bool
    music_compressor: bool
    params: dict[str, Any]


class Train(_Section):
    """See `hearlab.separation.training.TrainingSettings`, `UnmixShape` and `Mixing`."""

    hidden_size: Annotated[int, Field(ge=2, multiple_of=2)]
    nb_layers: Annotated[int, Field(ge=1)]
    unidirectional: bool
    nfft: Annotated[int, Field(ge=16, multiple_of=2)]
    nhop: Annotated[int, Field(ge=1)]
    bandwidth: Positive
    excerpt: Positive
    mix_songs: Annotated[float, Field(ge=0, le=1)]
    gains: tuple[NonNegative, NonNegative]
    swap_channels: Annotated[float, Field(ge=0, le=1)]
    batch_size: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    learning_rate: Positive
    weight_decay: NonNegative
    validate_every: Annotated[int, Field(ge=1)]
    decay: Annotated[float, Field(gt=0, le=1)]
    decay_patience: Annotated[int, Field(ge=1)]
    stop_patience: Annotated[int, Field(ge=1)]


class Separate(_Section):
    """How songs are separated; segment and overlap in seconds."""

    model: Literal["openunmix", "hdemucs"]
    weights: Annotated[str, Field(min_length=1)]
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    segment: Positive
    overlap: NonNegative
    train: Train


class Evaluate(_Section):
    split: Literal["train", "dev"]
    unprocessed: bool
    level: Annotated[float, Field(ge=0, le=200)]
    song_split: Literal["train", "valid", "test"]
    song_listeners: Literal["train", "valid", "test"]
    small_test: bool


class SplitCounts(_Section):
    """Rooms and scenes of one split: how many, and the number of the first."""

    rooms: Count
    first_room: SceneIndex
    scenes: Count
    first_scene: SceneIndex
    room_selection: Selection


class AdditionalCounts(_Section):
    scenes: Count
    first_scene: SceneIndex


class Splits(_Section):
    """In the order in which the published pipeline draws them from its one random stream."""

    train: SplitCounts
    dev: SplitCounts
    demo: SplitCounts


class SongCounts(_Section):
    """How many songs the demo composes."""

    train: Annotated[int, Field(ge=1)]
    valid: Annotated[int, Field(ge=1)]
    test: Count


class DataSet(_Section):
    """What differs between the demo and the real data."""

    seed_offset: Count
    splits: Splits
    additional: AdditionalCounts
    heads: Names
    pre_samples_range: tuple[Count, Count]
    post_samples_range: tuple[Count, Count]
    songs: SongCounts | None = None


class DataSets(_Section):
    demo: DataSet
    clarity: DataSet


class Params(_Section):
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
        return TRAINED if (self.separate.model, self.dataset) == ("openunmix", "demo") else PUBLISHED_WEIGHTS

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


def load_params(path: str | os.PathLike[str] = PARAMS_FILE) -> Params:
    """Read and check params.yaml.

    Raises:
        ParameterError: the file is missing, not YAML, or has wrong keys or values: one line for each.
    """
    path = Path(path)
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(path, "no such file", advice="run from the root of the repository") from None
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else None
        problem = str(error.problem).removeprefix("found ")
        raise ParameterError(path, f"is not valid YAML: {problem}", field=line) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(path, "is not valid YAML", found=str(error)) from None
    return check_params(content, path)


def check_params(content: Any, path: Path = Path(PARAMS_FILE)) -> Params:
    """What stands in a params.yaml, checked; `path` is for messages. Raises as `load_params`."""
    if not isinstance(content, dict):
        raise ParameterError(path, "must hold keys and values", found=type(content).__name__)
    try:
        # JSON mode is strict about types and still takes lists for tuples.
        return Params.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise _as_lines(path, error) from None


class ParameterErrors(ParameterError):
    """Several wrong parameters: `str()` gives one line for each."""

    def __init__(self, errors: list[ParameterError]) -> None:
        self.errors = errors
        first = errors[0]
        super().__init__(
            first.where,
            first.problem,
            field=first.field,
            found=first.found,
            wanted=first.wanted,
            advice=first.advice,
        )

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def _as_lines(path: Path, error: ValidationError) -> ParameterError:
    details = error.errors()
    # A misspelt key is unknown and, under its right name, missing: the first line says both.
    misspelt = {_meant(detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
    lines = [
        _as_line(path, detail) for detail in details if detail["type"] != "missing" or detail["loc"] not in misspelt
    ]
    return lines[0] if len(lines) == 1 else ParameterErrors(lines)


def _meant(location: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The known key nearest to an unknown one."""
    near = difflib.get_close_matches(str(location[-1]), list(_fields_at(location[:-1])), n=1, cutoff=0.5)
    return (*location[:-1], near[0]) if near else None


def _as_line(path: Path, detail: Any) -> ParameterError:
    location = detail["loc"]
    field = ".".join(str(part) for part in location)
    found = json.dumps(detail["input"], default=str)
    found = found if len(found) <= 60 else found[:57] + "..."
    if detail["type"] == "extra_forbidden":
        meant = _meant(location)
        return ParameterError(
            path,
            "unknown key",
            field=field,
            wanted=f"one of {', '.join(_fields_at(location[:-1]))}",
            advice=f"did you mean {meant[-1]}?" if meant else None,
        )
    if detail["type"] == "missing":
        return ParameterError(path, "key is missing", field=field)
    if detail["type"] == "value_error":
        name, _, problem = str(detail["ctx"]["error"]).partition(": ")
        return ParameterError(path, problem, field=".".join([*(str(part) for part in location), name]))
    wanted = detail["msg"].removeprefix("Input should be ").replace("Input should have ", "")
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name of the form package.module:Class"
    return ParameterError(path, "wrong value", field=field, found=found, wanted=wanted)


def _fields_at(location: tuple[Any, ...]) -> dict[str, Any]:
    """Known keys of the section at `location`."""
    model: Any = Params
    for part in location:
        annotation = model.model_fields[part].annotation
        model = next((a for a in (annotation, *typing.get_args(annotation)) if hasattr(a, "model_fields")), None)
        if model is None:
            return {}
    fields: dict[str, Any] = model.model_fields
    return fields


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with the dotted names by which DVC calls parameters."""
    if not isinstance(value, dict):
        return {prefix: value} if prefix else {}
    values: dict[str, Any] = {}
    for name, inner in value.items():
        values.update(flat(inner, f"{prefix}.{name}" if prefix else str(name)))
    return values
