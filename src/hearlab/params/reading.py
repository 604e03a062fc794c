"""Reading params.yaml: every wrong key and value gives one line."""

from __future__ import annotations

import difflib
import json
import os
import typing
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hearlab.errors import ParameterError
from hearlab.files import read_yaml
from hearlab.params.sections import UNKNOWN_NAME, Params, Section
from hearlab.params.values import DEVICE

PARAMS_FILE = "params.yaml"
S = TypeVar("S", bound=Section)


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
    if detail["type"] == UNKNOWN_NAME:
        context = detail["ctx"]
        found = json.dumps(context["found"], ensure_ascii=False)
        return {"problem": "wrong value", "field": context["field"], "found": found, "wanted": context["wanted"]}
    wanted = detail["msg"].removeprefix("Input should be ").replace("Input should have ", "")
    if detail["type"] == "string_pattern_mismatch":
        device = detail["ctx"]["pattern"] == DEVICE
        wanted = "auto, cpu, cuda or cuda:N" if device else "a name of the form package.module:Class"
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
