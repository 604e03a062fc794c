"""Where the scores of a comparison come from: a workspace, a revision, an experiment, files, or what was published."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.files import parse_json, parse_yaml, read_bytes
from hearlab.params import PARAMS_FILE, flat
from hearlab.params.subsets import subset_text
from hearlab.report.leaderboard.entries import FOLDER as LEADERBOARD
from hearlab.report.leaderboard.entries import load_entries
from hearlab.scoring.belonging import outdated
from hearlab.scoring.table import EVERY_LISTENER, ScoreTable, parse_scores
from hearlab.scoring.tracks import ENHANCED, METRICS, MUSIC_LEVEL, TRACKS, UNPROCESSED, Metric, Track, music_rule
from hearlab.versions.revisions import WANTED, Files, WorkspaceFiles, find_revision

PUBLISHED = "published"


@dataclass(frozen=True)
class Average:
    """A published mean score, of which no score of single pairs is known.

    Attributes:
        system: as published, such as 'baseline'.
        score: the mean over all pairs.
        source: where it was published.
    """

    system: str
    score: float
    source: str


@dataclass(frozen=True)
class ScoreSource:
    """One side of a comparison.

    Attributes:
        name: as the user typed it.
        label: the same with the commit or file it stands for.
        title: what tables call it, where that is something else: see `hearlab.report.compare.titles`.
        tables: track -> how to read its score table.
        averages: metric -> published mean, where nothing else is known.
        music_level: the rule for the level of stems that a publication names.
        published_on: the data set that a publication names.
        files: parameters and scenes that the scores were made with, where they can be known.
        left_out: tracks that it has scores of, but not of its parameters: they are no part of it, and why.
        notes: what must be said of it, that included.
    """

    name: str
    label: str
    tables: dict[str, Callable[[], dict[str, ScoreTable]]]
    averages: dict[str, Average] = field(default_factory=dict)
    music_level: str | None = None
    files: Files | None = None
    published_on: str | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    title: str = ""

    def table(self, metric: Metric) -> ScoreTable | None:
        """The scores of a metric; None where the source has none of single pairs."""
        read = self.tables.get(metric.track.name)
        return read().get(metric.name) if read else None

    def metrics(self, track: Track) -> list[Metric]:
        """The metrics of a track whose scores or averages the source has."""
        return [metric for metric in track.metrics if metric.name in self.averages or self.table(metric)]

    def rule(self, track: Track) -> str | None:
        """The rule for the level of stems that the scores were made with; None for speech, or where it is not known."""
        stage = self.files.lock.get(track.scoring_stage) if self.files else None
        if stage is None:
            return self.music_level
        return music_rule(track, flat((stage.get("params") or {}).get(PARAMS_FILE)).get(MUSIC_LEVEL))

    @property
    def dataset(self) -> str | None:
        """The data set that was scored; None where it is not known."""
        if self.files is None:
            return self.published_on
        name = flat(parse_yaml(self.files.read(PARAMS_FILE))).get("dataset")
        return None if name is None else str(name)

    @property
    def tracks(self) -> list[Track]:
        known = [*self.tables, *(METRICS[name].track.name for name in self.averages)]
        return [track for name, track in TRACKS.items() if name in known]


def open_source(name: str, root: Path, *, condition: str = ENHANCED, published: Path | None = None) -> ScoreSource:
    """Find the scores that `name` means.

    Args:
        name: 'workspace'; 'published' or 'published:SYSTEM'; a CSV file; a folder that holds speech.csv or music.csv
            (or a folder `metrics` that does); a git revision; the name of a DVC experiment. An existing file or folder
            goes before a revision of the same name.
        root: the workspace.
        condition: 'enhanced' or 'unprocessed', where a source has both.
        published: a CSV file of published scores pair by pair, for 'published'.

    Raises:
        InputError: there is nothing of that name, or it has no scores.
    """
    if name == PUBLISHED or name.startswith(f"{PUBLISHED}:"):
        if published is not None:
            return _from_csv(str(published), f"{name} ({published})", published)
        return _published(name, root, condition)
    if name == "workspace":
        return _from_files(name, name, WorkspaceFiles(root), condition, advice="run dvc repro or dvc pull")
    path = root / Path(name).expanduser()
    if path.is_file():
        return _from_csv(name, name, path)
    if path.is_dir():
        return _from_folder(name, path, condition)
    if path.suffix == ".csv":
        raise InputError(name, "no such file", wanted=WANTED)
    revision = find_revision(name, root)
    label = name if revision.commit.startswith(name) else f"{name} ({revision.commit[:7]})"
    return _from_files(name, label, revision, condition, advice="is dvc.lock committed, and is this the root folder?")


def _from_csv(name: str, label: str, path: Path) -> ScoreSource:
    tables = parse_scores(read_bytes(path, where=name), name)
    track = next(iter(tables.values())).metric.track
    return ScoreSource(name, label, {track.name: lambda: tables})


def _from_folder(name: str, path: Path, condition: str) -> ScoreSource:
    for folder in (path, path / METRICS_FOLDER):
        tables = _readers(WorkspaceFiles(folder), "", condition, f"{name}: ")
        if tables:
            return ScoreSource(name, name, tables)
    raise InputError(name, "holds no scores", wanted=" or ".join(_paths("", condition).values()))


def _from_files(name: str, label: str, files: Files, condition: str, advice: str) -> ScoreSource:
    prefix = f"{METRICS_FOLDER}/"
    tables = _readers(files, prefix, condition, "" if name == "workspace" else f"{name}: ")
    if not tables:
        wanted = " or ".join(_paths(prefix, condition).values())
        raise InputError(name, "holds no scores", wanted=wanted, advice=advice)
    reasons = {track: reason for track, reason in outdated(files).items() if track in tables}
    tables = {track: table for track, table in tables.items() if track not in reasons}
    if not tables:
        found = "; ".join(f"{track}: {reason}" for track, reason in reasons.items())
        raise InputError(name, "holds no scores of its parameters", found=found, advice="dvc repro makes them")
    left_out = tuple(
        f"{name}: its {track} scores are of other parameters: {reason}" for track, reason in reasons.items()
    )
    notes = (*left_out, *_subsets(name, files, tables))
    return ScoreSource(name, label, tables, files=files, left_out=left_out, notes=notes)


def _subsets(name: str, files: Files, tracks: Iterable[str]) -> tuple[str, ...]:
    """What must be said of scores that are not of all pairs of their split."""
    values = flat(parse_yaml(files.read(PARAMS_FILE)))
    texts = {track: subset_text(values, TRACKS[track].cluster) for track in tracks}
    return tuple(f"{name}: the {track} scores are of a subset: {text}" for track, text in texts.items() if text)


def _has_pairs(files: Files, path: str, track: Track) -> bool:
    """Whether a track has scores: a data set without songs, or without scenes, leaves empty tables."""
    averages = files.read(path) if files.holds(path) else None
    if averages is None:
        return True
    content = parse_json(averages, path)
    section = content.get(track.headline.name) if isinstance(content, dict) else None
    return not isinstance(section, dict) or section.get("pairs") != 0


def _paths(prefix: str, condition: str) -> dict[str, str]:
    """Track -> its score table in that condition."""
    return {name: prefix + track.tables[condition] for name, track in TRACKS.items() if condition in track.tables}


def _readers(files: Files, prefix: str, condition: str, where: str) -> dict[str, Callable[[], dict[str, ScoreTable]]]:
    """How to read the tables that are there; each is read once, when it is asked for."""

    def reader(path: str) -> Callable[[], dict[str, ScoreTable]]:
        @functools.cache
        def read() -> dict[str, ScoreTable]:
            content = files.read(path)
            if content is None:
                raise InputError(f"{where}{path}", "no such file")
            return parse_scores(content, f"{where}{path}")

        return read

    return {
        track: reader(path)
        for track, path in _paths(prefix, condition).items()
        if files.holds(path) and _has_pairs(files, prefix + TRACKS[track].averages, TRACKS[track])
    }


def _published(name: str, root: Path, condition: str) -> ScoreSource:
    """The averages of leaderboard entries, and those of songs where they are published."""
    board = load_entries(root / LEADERBOARD)
    entries = [entry for entry in board.entries if entry.published]
    system = name.partition(":")[2]
    own = {track: [entry for entry in entries if entry.track == track] for track in TRACKS}
    known = list(dict.fromkeys(entry.system for each in own.values() for entry in each))
    chosen = system or (UNPROCESSED if condition == UNPROCESSED else "baseline")
    if chosen not in known and board.faults:
        raise board.faults[0]  # it may be the one that is meant
    if not entries:
        raise InputError(root / LEADERBOARD, "holds no published scores")
    if system and system not in known:
        raise InputError(name, "no such published system", found=system, wanted=f"one of {', '.join(known)}")
    tables: dict[str, Callable[[], dict[str, ScoreTable]]] = {}
    averages: dict[str, Average] = {}
    rule = None
    notes = []
    for track, published in own.items():
        entry = next((entry for entry in published if entry.system == chosen), None)
        if entry is None:
            if published and not system:
                names = dict.fromkeys(f"{PUBLISHED}:{other.system}" for other in published)
                title = TRACKS[track].headline.title
                notes.append(f"{title}: say which published system is meant: {' or '.join(names)}")
            continue
        rule = rule or entry.rule
        if entry.songs:
            rows = {(song, EVERY_LISTENER): row for row, song in enumerate(entry.songs)}
            scores = {entry.metric.column: np.array(list(entry.songs.values()))}
            table = ScoreTable(entry.metric, rows, scores)
            tables[track] = functools.partial(dict, {entry.metric.name: table})
        else:
            means = {entry.metric.name: entry.score, **entry.averages}
            averages |= {metric: Average(chosen, score, entry.source) for metric, score in means.items()}
    if not tables and not averages:
        raise InputError(name, "; ".join(notes) or "nothing is published", wanted=f"one of {', '.join(known)}")
    datasets = {entry.dataset for entry in entries}
    dataset = datasets.pop() if len(datasets) == 1 else None
    label = f"{name} ({LEADERBOARD})"
    return ScoreSource(name, label, tables, averages, rule, published_on=dataset, notes=tuple(notes))
