"""Several systems, each compared with the first, and p corrected for how many comparisons that makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hearlab.errors import InputError
from hearlab.report.compare.comparison import (
    Averages,
    Comparison,
    Verdict,
    compare,
    conclusive,
    corrected,
    counts,
)
from hearlab.report.compare.origins import changes, parameters
from hearlab.report.compare.sources import Average, ScoreSource
from hearlab.scoring.statistics import ClusteredMean
from hearlab.scoring.tracks import METRICS, Metric


@dataclass(frozen=True)
class Line:
    """One system beside the first.

    Attributes:
        letter: B, C, ... as the comparison's notes call it.
        label: what it is, and `title`, what tables call it.
        changes: parameters in which it differs from the first, one text for each.
        found: the comparison with the first; of a published average there are two means only.
        p_adjusted: p for all comparisons together (Holm); None where there is no test.
        verdict: what may be said of the system after the correction.
    """

    letter: str
    label: str
    found: Comparison | Averages
    p_adjusted: float | None = None
    verdict: Verdict = "inconclusive"
    title: str = ""
    changes: tuple[str, ...] = ()

    @property
    def means(self) -> tuple[ClusteredMean | Average, ClusteredMean | Average]:
        """Of the first and of this system, over the pairs that they share."""
        if isinstance(self.found, Averages):
            return self.found.sides
        return self.found.overall.first, self.found.overall.second


@dataclass(frozen=True)
class Several:
    """All systems in one metric.

    Attributes:
        first: what the others are compared with, and `title`, what tables call it.
        comparisons: how many tests, in all metrics, p is corrected for; equal scores are none.
        left_out: systems that cannot be compared, with the reason; the first metric names them.
    """

    metric: Metric
    first: str
    lines: tuple[Line, ...]
    comparisons: int
    left_out: tuple[str, ...] = ()
    title: str = ""


def letters() -> Iterator[str]:
    """B to Z, then AB, AC, ... (A is the first system)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    yield from alphabet[1:]
    yield from (one + two for one in alphabet for two in alphabet[1:])


def compare_several(
    first: ScoreSource,
    others: Sequence[ScoreSource],
    root: Path,
    *,
    metric: str | None = None,
    noise_sd: float | None = None,
) -> list[Several]:
    """Compare each of some systems with the first, in every metric that both have, or in one.

    A system that cannot be compared is named with the reason, and the others are compared. The correction counts every
    test: all systems, in all metrics.

    Args:
        first: what the others are compared with; differences are other - first.
        root, metric, noise_sd: as `hearlab.report.compare.comparison.compare` takes them.

    Raises:
        InputError: none of them can be compared; the reason of the first one.
    """
    lines: list[Line] = []
    left_out: list[str] = []
    errors: list[InputError] = []
    for letter, other in zip(letters(), others, strict=False):
        try:
            found = compare(first, other, root, metric=metric, breakdowns=(), noise_sd=noise_sd)
        except InputError as error:
            errors.append(error)
            left_out.append(f"{letter}, {other.name}, is left out: {error}")
            continue
        changed = changes(parameters(first.files), parameters(other.files)) if first.files and other.files else ()
        title = other.title or other.label
        lines += [Line(letter, other.label, one, title=title, changes=tuple(changed)) for one in found]
    if not lines:
        raise errors[0]
    lines = list(_corrected(lines))
    count = sum(isinstance(line.found, Comparison) and counts(line.found.overall) for line in lines)
    metrics = [one for one in METRICS.values() if any(line.found.metric is one for line in lines)]
    return [
        Several(
            one,
            first.label,
            tuple(line for line in lines if line.found.metric is one),
            count,
            () if place else (*left_out,),
            first.title or first.label,
        )
        for place, one in enumerate(metrics)
    ]


def _corrected(lines: Sequence[Line]) -> Iterator[Line]:
    adjusted = iter(corrected([line.found.overall for line in lines if isinstance(line.found, Comparison)]))
    for line in lines:
        if isinstance(line.found, Averages):
            yield line
            continue
        p = next(adjusted)
        verdict = line.found.verdict
        if verdict in ("better", "worse") and not conclusive(line.found.overall.difference, p):
            verdict = "inconclusive"
        yield replace(line, p_adjusted=p, verdict=verdict)
