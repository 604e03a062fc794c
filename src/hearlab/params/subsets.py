"""Subsets: which listeners, scenes and songs are evaluated, where not all of them are.

listeners: null | [L0001, L0002] | listeners/clinic.csv
scenes, songs: null | [S06001, S06004] | {draw: 5, seed: 0}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic_core import PydanticCustomError

from hearlab.errors import InputError
from hearlab.names import line_fault, name_fault
from hearlab.text import few

LISTENERS_FOLDER = "listeners"  # of files that parameters may name: DVC sees each change in it
SHOWN = 3  # names in a line
SUBSET = "subset"  # in the averages, beside the metrics: what of the data they are of


@dataclass(frozen=True)
class Draw:
    """A number of scenes or songs, drawn by a seed."""

    draw: int
    seed: int = 0

    def of(self, names: Iterable[str]) -> set[str]:
        """The names drawn. Which they are depends on the names alone, and a larger draw holds the smaller ones."""

        def lot(name: str) -> bytes:
            return hashlib.sha256(f"{self.seed} {name}".encode()).digest()

        return set(sorted(names, key=lot)[: self.draw])


def chosen_listeners(value: Any) -> Any:
    """Check `evaluate.listeners`: nothing, names, or a file in the folder of listener files."""
    wanted = f"null, a list of names, or a file in the folder {LISTENERS_FOLDER}"
    if not isinstance(value, str):
        return _names(value, wanted)
    if not _in_listeners_folder(value):
        raise _wrong(wanted)
    return value


def listeners_file(value: Any) -> Any:
    """Check `learn.listeners`: nothing, or a file in the folder of listener files."""
    if value is not None and not (isinstance(value, str) and _in_listeners_folder(value)):
        raise _wrong(f"null, or a file in the folder {LISTENERS_FOLDER}")
    return value


def _in_listeners_folder(value: str) -> bool:
    path = PurePosixPath(value)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts[:1] == (LISTENERS_FOLDER,)
    return inside and len(path.parts) > 1 and line_fault(value) is None


def chosen_names(value: Any) -> Any:
    """Check `evaluate.scenes` or `evaluate.songs`: nothing, names, or how many to draw."""
    wanted = "null, a list of names, or {draw: how many, seed: a number}"
    if isinstance(value, dict):
        numbers = all(isinstance(number, int) and not isinstance(number, bool) for number in value.values())
        if not {"draw"} <= value.keys() <= {"draw", "seed"} or not numbers:
            raise _wrong(wanted)
        if value["draw"] < 1 or value.get("seed", 0) < 0:
            raise _wrong("a draw of 1 or more, and a seed of 0 or more")
        return Draw(**value)
    return value if isinstance(value, Draw) else _names(value, wanted)


def _names(value: Any, wanted: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value or any(name_fault(name) for name in value):
        raise _wrong(wanted)
    if len(set(value)) < len(value):
        raise _wrong("names that differ")
    return tuple(value)


def _wrong(wanted: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_subset", f"Input should be {wanted}")


def selected(names: Sequence[str], choice: Draw | tuple[str, ...] | None, parameter: str) -> set[str]:
    """Those of the names that a parameter chooses.

    Raises:
        InputError: it names one that is not there, or draws more than there are.
    """
    if choice is None:
        return set(names)
    if isinstance(choice, Draw):
        if choice.draw > len(names):
            raise InputError(
                "params.yaml",
                "draws more than there are",
                field=f"{parameter}.draw",
                found=choice.draw,
                wanted=f"at most {len(names)}",
            )
        return choice.of(names)
    unknown = [name for name in choice if name not in set(names)]
    if unknown:
        wanted = few(names, SHOWN)
        raise InputError(
            "params.yaml", "names what is not there", field=parameter, found=few(unknown, SHOWN), wanted=wanted
        )
    return set(choice)


def subset_text(values: Mapping[str, Any], cluster: str) -> str | None:
    """What of its data a result is of, in words; None if it is of all.

    Args:
        values: the parameters of the result with dotted names, of any revision.
        cluster: 'scene' or 'song'.
    """
    parts = []
    name = f"evaluate.{cluster}s"
    if isinstance(chosen := values.get(name), list | tuple):
        parts.append(f"{cluster}s {few(list(chosen), SHOWN)}")
    elif f"{name}.draw" in values:
        count = values[f"{name}.draw"]
        seed = values.get(f"{name}.seed", 0)
        parts.append(f"{count} {cluster}{'' if count == 1 else 's'} drawn (seed {seed})")
    people = values.get("evaluate.listeners")
    if isinstance(people, str):
        parts.append(f"listeners of {people}")
    elif people is not None:
        parts.append(f"listeners {few(list(people), SHOWN)}")
    return ", ".join(parts) or None
