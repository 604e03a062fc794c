"""The results that a site shows: scores of the workspace, what is known of scenes and listeners, and comparisons."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.datasets.layout import DATA, Workspace
from hearlab.datasets.scene_lists import scenes_by_name
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.listeners import Listener, load_listeners
from hearlab.params import PARAMS_FILE, Params, flat, load_params
from hearlab.report.compare.comparison import Averages, Comparison, compare
from hearlab.report.compare.sources import ScoreSource, open_source
from hearlab.scoring.metadata import metadata_files
from hearlab.scoring.statistics import ClusteredMean
from hearlab.scoring.table import Pair, ScoreTable
from hearlab.scoring.tracks import ENHANCED, UNPROCESSED, Metric, Track


@dataclass(frozen=True)
class MetricResults:
    """Scores by one metric.

    Attributes:
        metric: what was measured.
        enhanced: scores of the enhanced signals; `unprocessed` those of the microphones, where there are some;
            `other` those of the experiment that is compared with.
        comparison: enhanced against `other`, or against the unprocessed signals.
        against: what `comparison` and `other` compare with, in words; empty if nothing.
    """

    metric: Metric
    enhanced: ScoreTable
    unprocessed: ScoreTable | None = None
    other: ScoreTable | None = None
    comparison: Comparison | None = None
    against: str = ""

    @property
    def prefix(self) -> str:
        """Of names on a page, so that those of further metrics differ from the headline's."""
        return "" if self.metric is self.metric.track.headline else f"{self.metric.name}-"

    @property
    def conditions(self) -> list[tuple[str, str, ScoreTable]]:
        """Label, kind and scores of each condition; the enhanced signals come last."""
        found = [
            (UNPROCESSED, UNPROCESSED, self.unprocessed),
            (self.against, "other", self.other),
            (ENHANCED, ENHANCED, self.enhanced),
        ]
        return [(label, kind, table) for label, kind, table in found if table is not None]

    @property
    def means(self) -> list[tuple[str, float]]:
        """Mean score of each condition, and what the last one gains on the one before."""
        means = [(label, float(table.scores.mean())) for label, _, table in self.conditions]
        return [*means, ("improvement", means[-1][1] - means[-2][1])] if len(means) > 1 else means

    @cached_property
    def interval(self) -> ClusteredMean:
        """The mean score of the enhanced signals with its interval."""
        return self.enhanced.mean()

    @cached_property
    def listeners(self) -> dict[str, list[str]]:
        """Scene or song -> the listeners it was scored for, in the order of the table."""
        found: dict[str, list[str]] = {}
        for unit, listener in self.enhanced.rows:
            found.setdefault(unit, []).append(listener)
        return found

    def score(self, table: ScoreTable | None, pair: Pair) -> float | None:
        """The score of a pair, None where the table has none."""
        if table is None or pair not in table.rows:
            return None
        return float(table.scores[table.rows[pair]])

    def mean(self, table: ScoreTable | None, unit: str) -> float | None:
        """The mean over the listeners of a scene or song, None where the table has none of them."""
        found = [self.score(table, (unit, name)) for name in self.listeners.get(unit, [])]
        known = [score for score in found if score is not None]
        return float(np.mean(known)) if known else None

    def gain(self, unit: str) -> float | None:
        """What a scene or song gains on the mean of its listeners over the experiment compared with, or unprocessed."""
        return difference(self.mean(self.other or self.unprocessed, unit), self.mean(self.enhanced, unit))


@dataclass(frozen=True)
class TrackResults:
    """Scores of one track.

    Attributes:
        track: one of TRACKS.
        metrics: the scores by each metric, the headline first.
        scenes: scene -> its entry in the scene list; empty for music and where the list is missing.
        listeners: id -> listener; empty where their file is missing.
    """

    track: Track
    metrics: list[MetricResults]
    scenes: dict[str, dict[str, Any]]
    listeners: dict[str, Listener]

    @property
    def headline(self) -> MetricResults:
        return self.metrics[0]

    @property
    def units(self) -> dict[str, list[str]]:
        """Scene or song -> the listeners it was scored for."""
        return self.headline.listeners


