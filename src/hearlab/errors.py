"""The one error that bad input raises: a single line that says where, what was found and what was wanted."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

from hearlab.secrets import hide
from hearlab.text import printable

MOST_LINES = 20  # of faults that are found together
LONGEST = 300  # letters of what was found: a file can hold a name of a megabyte


class InputError(Exception):
    """Bad input, described in one line without secrets, in which nothing can control a terminal.

    Args:
        where: the file (or argument) that is wrong.
        problem: what is wrong, in a few words.
        field: the field, channel or sample inside `where`, if one can be named.
        found: what is there.
        wanted: what should be there.
        advice: what the user can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        where: str | os.PathLike[str],
        problem: str,
        *,
        field: str | None = None,
        found: Any = None,
        wanted: Any = None,
        advice: str | None = None,
    ) -> None:
        self.where = os.fspath(where)
        self.problem = problem
        self.field = field if field is None else _short(field)
        self.found = found if found is None else _short(found)
        self.wanted = wanted
        self.advice = advice
        place = f"{self.where}: {self.field}" if self.field else self.where
        both = ("found", self.found), ("wanted", wanted)
        details = [f"{name} {value}" for name, value in both if value is not None]
        line = (
            f"{place}: {problem}" + (f" ({', '.join(details)})" if details else "") + (f"; {advice}" if advice else "")
        )
        super().__init__(printable(hide(" ".join(line.split()))))

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling between worker processes.
        details = {"field": self.field, "found": self.found, "wanted": self.wanted, "advice": self.advice}
        return functools.partial(type(self), self.where, self.problem, **details), ()


def _short(value: Any) -> str:
    try:
        text = hide(str(value)[: 30 * LONGEST])
    except ValueError:  # Python writes no number of more than 4300 digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


class InputErrors(InputError):
    """Several faults of the same input, found together: `str()` gives one line for each of the first ones.

    Args:
        errors: one or more.
    """

    def __init__(self, errors: Sequence[InputError]) -> None:
        self.errors = tuple(errors)
        first = errors[0]
        super().__init__(
            first.where, first.problem, field=first.field, found=first.found, wanted=first.wanted, advice=first.advice
        )

    def __str__(self) -> str:
        rest = len(self.errors) - MOST_LINES
        return "\n".join([*map(str, self.errors[:MOST_LINES]), *([f"and {rest} more such lines"] if rest > 0 else [])])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors,)


def raise_all(errors: Sequence[InputError]) -> None:
    """Raise what was found, if anything: one fault as it is, several together."""
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)


class ParameterError(InputError):
    """A wrong value or key in params.yaml or on the command line; the exit code is 2."""

    exit_code = 2
