"""The result in the workspace: its scores, and the data and parameters that distinguish it from other results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.files import md5_of, read_bytes, read_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.scoring.belonging import why_other
from hearlab.scoring.table import has_scores
from hearlab.scoring.tracks import ENHANCED, TRACKS, Track
from hearlab.versions.lock import LOCK_FILE, Lock, deps, lock_stages, outs, overlap, stages_behind

CODE, SCORES = "src/", f"{METRICS_FOLDER}/"
WEIGHTS = ("separator", "enhancer", "weights")  # last parts of the paths at which networks lie
# Of the description that an identity is the hash of: a new number makes new results of all.
IDENTITY_VERSION = 1


@dataclass(frozen=True)
class Result:
    """What the pipeline's last run has left.

    Attributes:
        root: the workspace.
        tracks: those whose scores are those of params.yaml.
        left_out: name of another track -> why it is no part of this result.
        params: all parameters, with dotted names.
        identity: hash of the scores, the parameters they depend on, and the data they were made from.
        data: path -> md5 of data sets and weights, as in dvc.lock.
        files: score tables and averages, relative to the root.
        stages: stage -> md5 of its index of units (None without one): all that took part.
    """

    root: Path
    tracks: tuple[Track, ...]
    left_out: dict[str, str]
    params: dict[str, Any]
    identity: str
    data: dict[str, str]
    files: tuple[str, ...]
    stages: dict[str, str | None]

    @property
    def dataset(self) -> str:
        return str(self.params.get("dataset"))


def current_result(root: Path) -> Result:
    """The result in the workspace.

    A track counts if the parameters that dvc.lock notes for the stages behind its scores are those of params.yaml, and
    its tables are those that dvc.lock notes: then the scores and params.yaml belong together.

    Raises:
        InputError: neither track has such scores.
    """
    lock = lock_stages(root)
    params = _params(root)
    tracks, left_out, described = [], {}, {}
    stages: dict[str, str | None] = {}
    data: dict[str, str] = {}
    files: list[str] = []
    for track in TRACKS.values():
        behind = stages_behind(lock, track.scoring_stage)
        reason = _why_not(root, track, lock, behind, params)
        if reason is not None:
            left_out[track.name] = reason
            continue
        tracks.append(track)
        described[track.name] = _description(lock, track, behind)
        stages.update({name: _index(lock[name]) for name in behind})
        data.update(_data(lock, behind))
        scores = [path for path in outs(lock[track.scoring_stage]) if path.startswith(SCORES)]
        files += [path for path in scores if (root / path).is_file()]
    if not tracks:
        reasons = ", ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(root / METRICS_FOLDER, "holds no finished result", found=reasons, advice="run dvc repro")
    text = json.dumps({"version": IDENTITY_VERSION, **described}, sort_keys=True, default=str)
    identity = hashlib.sha256(text.encode()).hexdigest()
    return Result(root, tuple(tracks), left_out, params, identity, data, tuple(files), stages)


def _why_not(root: Path, track: Track, lock: Lock, behind: list[str], params: Mapping[str, Any]) -> str | None:
    """Why the track's scores are not those of params.yaml, if they are not."""
    if not behind:
        return "was not run"
    if reason := why_other(lock, behind, params):
        return reason
    for path, identity in outs(lock[track.scoring_stage]).items():
        if not path.startswith(SCORES):
            continue
        if not (root / path).is_file():
            return f"{path} is not here (dvc pull, or dvc repro)"
        if md5_of(root / path) != identity:
            return f"{path} is not what {LOCK_FILE} says"
    table = root / SCORES / track.tables[ENHANCED]
    if table.is_file() and not has_scores(read_bytes(table)):
        return "it has no pairs in this data set"
    return None


def _description(lock: Lock, track: Track, behind: list[str]) -> dict[str, Any]:
    """What makes the track's result distinct.

    Not the source code: a change of it makes another result if it changes what is scored or a score.
    """
    params = {name: value for stage in behind for name, value in _stage_params(lock[stage]).items()}
    scorer = lock[track.scoring_stage]
    return {
        "params": params,
        "scored": {path: identity for path, identity in deps(scorer).items() if not path.startswith(CODE)},
        "scores": {path: identity for path, identity in outs(scorer).items() if path.startswith(SCORES)},
    }


def _data(lock: Lock, behind: list[str]) -> dict[str, str]:
    """Identities of the data sets (what the prepare stages give, and what no stage makes) and of weights."""
    made = {out for stage in behind for out in outs(lock[stage])}
    data: dict[str, str] = {}
    for stage in behind:
        for path, identity in outs(lock[stage]).items():
            if stage.startswith("prepare") or path.endswith(WEIGHTS):
                data[path] = identity
        for path, identity in deps(lock[stage]).items():
            source = path.startswith(CODE) or path == PARAMS_FILE
            if not source and not any(overlap(path, out) for out in made):
                data[path] = identity
    return data


def _index(stage: Mapping[str, Any]) -> str | None:
    return next((identity for path, identity in outs(stage).items() if "/units/" in path), None)


def _stage_params(stage: Mapping[str, Any]) -> dict[str, Any]:
    return flat((stage.get("params") or {}).get(PARAMS_FILE))


def _params(root: Path) -> dict[str, Any]:
    return flat(read_yaml(root / PARAMS_FILE, advice="run from the root of the repository"))