@dataclass(frozen=True)
class Results:
    """All that a site is made from; `notes` say what is missing."""

    root: Path
    params: Params
    files: Workspace
    tracks: list[TrackResults]
    against: ScoreSource | None
    notes: list[str]


def difference(first: float | None, second: float | None) -> float | None:
    """second - first, None where one of them is not known."""
    return None if first is None or second is None else second - first


def read_results(root: Path, against: str | None = None, *, compared: bool = True) -> Results:
    """Read the results of the workspace at `root`, and those of `against` (a revision, experiment, file or folder).

    Without `compared` no paired differences are computed.

    Raises:
        InputError: there are no scores, or they cannot be read, or there is nothing named `against`.
    """
    params = load_params(root / PARAMS_FILE)
    source = open_source("workspace", root)
    unprocessed = None
    with contextlib.suppress(InputError):
        unprocessed = open_source("workspace", root, condition=UNPROCESSED)
    other = open_source(against, root) if against else None
    notes = [*source.left_out, *(other.left_out if other else ())]
    tracks = [_track(track, root, params, source, unprocessed, other, notes, compared) for track in source.tracks]
    if other and notes and not any(metric.other for track in tracks for metric in track.metrics):
        for metric in (metric for track in source.tracks for metric in track.metrics):
            other.table(metric)  # raises what kept the first one from being compared
    return Results(root, params, Workspace(Path(DATA) / params.dataset), tracks, other, notes)


def _track(
    track: Track,
    root: Path,
    params: Params,
    source: ScoreSource,
    unprocessed: ScoreSource | None,
    other: ScoreSource | None,
    notes: list[str],
    compared: bool,
) -> TrackResults:
    metrics = [
        _metric(metric, table, root, source, unprocessed, other, notes, compared)
        for metric in track.metrics
        if (table := source.table(metric)) is not None
    ]
    scene_list, listeners_file = metadata_files(track, flat(params.model_dump()))
    scenes: dict[str, dict[str, Any]] = {}
    listeners: dict[str, Listener] = {}
    if scene_list is not None:
        with _noted(notes):
            scenes = scenes_by_name(read_json(root / scene_list), scene_list)
    with _noted(notes):
        listeners = load_listeners(root / listeners_file)
    return TrackResults(track, metrics, scenes, listeners)


def _metric(
    metric: Metric,
    enhanced: ScoreTable,
    root: Path,
    source: ScoreSource,
    unprocessed: ScoreSource | None,
    other: ScoreSource | None,
    notes: list[str],
    with_comparison: bool,
) -> MetricResults:
    if enhanced.by_song_only:
        raise InputError(metric.track.tables[ENHANCED], "holds averages by song, not pairs", advice="run dvc repro")
    before = None
    with contextlib.suppress(InputError):
        before = unprocessed.table(metric) if unprocessed else None
    compared = None
    with _noted(notes):  # one track can be compared where the other one's scores are not here
        compared = other.table(metric) if other else None
        if other is not None and compared is None:
            notes.append(f"{other.label} has no {metric.title} scores to compare with")
    if compared is not None and compared.by_song_only:
        compared = None
    first, label = None, ""
    if other is not None and compared is not None:
        first, label = other, other.label
    elif before is not None and other is None:
        first, label = unprocessed, UNPROCESSED
    comparison = _comparison(first, source, root, metric, notes) if first and with_comparison else None
    return MetricResults(metric, enhanced, before, compared, comparison, label)


def _comparison(
    first: ScoreSource, second: ScoreSource, root: Path, metric: Metric, notes: list[str]
) -> Comparison | None:
    with _noted(notes):
        found = compare(first, second, root, metric=metric.name)[0]
        return None if isinstance(found, Averages) else found
    return None


@contextlib.contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """What is missing is noted on the site, which shows what there is."""
    try:
        yield
    except InputError as error:
        notes.append(str(error))
