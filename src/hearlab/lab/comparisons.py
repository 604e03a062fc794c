"""What a trial is compared with: the published baseline on the same pair, and the last committed result."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearlab.compute.memo import Memo
from hearlab.datasets.layout import METRICS_FOLDER, Workspace
from hearlab.errors import InputError
from hearlab.files import read_json, write_json
from hearlab.lab.laboratory import TRIALS, Lab
from hearlab.scoring.table import ScoreTable, parse_scores
from hearlab.scoring.tracks import ENHANCED, TRACKS, Track
from hearlab.stages.common import workspace
from hearlab.versions.revisions import RevisionFiles, WorkspaceFiles, find_revision

BASELINES = TRIALS / "baseline"


def baseline_scores(lab: Lab, name: str, listener: str) -> dict[str, float]:
    """Scores of the published baseline for a pair: computed once for the same signals, parameters and code.

    Raises:
        InputError: the pair cannot be enhanced or scored.
    """
    with contextlib.chdir(lab.root):
        return _baseline_scores(lab, name, listener)


def _baseline_scores(lab: Lab, name: str, listener: str) -> dict[str, float]:
    material, person = lab.find(name, listener)
    identities = Memo(lab.root).identities()
    files, keys = workspace(lab.params), []
    for unit in (lab.materials.baseline_unit(material, person), lab.materials.score_unit(material, person)):
        # The baseline's signal is made here: what the workspace has as the enhanced one decides nothing.
        inputs = tuple(path for path in unit.inputs if not _is_enhanced(path, files))
        keys.append(replace(unit, inputs=inputs).key(identities)[0])
    identities.save()
    file = lab.root / BASELINES / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()}.json"
    if found := _kept(file):
        return found
    with tempfile.TemporaryDirectory(prefix="hearlab-") as folder:
        scores = lab.baseline_trial(name, listener, Path(folder))
    write_json(file, scores)
    return scores


def _is_enhanced(path: str, files: Workspace) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in (files.enhanced, files.enhanced_music))


def _kept(file: Path) -> dict[str, float] | None:
    try:
        content: Any = read_json(file)
    except InputError:
        return None  # none yet, or one that was altered: it is made anew
    whole = isinstance(content, dict) and content and all(isinstance(value, float) for value in content.values())
    return content if whole else None


@dataclass(frozen=True)
class Committed:
    """Scores of the last result that is in git, or, where it has none, of the result in the workspace.

    Attributes:
        label: 'HEAD (1234567)' or 'workspace'; empty if there is no result.
        tables: metric -> its scores.
        missing: why there is no result, in a few words.
    """

    label: str
    tables: dict[str, ScoreTable]
    missing: str = ""

    def scores(self, name: str, listener: str) -> dict[str, float]:
        """Scores of a pair by metric; empty if it was not scored."""
        return {
            metric: float(table.scores[table.rows[name, listener]])
            for metric, table in self.tables.items()
            if (name, listener) in table.rows
        }


def committed_scores(root: Path, dataset: str, track_name: str) -> Committed:
    """The scores of a track at HEAD, if this machine has them and they are of this data set; else the workspace's."""
    track = TRACKS[track_name]
    path = f"{METRICS_FOLDER}/{track.tables[ENHANCED]}"
    try:
        revision = find_revision("HEAD", root)
        content = revision.cached(path) if _is_of(revision, track, dataset) else None
        if content is not None:
            label = f"HEAD ({revision.commit[:7]})"
            return Committed(label, parse_scores(content, f"{label}: {path}"))
        missing = "HEAD has no scores here"
    except InputError as error:
        missing = f"{error.where}: {error.problem}"
    files = WorkspaceFiles(root)
    try:
        known = track.scoring_stage not in files.lock or _is_of(files, track, dataset)
        content = files.read(path) if known else None
        if content is not None:
            return Committed("workspace", parse_scores(content, path), missing)
    except InputError as error:
        missing = str(error)
    return Committed("", {}, missing)


def _is_of(files: RevisionFiles | WorkspaceFiles, track: Track, dataset: str) -> bool:
    """Whether a result is of a data set: names such as S06001 stand for other scenes in another one."""
    stage = files.lock.get(track.scoring_stage) or {}
    deps = [str(one.get("path")) for one in stage.get("deps") or () if isinstance(one, dict)]
    return any(dep.startswith(f"data/{dataset}/") for dep in deps)
