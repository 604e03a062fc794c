"""Experiments and commits with their averages, and the parameters in which they differ."""

from __future__ import annotations

import contextlib
import datetime
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.files import parse_json, parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.scoring.belonging import outdated
from hearlab.scoring.tracks import METRICS, TRACKS
from hearlab.versions.git import git_text
from hearlab.versions.revisions import Files, RevisionFiles, WorkspaceFiles, experiment_commits

COMMITS = 50  # the newest that changed a score
FILES = {name: f"{METRICS_FOLDER}/{track.averages}" for name, track in TRACKS.items()}
# Heading -> track, metric and key of an average.
AVERAGES = {
    f"{metric.short} {condition if len(metric.track.tables) > 1 else ''}".rstrip(): (
        metric.track.name,
        metric.name,
        metric.track.average_key(condition),
    )
    for metric in METRICS.values()
    for condition in metric.track.tables
}


@dataclass(frozen=True)
class Experiment:
    """One line of the table.

    Attributes:
        name: an experiment's own name, or the subject of a commit.
        kind: 'workspace', 'experiment' or 'commit'.
        commit: first digits of the hash; empty for the workspace.
        date: of the commit, or None.
        scores: the averages, by the names of AVERAGES; none of a track in `outdated`.
        parameters: all of params.yaml, flat; `differing_only` keeps those that differ.
        files: where it all was read.
        full_commit: the whole hash; empty for the workspace.
        outdated: tracks with scores that were made with other parameters than these, and which.
        dataset: the data set, whether it differs or not; None where it cannot be read.
    """

    name: str
    kind: str
    commit: str
    date: datetime.datetime | None
    scores: dict[str, float]
    parameters: dict[str, Any]
    files: Files | None = field(default=None, compare=False, repr=False)
    full_commit: str = ""
    outdated: dict[str, str] = field(default_factory=dict, compare=False)
    dataset: str | None = field(default=None, compare=False)


def experiments(root: Path, commits: int = COMMITS) -> tuple[list[Experiment], list[str]]:
    """The workspace, DVC's experiments and the commits that changed a score; names of the parameters that differ.

    Lines without scores are left out (the workspace stays if it has scores of other parameters), and so are commits
    whose parameters and scores are those of the next older one.

    Args:
        root: the workspace.
        commits: how many are looked at.
    """
    found = [experiment("workspace", "workspace", "", None, WorkspaceFiles(root))]
    for each in experiment_commits(root):
        files = RevisionFiles(root, each.name, each.commit, True)
        found.append(experiment(each.name, "experiment", each.commit[:7], each.time, files))
    log = ("log", f"--max-count={commits}", "--format=%H %ct %s", "--", *FILES.values())
    before: Experiment | None = None
    for line in filter(None, git_text(root, *log).split("\n")):  # a subject may hold other ends of lines
        commit, seconds, subject = line.split(" ", 2)
        own = experiment(subject, "commit", commit[:7], int(seconds), RevisionFiles(root, commit[:7], commit))
        if before is not None and (own.scores, own.parameters) == (before.scores, before.parameters):
            found.pop()
        found.append(own)
        before = own
    return differing_only([one for one in found if one.scores or (one.outdated and one.kind == "workspace")])


def differing_only(found: list[Experiment]) -> tuple[list[Experiment], list[str]]:
    """The same with only those parameters that differ between any two, and their names.

    A parameter that is absent differs from one that is there, but not if its whole section is absent: that is an older
    form of params.yaml.
    """
    names = list(dict.fromkeys(name for one in found for name in one.parameters))
    sections = [{name.split(".")[0] for name in one.parameters} for one in found]

    def differs(name: str) -> bool:
        section = name.split(".")[0]
        known = [one for one, own in zip(found, sections, strict=True) if section in own]
        return len({json.dumps(one.parameters.get(name), default=str) for one in known}) > 1

    kept = [name for name in names if differs(name)]
    return [replace(one, parameters={name: one.parameters.get(name) for name in kept}) for one in found], kept


def experiment(name: str, kind: str, commit: str, seconds: int | None, files: Files) -> Experiment:
    """One line: averages and parameters as `files` has them, and none where they cannot be read."""
    averages = {track: _section(_json(files, path)) for track, path in FILES.items()}
    reasons: dict[str, str] = {}
    with contextlib.suppress(InputError):
        reasons = {track: reason for track, reason in outdated(files).items() if averages[track]}
    averages |= {track: {} for track in reasons}
    found = {title: _section(averages[track].get(metric)).get(key) for title, (track, metric, key) in AVERAGES.items()}
    scores = {title: float(score) for title, score in found.items() if isinstance(score, int | float)}
    parameters: Any = None
    with contextlib.suppress(InputError):
        parameters = parse_yaml(files.read(PARAMS_FILE))
    date = None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    full = files.commit if isinstance(files, RevisionFiles) else ""
    values = flat(parameters)
    return Experiment(name, kind, commit, date, scores, values, files, full, reasons, values.get("dataset"))


def _json(files: Files, path: str) -> Any:
    with contextlib.suppress(InputError):
        return parse_json(files.read(path) or b"null", path)
    return None


def _section(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
