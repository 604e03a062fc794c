"""The one error that bad input raises: a single line that says where, what was found and what was wanted."""

from __future__ import annotations

import functools
import os
from typing import Any


class InputError(Exception):
    """Bad input, described in one line.

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
        self.field = field
        self.found = found
        self.wanted = wanted
        self.advice = advice
        place = f"{self.where}: {field}" if field else self.where
        details = [f"{name} {value}" for name, value in (("found", found), ("wanted", wanted)) if value is not None]
        line = (
            f"{place}: {problem}" + (f" ({', '.join(details)})" if details else "") + (f"; {advice}" if advice else "")
        )
        super().__init__(" ".join(line.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling between worker processes.
        details = {"field": self.field, "found": self.found, "wanted": self.wanted, "advice": self.advice}
        return functools.partial(type(self), self.where, self.problem, **details), ()


class ParameterError(InputError):
    """A wrong value or key in params.yaml or on the command line; the exit code is 2."""

    exit_code = 2
