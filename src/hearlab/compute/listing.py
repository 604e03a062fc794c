"""Listing a stage's units instead of running them: what `hearlab plan` asks the stages."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.compute.units import Unit


@dataclass(frozen=True)
class Listed:
    """A stage's units, and the file of its versioned index."""

    stage: str
    units: tuple[Unit, ...]
    index: Path


class UnitsListed(BaseException):
    """Ends a stage that was only to list its units; no error, so that nothing catches it as one."""


_taken: contextvars.ContextVar[list[Listed] | None] = contextvars.ContextVar("listed", default=None)


@contextlib.contextmanager
def units_listed_only() -> Iterator[list[Listed]]:
    """Inside the block a stage's units are put into the list that this gives, and the stage ends there."""
    taken: list[Listed] = []
    token = _taken.set(taken)
    try:
        with contextlib.suppress(UnitsListed):
            yield taken
    finally:
        _taken.reset(token)


def list_only(stage: str, units: Sequence[Unit], index: Path) -> None:
    """What `compute.engine.run` calls first: ends the stage inside of `units_listed_only`."""
    taken = _taken.get()
    if taken is not None:
        taken.append(Listed(stage, tuple(units), index))
        raise UnitsListed
