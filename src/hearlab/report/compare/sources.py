"""Where the scores of a comparison come from: a workspace, a revision, an experiment, files, or what was published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hearlab.errors import InputError
from hearlab.report.leaderboard.entries import FOLDER as LEADERBOARD
from hearlab.report.leaderboard.entries import load_entries
from hearlab.scores.table import EVERY_LISTENER, METRICS, Metric, ScoreTable, parse_scores
from hearlab.versions.revisions import WANTED, Files, WorkspaceFiles, find_revision

CONDITIONS = ("enhanced", "unprocessed")
FOLDER = "metrics"
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
class Source:
    """One side of a comparison.

    Attributes:
        name: as the user typed it.
        label: the same with the commit or file it stands for.
        tables: metric -> how to read its scores.
        averages: metric -> published mean, where nothing else is known.
        files: parameters and scenes that the scores were made with, where they can be known.
        notes: what must be said of it.
    """

    name: str
    label: str
    tables: dict[str, Callable[[], ScoreTable]]
    averages: dict[str, Average] = field(default_factory=dict)
    files: Files | None = None
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[str]:
        return [name for name in METRICS if name in self.tables or name in self.averages]


def open_source(name: str, root: Path, *, condition: str = "enhanced", published: Path | None = None) -> Source:
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
        return _published(name, root, condition, published)
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


def _from_csv(name: str, label: str, path: Path) -> Source:
    table = parse_scores(_bytes(path), name)
    return Source(name, label, {table.metric.name: lambda: table})


def _from_folder(name: str, path: Path, condition: str) -> Source:
    folders = [folder for folder in (path, path / FOLDER) if _found(WorkspaceFiles(folder), condition, "")]
    if not folders:
        wanted = " or ".join(_file_names(condition))
        raise InputError(name, "holds no scores", wanted=wanted)
    files = WorkspaceFiles(folders[0])
    readers = {
        metric.name: _reader(files, metric.files[condition], f"{name}: {metric.files[condition]}")
        for metric in _found(files, condition, "")
    }
    return Source(name, name, readers)


def _from_files(name: str, label: str, files: Files, condition: str, advice: str) -> Source:
    found = _found(files, condition, f"{FOLDER}/")
    if not found:
        wanted = " or ".join(f"{FOLDER}/{file}" for file in _file_names(condition))
        raise InputError(name, "holds no scores", wanted=wanted, advice=advice)
    readers = {}
    for metric in found:
        path = f"{FOLDER}/{metric.files[condition]}"
        readers[metric.name] = _reader(files, path, path if name == "workspace" else f"{name}: {path}")
    return Source(name, label, readers, files=files)


def _found(files: Files, condition: str, prefix: str) -> list[Metric]:
    return [
        metric
        for metric in METRICS.values()
        if condition in metric.files and files.holds(prefix + metric.files[condition])
    ]


def _file_names(condition: str) -> list[str]:
    return [metric.files[condition] for metric in METRICS.values() if condition in metric.files]


def _reader(files: Files, path: str, where: str) -> Callable[[], ScoreTable]:
    def read() -> ScoreTable:
        content = files.read(path)
        if content is None:
            raise InputError(where, "no such file")
        return parse_scores(content, where)

    return read


def _published(name: str, root: Path, condition: str, scores: Path | None) -> Source:
    if scores is not None:
        return _from_csv(str(scores), f"{name} ({scores})", scores)
    entries = [entry for entry in load_entries(root / LEADERBOARD) if entry.published]
    if not entries:
        raise InputError(root / LEADERBOARD, "holds no published scores")
    system = name.partition(":")[2]
    entries.sort(key=lambda entry: list(METRICS).index(entry.metric.name))
    known = list(dict.fromkeys(entry.system for entry in entries))
    if system and system not in known:
        raise InputError(name, "no such published system", found=system, wanted=f"one of {', '.join(known)}")
    tables: dict[str, Callable[[], ScoreTable]] = {}
    averages: dict[str, Average] = {}
    notes = []
    for metric in METRICS.values():
        own = [entry for entry in entries if entry.metric is metric]
        systems = list(dict.fromkeys(entry.system for entry in own))
        chosen = system or ("unprocessed" if condition == "unprocessed" else "baseline")
        if not system and own and chosen not in systems:
            notes.append(
                f"{metric.title}: say which published system is meant: "
                + " or ".join(f"{PUBLISHED}:{known}" for known in systems)
            )
        own = [entry for entry in own if entry.system == chosen]
        if own and own[0].songs:
            table = ScoreTable(
                metric,
                {(song, EVERY_LISTENER): index for index, song in enumerate(own[0].songs)},
                np.array(list(own[0].songs.values())),
                {},
            )
            tables[metric.name] = lambda table=table: table  # type: ignore[misc]
        elif own:
            averages[metric.name] = Average(chosen, own[0].score, own[0].source)
    if not tables and not averages:
        raise InputError(name, "; ".join(notes) or "nothing is published", wanted=f"one of {', '.join(known)}")
    return Source(name, f"{name} ({LEADERBOARD})", tables, averages, notes=tuple(notes))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except OSError as error:
        raise InputError(path, "cannot be read", found=error.strerror) from None
