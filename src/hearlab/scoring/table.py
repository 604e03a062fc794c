"""Score tables: the CSV files that the scoring stages write, and those published with the challenges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.files import parse_csv
from hearlab.names import safe_name
from hearlab.scoring.statistics import ClusteredMean, clustered_mean
from hearlab.scoring.tracks import METRICS, Metric, Track

Pair: TypeAlias = tuple[str, str]
"""A scene or song, and a listener."""

EVERY_LISTENER = ""  # stands for the listener in tables of averages by song


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one system by one metric.

    Attributes:
        metric: what was measured.
        rows: pair -> row of the arrays below.
        columns: column of the file -> scores between 0 and 1, shape (n,): the metric's own, and those of stems.
    """

    metric: Metric
    rows: dict[Pair, int]
    columns: dict[str, NDArray[np.float64]]

    @property
    def scores(self) -> NDArray[np.float64]:
        return self.columns[self.metric.column]

    @cached_property
    def stems(self) -> dict[str, NDArray[np.float64]]:
        """Stem -> the mean of both ears, for the stems whose columns are there."""
        ears = {stem: [self.columns.get(name) for name in self.metric.ear_columns(stem)] for stem in self.metric.stems}
        return {
            stem: (left + right) / 2 for stem, (left, right) in ears.items() if left is not None and right is not None
        }

    @cached_property
    def clusters(self) -> NDArray[np.str_]:
        """The scene or song of each row."""
        return np.array([cluster for cluster, _ in self.rows])

    @property
    def by_song_only(self) -> bool:
        """Whether the table holds averages over listeners."""
        return any(listener == EVERY_LISTENER for _, listener in self.rows)

    def mean(self) -> ClusteredMean:
        """The mean over all pairs, with its interval over scenes or songs."""
        return clustered_mean(self.scores, self.clusters, bounds=(0.0, 1.0))

    def averaged(self) -> ScoreTable:
        """Averages over the listeners of each scene or song."""
        names, index = np.unique(self.clusters, return_inverse=True)
        counts = np.bincount(index)
        columns = {name: np.bincount(index, values) / counts for name, values in self.columns.items()}
        return ScoreTable(self.metric, {(str(name), EVERY_LISTENER): row for row, name in enumerate(names)}, columns)


def has_scores(content: bytes) -> bool:
    """Whether a table has more than its headings; that of unprocessed signals that were not scored has not."""
    return content.count(b"\n") > 1


def parse_scores(content: bytes, where: str) -> dict[str, ScoreTable]:
    """Read a table of scores: a table for each metric that its columns name, in the order of the tracks' metrics.

    Args:
        content: of a CSV file with the columns scene, listener, haspi (and further metrics), or song, listener, score
            (and left_bass, ...). Other columns are ignored.
        where: the file, for errors.

    Raises:
        InputError: it is no such table, is empty, names a pair twice, or a score is not a number from 0 to 1.
    """
    rows_of_file = parse_csv(content, where)
    header = [name.strip() for name in next(rows_of_file, (0, []))[1]]
    metrics = _metrics(header, where)
    lines = {}
    for line, row in rows_of_file:
        if len(row) != len(header):
            raise InputError(
                where, "row is incomplete", field=f"line {line}", found=f"{len(row)} cells", wanted=len(header)
            )
        lines[line] = row
    if not lines:
        raise InputError(where, "holds no scores")
    places = {name: header.index(name) for name in (metrics[0].track.cluster, "listener")}
    first: dict[Pair, int] = {}
    for line, row in lines.items():
        scored, listener = (safe_name(row[place], where, f"line {line}, {name}") for name, place in places.items())
        pair = (scored, listener)
        if first.setdefault(pair, line) != line:
            raise InputError(where, f"names a pair twice (line {first[pair]})", field=f"line {line}", found=pair)
    rows = {pair: row for row, pair in enumerate(first)}

    def column(name: str) -> NDArray[np.float64]:
        place = header.index(name)
        return _scores({f"line {line}, {name}": row[place] for line, row in lines.items()}, where)

    columns = {metric: {name: column(name) for name in _columns(metric, header)} for metric in metrics}
    return {metric.name: ScoreTable(metric, rows, own) for metric, own in columns.items()}


def track_tables(content: bytes, where: str, track: Track) -> dict[str, ScoreTable]:
    """The same of a track's file of scores, with a table of its headline metric.

    Raises:
        InputError: as `parse_scores`, or the headline metric is missing.
    """
    tables = parse_scores(content, where)
    if track.headline.name not in tables:
        found = ", ".join(table.metric.title for table in tables.values())
        raise InputError(where, f"holds scores of {found}", wanted=track.headline.title)
    return tables


def _metrics(header: list[str], where: str) -> list[Metric]:
    """The metrics whose columns are there; all of one track."""
    found = [metric for metric in METRICS.values() if set(metric.columns) <= set(header)]
    if not found:
        wanted = " or ".join(", ".join(metric.columns) for metric in METRICS.values())
        text = ", ".join(header)[:80] or "an empty file"
        raise InputError(where, "is not a table of scores", found=text, wanted=f"the columns {wanted}")
    if len(set(header)) < len(header):
        raise InputError(where, "names a column twice", found=", ".join(header))
    return [metric for metric in found if metric.track is found[0].track]


def _columns(metric: Metric, header: list[str]) -> list[str]:
    """The metric's own column, and those of stems."""
    ears = [name for stem in metric.stems for name in metric.ear_columns(stem)]
    return [metric.column, *(name for name in ears if name in header)]


def _scores(cells: dict[str, str], where: str) -> NDArray[np.float64]:
    """The numbers of a column; `cells` are by their places in the file."""
    values = np.empty(len(cells))
    for row, (place, text) in enumerate(cells.items()):
        try:
            values[row] = float(text)
        except ValueError:
            raise InputError(where, "is no number", field=place, found=repr(text)[:80]) from None
        if not 0 <= values[row] <= 1:  # NaN too
            raise InputError(where, "is no score", field=place, found=text, wanted="from 0 to 1")
    return values
