"""The configuration that scenes are drawn from, with the published keys, checked before anything is drawn."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, field_validator

from hearlab.errors import InputError

WHERE = "scene configuration"

Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict()]
NonNegative = Annotated[float, Strict(), Field(ge=0)]
Positive = Annotated[float, Strict(), Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]
Selection = Literal["SEQUENTIAL", "RANDOM"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _ascends(cls, value: Any, info: Any) -> Any:
        if info.field_name.endswith("_range") and value[0] > value[1]:
            raise ValueError("the first value must not exceed the second")
        return value


class SceneSet(_Section):
    """How many scenes, in which rooms, and the number of the first scene."""

    n_scenes: Count
    room_selection: Selection
    scene_start_index: Count


class TargetConfig(_Section):
    """Where the targets are listed and how they lie in the scene; ranges in samples at 44.1 kHz."""

    target_speakers: Name
    target_selection: Selection
    pre_samples_range: tuple[Count, Count]
    post_samples_range: tuple[Count, Count]


class InterfererConfig(_Section):
    """Where the interferers are listed, the numbers of them to choose from, and ranges in samples at 44.1 kHz."""

    speech_interferers: Name
    noise_interferers: Name
    music_interferers: Name
    number: Annotated[tuple[Annotated[int, Strict(), Field(ge=1)], ...], Field(min_length=1)]
    start_time_range: tuple[Count, Count]
    end_early_time_range: tuple[Count, Count]


class ListenerConfig(_Section):
    """Heads, microphones and the head turn; times in samples at 44.1 kHz, angles in degrees.

    The turn starts `relative_start_time_range` after the target's onset, lasts a normally distributed time, and goes
    from a normally distributed angle beside the target (within two standard deviations) to one near the target.
    """

    heads: Annotated[tuple[Name, ...], Field(min_length=1)]
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    relative_start_time_range: tuple[Number, Number]
    duration_mean: Number
    duration_sd: NonNegative
    angle_initial_mean: Number
    angle_initial_sd: Positive
    angle_final_range: tuple[Number, Number]


class SceneConfig(_Section):
    random_seed: Annotated[int, Strict()]
    dataset: Name
    scene_datasets: SceneSet
    target: TargetConfig
    interferer: InterfererConfig
    snr_range: tuple[Number, Number]
    listener: ListenerConfig
    shuffle_rooms: Annotated[bool, Strict()]


def parse_config(config: Mapping[str, Any]) -> SceneConfig:
    """Check a configuration.

    Raises:
        InputError: the first key that is unknown, missing or has a wrong value.
    """
    try:
        return SceneConfig.model_validate(dict(config))
    except ValidationError as error:
        # An unknown key goes first: under its right spelling it is often the missing one, too.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise _as_line(details[0]) from None


def _as_line(detail: Any) -> InputError:
    location = detail["loc"]
    field = ".".join(map(str, location))
    if detail["type"] == "extra_forbidden":
        known = _keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        return InputError(
            WHERE,
            "unknown key",
            field=field,
            wanted="one of " + ", ".join(known),
            advice=f"did you mean {near[0]}?" if near else None,
        )
    if detail["type"] == "missing":
        return InputError(WHERE, "key is missing", field=field)
    wanted = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return InputError(WHERE, "wrong value", field=field, found=repr(detail["input"])[:80], wanted=wanted)


def _keys(location: tuple[Any, ...]) -> list[str]:
    """Known keys of the section at `location`."""
    section: Any = SceneConfig
    for key in location:
        section = section.model_fields[key].annotation
    return list(section.model_fields)
