"""What the sections of params.yaml are made of: kinds of values, and a section whose keys are checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from hearlab.names import name_fault
from hearlab.ranges import SNRS

DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("repeated_name", "Input should be names that differ")
    return names


def _safe(name: str) -> str:
    fault = name_fault(name)
    if fault is not None:
        raise PydanticCustomError("unsafe_name", f"Input should be a name: {fault}")
    return name


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
SplitName = Annotated[str, AfterValidator(_safe)]


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
