"""The results that a site shows: scores of the workspace, what is known of scenes and listeners, and a comparison."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.datasets.layout import Workspace
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.listeners import Listener, load_listeners
from hearlab.params import Params, load_params
from hearlab.report.compare.comparison import Averages, Comparison, compare
from hearlab.report.compare.origins import DATA
from hearlab.report.compare.sources import Source, open_source
from hearlab.scores.table import EVERY_LISTENER, METRICS, Pair, ScoreTable


@dataclass(frozen=True)
class Track:
    """Scores of one track.

    Attributes:
        name: 'speech' or 'music'.
        enhanced: scores of the enhanced signals; `unprocessed` those of the microphones, where there are some;
            `other` those of the experiment that is compared with.
        scenes: scene -> its entry in the scene list; empty for music and where the list is missing.
        listeners: id -> listener; empty where their file is missing.
        comparison: enhanced against `other`, or against the unprocessed signals.
        against: what `comparison` and `other` compare with, in words; empty if nothing.
    """

    name: str
    enhanced: ScoreTable
    unprocessed: ScoreTable | None = None
    other: ScoreTable | None = None
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    comparison: Comparison | None = None
    against: str = ""

    @cached_property
    def units(self) -> dict[str, list[str]]:
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
        found = [score for name in self.units[unit] if (score := self.score(table, (unit, name))) is not None]
        return float(np.mean(found)) if found else None

    def gain(self, unit: str) -> float | None:
        """What a scene or song gains on the mean of its listeners over the experiment compared with, or unprocessed."""
        first, second = self.mean(self.other or self.unprocessed, unit), self.mean(self.enhanced, unit)
        return None if first is None or second is None else second - first


@dataclass(frozen=True)
class Results:
    """All that a site is made from; `notes` say what is missing."""

    root: Path
    params: Params
    files: Workspace
    speech: Track | None
    music: Track | None
    against: Source | None
    notes: tuple[str, ...]

    @property
    def tracks(self) -> list[Track]:
        return [track for track in (self.speech, self.music) if track is not None]


def read_results(root: Path, against: str | None = None) -> Results:
    """Read the results of the workspace at `root`, and those of `against` (a revision, experiment, file or folder).

    Raises:
        InputError: there are no scores, or they cannot be read, or there is nothing named `against`.
    """
    params = load_params(root / "params.yaml")
    files = Workspace(Path(DATA) / params.dataset)
    source = open_source("workspace", root)
    other = open_source(against, root) if against else None
    notes: list[str] = []
    tracks = {
        name: _track(name, METRICS[metric], root, params, files, source, other, notes)
        for name, metric in (("speech", "haspi"), ("music", "haaqi"))
        if metric in source.metrics
    }
    return Results(root, params, files, tracks.get("speech"), tracks.get("music"), other, tuple(notes))


def _track(
    name: str,
    metric: Any,
    root: Path,
    params: Params,
    files: Workspace,
    source: Source,
    other: Source | None,
    notes: list[str],
) -> Track:
    enhanced = source.tables[metric.name]()
    unprocessed = None
    if "unprocessed" in metric.files:
        with contextlib.suppress(InputError):
            plain = open_source("workspace", root, condition="unprocessed")
            unprocessed = plain.tables[metric.name]()
    compared = None
    if other is not None and metric.name in other.tables:
        compared = other.tables[metric.name]()
        if compared.by_song_only:
            compared = None
    elif other is not None:
        notes.append(f"{other.label} has no {metric.title} scores to compare with")
    comparison, label = None, ""
    if other is not None and compared is not None:
        label = other.label
        comparison = _comparison(other, source, root, metric.name, notes)
    elif unprocessed is not None and other is None:
        label = "unprocessed"
        comparison = _comparison(open_source("workspace", root, condition="unprocessed"), source, root, "haspi", notes)
    scenes: dict[str, dict[str, Any]] = {}
    if name == "speech":
        with _told(notes):
            entries = read_json(root / files.scenes(params.evaluate.split))
            scenes = {str(entry["scene"]): entry for entry in entries if isinstance(entry, dict) and "scene" in entry}
        listeners_file = files.clarity.listeners
    else:
        listeners_file = files.cadenza.listeners(params.evaluate.song_listeners)
    listeners: dict[str, Listener] = {}
    with _told(notes):
        listeners = load_listeners(root / listeners_file)
    if any(listener == EVERY_LISTENER for _, listener in enhanced.rows):
        raise InputError(metric.files["enhanced"], "holds averages by song, not pairs", advice="run dvc repro")
    return Track(name, enhanced, unprocessed, compared, scenes, listeners, comparison, label)


@contextlib.contextmanager
def _told(notes: list[str]) -> Iterator[None]:
    """What is missing is told on the site, which shows what there is."""
    try:
        yield
    except InputError as error:
        notes.append(str(error))


def _comparison(first: Source, second: Source, root: Path, metric: str, notes: list[str]) -> Comparison | None:
    with _told(notes):
        found = compare(first, second, root, metric=metric)[0]
        return None if isinstance(found, Averages) else found
    return None
