"""Groups in which units travel to workers: of quick units many, so that the way costs little; a slow one goes alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hearlab.compute.units import Unit, grouped

T = TypeVar("T")

# The way to a worker and back takes the driver about a millisecond on Ray: a group that takes so long makes it 1 %.
GROUP_SECONDS = 0.1
GROUP_AT_MOST = 500
# A worker gives back what it has not begun by then: units that are slower than those before them.
GIVE_BACK_SECONDS = 5 * GROUP_SECONDS
# So many groups are left for each worker when it gets one, so that all end together.
SHARES = 4
LATEST_GROUPS = 8


class Groups:
    """Units that are still to run.

    Neighbours that share work (`Unit.group`) stay together, up to a number; beyond that a group holds as many units as
    take `GROUP_SECONDS`, by the time that the latest ones took.

    Args:
        units: in their order.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._bundles = deque(grouped(units))
        self._alone: deque[Unit] = deque()
        self._latest: deque[tuple[int, float]] = deque(maxlen=LATEST_GROUPS)
        self._left = len(units)

    def __len__(self) -> int:
        return self._left

    @property
    def first(self) -> Unit:
        """The unit that is next."""
        return self._alone[0] if self._alone else self._bundles[0][0]

    @property
    def seconds(self) -> float | None:
        """What one of the latest units took; None if none has run."""
        count = sum(count for count, _ in self._latest)
        return sum(seconds for _, seconds in self._latest) / count if count else None

    def one(self) -> Unit:
        """Take the next unit alone."""
        self._left -= 1
        if self._alone:
            return self._alone.popleft()
        unit = self._bundles[0].pop(0)
        if not self._bundles[0]:
            self._bundles.popleft()
        return unit

    def take(self, workers: int) -> list[Unit]:
        """Take the next group, for one of so many workers."""
        if self._alone:
            return [self.one()]
        group = list(self._bundles.popleft())
        seconds = self.seconds
        if seconds is not None:
            share = self._left / (max(workers, 1) * SHARES)
            count = min(share, GROUP_SECONDS / max(seconds, 1e-9), GROUP_AT_MOST)
            while self._bundles and len(group) + len(self._bundles[0]) <= count and _alike(group, self._bundles[0]):
                group += self._bundles.popleft()
        self._left -= len(group)
        return group

    def took(self, units: int, seconds: float) -> None:
        """Note what units took together."""
        if units:
            self._latest.append((units, seconds))

    def put_back(self, units: Iterable[Unit], *, alone: bool = False) -> None:
        """Take units again, the next ones: those of a worker that died, each `alone`, show which of them ends it."""
        units = list(units)
        self._left += len(units)
        if alone:
            self._alone.extend(units)
        elif units:
            self._bundles.extendleft(reversed(grouped(units)))


def _alike(group: Sequence[Unit], other: Sequence[Unit]) -> bool:
    """Whether they need the same, so that none waits for what another one needs."""
    one, two = group[0], other[0]
    return (one.gpus, one.memory, one.light) == (two.gpus, two.memory, two.light)


def in_turn(units: Sequence[Unit], run: Callable[[Unit], T]) -> Iterator[T]:
    """On a worker, what `run` gives for units of a group, one after the other, as long as there is time."""
    began = time.monotonic()
    for unit in units:
        yield run(unit)
        if time.monotonic() - began > GIVE_BACK_SECONDS:
            return


def same_code(units: Sequence[Unit], codes: Sequence[str]) -> bool:
    """Whether this process finds the code of units that `codes` are the identities of."""
    kinds = {(unit.function, unit.code): (unit, code) for unit, code in zip(units, codes, strict=True)}
    return all(unit.code_identity() == code for unit, code in kinds.values())
