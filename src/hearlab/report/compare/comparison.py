"""Two systems compared on the pairs they share: the difference, what it means, and where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.report.compare.origins import difference
from hearlab.report.compare.sources import Average, ScoreSource
from hearlab.scoring.groups import GROUPINGS
from hearlab.scoring.metadata import Metadata, find_metadata
from hearlab.scoring.statistics import (
    CLUSTERS_NEEDED,
    ClusteredMean,
    PairedDifference,
    holm,
    noise_floor,
    paired_difference,
)
from hearlab.scoring.table import EVERY_LISTENER, Pair, ScoreTable
from hearlab.scoring.tracks import METRICS, MUSIC_LEVEL, Metric, RerunNoise

BREAKDOWNS = (*GROUPINGS, "stem", "song", "pairs")
EXTREMES = 10
SIGNIFICANT = 0.05
IN_TEST = "in the permutation test"
CHALLENGE_DATA, CHALLENGES = "clarity", "the challenges' data, CEC2 and CAD1"
Verdict = Literal["better", "worse", "same", "inconclusive"]
Names = NDArray[np.str_]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        p_adjusted: p for all rows of all tables of the comparison together (Holm).
    """

    name: str
    result: PairedDifference
    p_adjusted: float = 1.0

    @property
    def conclusive(self) -> bool:
        return conclusive(self.result.difference, self.p_adjusted)


