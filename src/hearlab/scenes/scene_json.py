"""Rooms and scenes as JSON text in the published form: indented by two, floats with four decimals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hearlab.errors import InputError

DECIMALS = 4


def rounded(value: float) -> float:
    """`value` as written in a scene file, so that a scene in memory and the same scene read back are equal.

    An int stays an int: it is written without decimals.
    """
    return value if isinstance(value, int) else round(value, DECIMALS)


def scenes_to_json(scenes: Sequence[Mapping[str, Any]]) -> str:
    """The text of a scenes.*.json: the published bytes for the same scenes (no newline at the end).

    Raises:
        InputError: a value that JSON does not know, such as NaN.
    """
    return _text(scenes, "scenes", "\n")


def rooms_to_json(rooms: Sequence[Mapping[str, Any]]) -> str:
    """The text of a rooms.*.json; see `scenes_to_json`."""
    return _text(rooms, "rooms", "\n")


def _text(value: Any, where: str, newline: str) -> str:
    inner = newline + "  "
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(where, "is not a finite number", found=value)
        return f"{value:.{DECIMALS}f}"
    if isinstance(value, Mapping) and value:
        members = (f"{json.dumps(str(key))}: {_text(entry, f'{where}.{key}', inner)}" for key, entry in value.items())
        return "{" + inner + f",{inner}".join(members) + newline + "}"
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        entries = (_text(entry, f"{where}[{index}]", inner) for index, entry in enumerate(value))
        return "[" + inner + f",{inner}".join(entries) + newline + "]"
    try:
        return json.dumps(value)
    except TypeError:
        raise InputError(where, "cannot be written as JSON", found=type(value).__name__) from None
