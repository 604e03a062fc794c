"""The one error that bad input raises: a single line that says where, what was found and what was wanted."""

from __future__ import annotations

import os
from typing import Any


class InputError(Exception):
    """Bad input, told in one line.

    Args:
        where: the file (or argument) that is wrong.
        problem: what is wrong, in a few words.
        field: the field, channel or sample inside `where`, if one can be named.
        found: what stands there.
        wanted: what should stand there.
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
        super().__init__(self._line())

    def _line(self) -> str:
        place = f"{self.where}: {self.field}" if self.field else self.where
        details = []
        if self.found is not None:
            details.append(f"found {self.found}")
        if self.wanted is not None:
            details.append(f"wanted {self.wanted}")
        line = f"{place}: {self.problem}"
        if details:
            line += f" ({', '.join(details)})"
        if self.advice:
            line += f"; {self.advice}"
        return " ".join(line.split())

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling between worker processes.
        return (
            _rebuild,
            (type(self), self.where, self.problem, self.field, self.found, self.wanted, self.advice),
        )


class ParameterError(InputError):
    """A wrong value or key in params.yaml or on the command line; the exit code is 2."""

    exit_code = 2


def _rebuild(
    cls: type[InputError],
    where: str,
    problem: str,
    field: str | None,
    found: Any,
    wanted: Any,
    advice: str | None,
) -> InputError:
    return cls(where, problem, field=field, found=found, wanted=wanted, advice=advice)