@dataclass(frozen=True)
class Breakdown:
    """Rows of one kind: `name` is one of BREAKDOWNS, `cluster` what the intervals of its rows are clustered by."""

    name: str
    title: str
    cluster: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Extreme:
    """A pair with a big difference."""

    pair: Pair
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """All that is known of B - A in one metric.

    Attributes:
        labels: what A and B are.
        overall: of all shared pairs.
        only: pairs that A alone and B alone have.
        noise: of the metric, and `floor`, the mean difference that rescoring alone stays below.
        verdict: 'better' (B is), 'worse', 'same' (equal on every pair), 'inconclusive', with `reasons`.
        winners, losers: pairs that gain and lose most.
        notes: what must be known to trust the numbers.
        left_out: what the tables are made from and which ones cannot be made, one line each.
    """

    metric: Metric
    labels: tuple[str, str]
    overall: PairedDifference
    only: tuple[int, int]
    noise: RerunNoise
    floor: float
    verdict: Verdict
    reasons: tuple[str, ...]
    breakdowns: tuple[Breakdown, ...]
    winners: tuple[Extreme, ...]
    losers: tuple[Extreme, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Averages:
    """What is left where a side is a published average: two means, and no comparison pair by pair."""

    metric: Metric
    labels: tuple[str, str]
    sides: tuple[ClusteredMean | Average, ClusteredMean | Average]
    notes: tuple[str, ...] = ()


def compare(
    first: ScoreSource,
    second: ScoreSource,
    root: Path,
    *,
    metric: str | None = None,
    breakdowns: Collection[str] = BREAKDOWNS,
    noise_sd: float | None = None,
    metadata: Path | None = None,
) -> list[Comparison | Averages]:
    """Compare two sources in every metric that both have, or in one.

    Args:
        first, second: A and B; differences are B - A.
        root: the workspace, with the metadata: SNRs, interferers and audiograms.
        metric: name of one metric, such as 'haspi'.
        breakdowns: those of BREAKDOWNS that are wanted.
        noise_sd: standard deviation of a pair's score between reruns, instead of the known one.
        metadata: folder of scenes.*.json and listeners.json, instead of the workspace's.

    Raises:
        InputError: there is no metric or no pair that both have, or scores cannot be read.
    """
    _check_data_sets(first, second)
    wanted, notes = _shared_metrics(first, second) if metric is None else ([METRICS[metric]], [])
    for source in (first, second):
        if metric is not None and METRICS[metric] not in source.metrics(METRICS[metric].track):
            advice = "; ".join(source.notes) or None
            raise InputError(source.name, f"has no {metric} scores", found=_known(source), advice=advice)
    noise = RerunNoise(noise_sd, "given") if noise_sd is not None else None
    found = [_compare(one, first, second, root, breakdowns, noise or one.noise, metadata) for one in wanted]
    return [replace(found[0], notes=(*first.notes, *second.notes, *notes, *found[0].notes)), *found[1:]]


def _check_data_sets(first: ScoreSource, second: ScoreSource) -> None:
    """Names of a data set stand for other scenes in another one, and an average over them says nothing of these."""
    if any(source.files is None and source.published_on is None for source in (first, second)):
        return
    one, two = (
        f"{source.dataset} ({CHALLENGES})" if source.dataset == CHALLENGE_DATA else source.dataset
        for source in (first, second)
    )
    if None not in (one, two) and one != two:
        raise InputError("compare", f"A and B share no pairs: A was scored on the data set {one}, B on {two}")


def _shared_metrics(first: ScoreSource, second: ScoreSource) -> tuple[list[Metric], list[str]]:
    """The metrics that both have, and what is left out. The table of a track that only one side has is not read."""
    both = [track for track in first.tracks if track in second.tracks]
    one, two = (
        [metric for track in source.tracks for metric in (source.metrics(track) if track in both else [track.headline])]
        for source in (first, second)
    )
    shared = [metric for metric in one if metric in two]
    if not shared:
        each = [f"{source.name}: {_known(source)}" for source in (first, second)]
        raise InputError("compare", "A and B have no metric in common", found="; ".join(each))
    alone = [(side, metric) for side, own in (("A", one), ("B", two)) for metric in own if metric not in shared]
    return shared, [f"{metric.title} is left out: only {side} has its scores" for side, metric in alone]


def _known(source: ScoreSource) -> str:
    return ", ".join(metric.name for track in source.tracks for metric in source.metrics(track))


def conclusive(difference: ClusteredMean, p: float) -> bool:
    """Interval and test agree that the difference is not 0."""
    if difference.low is None or difference.high is None:
        return False
    return p < SIGNIFICANT and not difference.low <= 0 <= difference.high


def _compare(
    metric: Metric,
    first: ScoreSource,
    second: ScoreSource,
    root: Path,
    breakdowns: Collection[str],
    noise: RerunNoise,
    metadata: Path | None,
) -> Comparison | Averages:
    labels = (first.label, second.label)
    one, two = first.table(metric), second.table(metric)
    if one is None or two is None:
        means = (
            one.mean() if one else first.averages[metric.name],
            two.mean() if two else second.averages[metric.name],
        )
        return Averages(metric, labels, means)
    notes = []
    if one.by_song_only or two.by_song_only:
        one, two = one.averaged(), two.averaged()
        notes.append("averages over listeners are compared song by song: one side has nothing else")
    other_scenes, differences = difference(metric.track, first.files, second.files)
    notes += differences
    if other_scenes is None:
        raise InputError("compare", f"A and B share no pairs: {differences[-1]}")
    shared, only, left_out = _shared((one, two), other_scenes)
    notes += left_out
    paired = _Paired(metric, shared, (one, two))
    floor = noise_floor(noise.sd, paired.clusters)
    verdict, reasons = judge(paired.overall, floor, metric.track.cluster)
    rules = [source.rule(metric.track) for source in (first, second)]
    if None not in rules and rules[0] != rules[1]:
        levels = f"A was scored with {MUSIC_LEVEL}: {rules[0]}, B with {rules[1]}: that alone changes scores"
        verdict, reasons = "inconclusive", (levels, *reasons)
    if np.array_equal(paired.first, paired.second):
        verdict, reasons = "same", ("the scores are the same on every shared pair",)
        breakdowns = ()
    known = Metadata({}, {})
    if GROUPINGS.keys() & set(breakdowns):
        names = paired.clusters.tolist(), paired.listeners.tolist()
        known = find_metadata(root, metric.track, *names, files=second.files or first.files, folder=metadata)
    show_pairs = "pairs" in breakdowns
    return Comparison(
        metric=metric,
        labels=labels,
        overall=paired.overall,
        only=only,
        noise=noise,
        floor=floor,
        verdict=verdict,
        reasons=reasons,
        breakdowns=_adjusted([table for table in _breakdowns(paired, known) if table.name in breakdowns]),
        winners=paired.extremes(1) if show_pairs else (),
        losers=paired.extremes(-1) if show_pairs else (),
        notes=tuple(notes),
        left_out=_left_out(known, breakdowns, paired),
    )


def _shared(
    tables: tuple[ScoreTable, ScoreTable], other_scenes: Collection[str]
) -> tuple[list[Pair], tuple[int, int], list[str]]:
    """Pairs that mean the same in both tables, how many each table has alone, and what must be said of that."""
    named = sorted(tables[0].rows.keys() & tables[1].rows.keys())
    if not named:
        examples = [" ".join(next(iter(table.rows))) for table in tables]
        raise InputError("compare", "A and B share no pairs", found=f"{examples[0]} in A, {examples[1]} in B")
    only = (len(tables[0].rows) - len(named), len(tables[1].rows) - len(named))
    notes = []
    if any(only):
        notes.append(f"left out: {only[0]} pairs that only A has, {only[1]} that only B has; what is lost may mislead")
    shared = [pair for pair in named if pair[0] not in other_scenes]
    count = len({scene for scene, _ in named} - {scene for scene, _ in shared})
    if not shared:
        raise InputError("compare", f"A and B share no pairs: the {count} scenes that both name are different scenes")
    if count:
        notes.append(f"left out: {count} scenes of A and B that have the same name and are different scenes")
    return shared, only, notes


def judge(overall: PairedDifference, floor: float, cluster: str) -> tuple[Verdict, tuple[str, ...]]:
    """What may be said of B, and why nothing may be said where it is so."""
    found, test = overall.difference, overall.test
    reasons = []
    if found.clusters < CLUSTERS_NEEDED:
        plural = "" if found.clusters == 1 else "s"
        reasons.append(
            f"{found.clusters} {cluster}{plural} are too few: the smallest possible p is {test.smallest:.2g}, "
            f"at least {CLUSTERS_NEEDED} {cluster}s are needed"
        )
    if found.low is None or found.high is None:
        reasons.append(f"with one {cluster} there is no interval: nothing is known of the next one")
    elif found.low <= 0 <= found.high:
        reasons.append("the interval includes 0")
    if found.clusters >= CLUSTERS_NEEDED and test.p >= SIGNIFICANT:
        reasons.append(f"p = {test.p:.2g} {IN_TEST}")
    if abs(found.mean) < floor:
        reasons.append("the difference is below the metric's own noise floor")
    if reasons:
        return "inconclusive", tuple(reasons)
    return ("better" if found.mean > 0 else "worse"), ()


class _Paired:
    """Scores of both systems on the shared pairs, in the order of their names."""

    def __init__(self, metric: Metric, pairs: Sequence[Pair], tables: tuple[ScoreTable, ScoreTable]) -> None:
        self.metric = metric
        self.pairs = pairs
        self.clusters = np.array([cluster for cluster, _ in pairs])
        self.listeners = np.array([listener for _, listener in pairs])
        rows = [np.array([table.rows[pair] for pair in pairs]) for table in tables]
        self.first, self.second = (table.scores[own] for table, own in zip(tables, rows, strict=True))
        self.stems = {
            stem: (tables[0].stems[stem][rows[0]], tables[1].stems[stem][rows[1]])
            for stem in metric.stems
            if all(stem in table.stems for table in tables)
        }
        self.overall = paired_difference(self.first, self.second, self.clusters)
        self.by_song_only = not np.any(self.listeners != EVERY_LISTENER)

    def rows(self, names: Names, order: Sequence[str], clusters: Names) -> tuple[Row, ...]:
        """A row for each of the names in that order, of those pairs that have it."""
        return tuple(
            Row(name, paired_difference(self.first[own], self.second[own], clusters[own]))
            for name in order
            if np.any(own := names == name)
        )

    def extremes(self, sign: int) -> tuple[Extreme, ...]:
        """Pairs that gain (sign 1) or lose (-1) most; equal ones in the order of their names."""
        gains = np.round(sign * (self.second - self.first), 9)  # further digits are no reason to come first
        best = np.argsort(-gains, kind="stable")[:EXTREMES]
        return tuple(
            Extreme(self.pairs[row], float(self.first[row]), float(self.second[row])) for row in best if gains[row] > 0
        )


def _breakdowns(paired: _Paired, known: Metadata) -> list[Breakdown]:
    cluster = paired.metric.track.cluster
    found = []
    for grouping in GROUPINGS.values():
        entries: dict[str, Any] = (known.scenes, known.listeners)[grouping.part]
        if entries:
            groups = {name: grouping.group(entry) for name, entry in entries.items()}
            names = np.array([groups[pair[grouping.part]] for pair in paired.pairs])
            rows = paired.rows(names, grouping.order, paired.clusters)
            found.append(Breakdown(grouping.name, grouping.title, f"{cluster}s", rows))
    if paired.stems:
        rows = tuple(Row(stem, paired_difference(*scores, paired.clusters)) for stem, scores in paired.stems.items())
        found.append(Breakdown("stem", "stem, mean of both ears", f"{cluster}s", rows))
    if cluster == "song" and not paired.by_song_only:
        songs = list(dict.fromkeys(paired.clusters.tolist()))
        found.append(Breakdown("song", "song", "listeners", paired.rows(paired.clusters, songs, paired.listeners)))
    return found


def _adjusted(breakdowns: Sequence[Breakdown]) -> tuple[Breakdown, ...]:
    """The same rows with p adjusted for their number, all tables together."""
    adjusted = iter(corrected([row.result for table in breakdowns for row in table.rows]))
    return tuple(
        replace(table, rows=tuple(replace(row, p_adjusted=next(adjusted)) for row in table.rows))
        for table in breakdowns
    )


def corrected(results: Sequence[PairedDifference]) -> list[float]:
    """The p of each result, adjusted for the number of those that can be conclusive (Holm).

    Where no cluster differs every flip of signs gives the same sum, so that p is 1 whatever is true: it can be no false
    finding, and does not count (R. E. Tarone, "A modified Bonferroni method for discrete data", Biometrics 46 (1990)).
    """
    adjusted = iter(holm([one.test.p for one in results if counts(one)]).tolist())
    return [next(adjusted) if counts(one) else one.test.p for one in results]


def counts(result: PairedDifference) -> bool:
    """Whether a comparison counts in the correction for several: the systems differ in some cluster."""
    return bool(result.difference.mean or result.difference.standard_error)


def _left_out(known: Metadata, breakdowns: Collection[str], paired: _Paired) -> tuple[str, ...]:
    notes = [] if paired.by_song_only else [line for name, line in known.missing if name in breakdowns]
    if known.sources:
        notes.append(f"groups are from {', '.join(known.sources)}")
    if "stem" in breakdowns and paired.metric.stems and not paired.stems:
        notes.append("no table by stem: the scores of the stems are not on both sides")
    return tuple(notes)
