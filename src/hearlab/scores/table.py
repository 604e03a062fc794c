"""Score tables: the CSV files that the scoring stages write, and those published with the challenges."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hearlab.datasets.layout import SIDES, STEMS
from hearlab.errors import InputError

Pair: TypeAlias = tuple[str, str]
"""A scene or song, and a listener."""

EVERY_LISTENER = ""  # stands for the listener in tables of averages by song


@dataclass(frozen=True)
class Metric:
    """A metric and where its scores lie.

    Attributes:
        name: as users type it.
        title: as tables show it.
        cluster: what its pairs share, which is also the name of a column: 'scene' or 'song'.
        column: of the score.
        files: condition -> file in the folder of metrics.
    """

    name: str
    title: str
    cluster: str
    column: str
    files: dict[str, str]

    @property
    def columns(self) -> tuple[str, str, str]:
        return self.cluster, "listener", self.column


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "haspi",
            "better-ear HASPI",
            "scene",
            "haspi",
            {"enhanced": "speech.csv", "unprocessed": "speech_unprocessed.csv"},
        ),
        Metric("haaqi", "HAAQI", "song", "score", {"enhanced": "music.csv"}),
    )
}


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one system.

    Attributes:
        metric: what was measured.
        rows: pair -> row of the arrays below.
        scores: shape (n,), between 0 and 1.
        stems: stem -> shape (n,), the mean of both ears; empty for speech, and for music without its columns.
    """

    metric: Metric
    rows: dict[Pair, int]
    scores: NDArray[np.float64]
    stems: dict[str, NDArray[np.float64]]

    @property
    def by_song_only(self) -> bool:
        """The table holds averages over listeners."""
        return any(listener == EVERY_LISTENER for _, listener in self.rows)

    def averaged(self) -> ScoreTable:
        """Averages over the listeners of each scene or song."""
        names = sorted({name for name, _ in self.rows})
        place = {name: index for index, name in enumerate(names)}
        index = np.array([place[name] for name, _ in self.rows])
        counts = np.bincount(index)
        scores, *stems = (np.bincount(index, values) / counts for values in (self.scores, *self.stems.values()))
        return ScoreTable(
            self.metric,
            {(name, EVERY_LISTENER): row for name, row in place.items()},
            scores,
            dict(zip(self.stems, stems, strict=True)),
        )


def parse_scores(content: bytes, where: str) -> ScoreTable:
    """Read a table of scores; the columns tell the metric, others are passed over.

    Args:
        content: of a CSV file with the columns scene, listener, haspi, or song, listener, score (and left_bass, ...).
        where: the file, for errors.

    Raises:
        InputError: it is no such table, is empty, names a pair twice, or a score is not a number from 0 to 1.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(where, "is not UTF-8 text", found=f"byte {error.start} is invalid") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        metric = _metric(header, where)
        lines, table = [], []
        for row in reader:
            if row:
                lines.append(reader.line_num)
                table.append(row)
    except csv.Error as error:
        raise InputError(where, "is not a CSV file", field=f"line {reader.line_num}", found=str(error)) from None
    if not table:
        raise InputError(where, "holds no scores")
    for line, row in zip(lines, table, strict=True):
        if len(row) != len(header):
            raise InputError(where, "row is incomplete", field=f"line {line}", found=row, wanted=f"{len(header)} cells")
    cluster, listener = header.index(metric.cluster), header.index("listener")
    rows: dict[Pair, int] = {}
    for index, row in enumerate(table):
        pair = (row[cluster], row[listener])
        first = rows.setdefault(pair, index)
        if first != index:
            raise InputError(
                where, f"names a pair twice (line {lines[first]})", field=f"line {lines[index]}", found=pair
            )
    values = {name: _scores(where, lines, table, header.index(name), name) for name in _score_columns(metric, header)}
    stems = {stem: (values[f"left_{stem}"] + values[f"right_{stem}"]) / 2 for stem in _stems(metric, header)}
    return ScoreTable(metric, rows, values[metric.column], stems)


def _metric(header: list[str], where: str) -> Metric:
    for metric in METRICS.values():
        if set(metric.columns) <= set(header):
            if len(set(header)) < len(header):
                raise InputError(where, "names a column twice", found=", ".join(header))
            return metric
    wanted = " or ".join(", ".join(metric.columns) for metric in METRICS.values())
    found = ", ".join(header)[:80] or "an empty file"
    raise InputError(where, "is not a table of scores", found=found, wanted=f"the columns {wanted}")


def _stems(metric: Metric, header: list[str]) -> list[str]:
    if metric.cluster != "song":
        return []
    return [stem for stem in STEMS if all(f"{side}_{stem}" in header for side in SIDES)]


def _score_columns(metric: Metric, header: list[str]) -> list[str]:
    return [metric.column, *(f"{side}_{stem}" for stem in _stems(metric, header) for side in SIDES)]


def _scores(where: str, lines: list[int], table: list[list[str]], column: int, name: str) -> NDArray[np.float64]:
    try:
        values = np.array([float(row[column]) for row in table])
    except ValueError:
        line, text = next(
            (line, row[column]) for line, row in zip(lines, table, strict=True) if not _is_float(row[column])
        )
        raise InputError(where, "is no number", field=f"line {line}, {name}", found=repr(text)) from None
    wrong = ~((values >= 0) & (values <= 1))  # true for NaN too
    if np.any(wrong):
        place = int(np.argmax(wrong))
        raise InputError(
            where, "is no score", field=f"line {lines[place]}, {name}", found=table[place][column], wanted="from 0 to 1"
        )
    return values


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
