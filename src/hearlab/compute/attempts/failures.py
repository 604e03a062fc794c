"""Failed units, grouped by their causes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from hearlab.compute.execution import Failure

KEEP_GOING = "HEARLAB_KEEP_GOING"
# So many units at first, all failed for one cause, say that the others would fail, too.
FIRST_UNITS = 20
NAMED = 3  # units of one cause that are named


class UnitsFailed(Exception):
    """Some units of a stage failed; the others are finished and kept.

    Args:
        stage: its name.
        failures: of the units, in their order.
        total: units of the stage.
        not_tried: how many of them were left out, since the first ones all failed for one cause.
    """

    def __init__(self, stage: str, failures: Sequence[Failure], total: int, not_tried: int = 0) -> None:
        self.stage = stage
        self.failures = tuple(failures)
        lines = [f"{stage}: {len(failures)} of {total} units failed"]
        if not_tried:
            lines[0] += f", the first ones for one cause: {not_tried} were not tried ({KEEP_GOING}=1 tries all)"
        super().__init__("\n".join([*lines, *map(_line, grouped_by_cause(failures))]))


def _line(group: Sequence[Failure]) -> str:
    first = group[0]
    if len(group) == 1:
        return f"  {first.id}: {first.cause}"
    names = ", ".join(failure.id for failure in group[:NAMED])
    more = f" and {len(group) - NAMED} more" if len(group) > NAMED else ""
    return f"  {len(group)} units ({names}{more}): {first.cause}"


def grouped_by_cause(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Failures of one cause together, the most frequent cause first."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(_kind(failure), []).append(failure)
    return sorted(groups.values(), key=len, reverse=True)


def _kind(failure: Failure) -> str:
    """A cause without what differs from unit to unit: its own name, that of its scene and listener, and numbers.

    Only whole names count: in own data a scene may be called 'a'.
    """
    first, _, last = failure.id.rpartition(" ")
    names = "|".join(map(re.escape, filter(None, (failure.id, first, last))))
    return re.sub(rf"(?<![^\W_])(?:{names})(?![^\W_])|\d+", "", failure.cause)


def hopeless(failures: Sequence[Failure], finished: int) -> bool:
    """Whether the first units that ran have all failed for one cause, so that the others need not be tried.

    Args:
        failures: so far.
        finished: units that ran so far and did not fail.
    """
    if finished or len(failures) != FIRST_UNITS or os.environ.get(KEEP_GOING) == "1":
        return False
    return len(grouped_by_cause(failures)) == 1
