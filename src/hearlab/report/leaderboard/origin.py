"""What the scores of a track were made from, as a revision's dvc.lock and params.yaml tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import Workspace
from hearlab.errors import InputError
from hearlab.files import parse_yaml
from hearlab.params import PARAMS_FILE, PUBLISHED_WEIGHTS, TRAINED, automatic_weights, flat
from hearlab.report.compare.origins import DATA, STAGES
from hearlab.report.compare.sources import FOLDER as METRICS_FOLDER
from hearlab.report.leaderboard.entries import METRIC_OF, Origin
from hearlab.versions.revisions import Files, RevisionFiles

LOCK_FILE = "dvc.lock"
SMALL_TEST = ", every 15th pair"


@dataclass(frozen=True)
class Result:
    """Where a track's result lies, and what it was scored on, at one revision.

    Attributes:
        stage: that scores.
        scores, averages, index: paths of the table of scores, of the averages, and of the index of its units.
        values: of params.yaml, with dotted names.
    """

    track: str
    stage: str
    scores: str
    averages: str
    index: str
    dataset: str
    split: str
    values: dict[str, Any]


def result_of(files: Files, track: str, where: str) -> Result:
    """The result of a track.

    Raises:
        InputError: there is no params.yaml, or it names no data set.
    """
    values = flat(parse_yaml(files.read(PARAMS_FILE)))
    dataset = values.get("dataset")
    if not isinstance(dataset, str):
        raise InputError(f"{where}: {PARAMS_FILE}", "names no data set", field="dataset")
    metric = METRIC_OF[track]
    stage = STAGES[metric.name]
    scores = metric.files["enhanced"]
    return Result(
        track,
        stage,
        f"{METRICS_FOLDER}/{scores}",
        f"{METRICS_FOLDER}/{Path(scores).stem}.json",
        Workspace(Path(DATA) / dataset).index(stage).as_posix(),
        dataset,
        _split(values, track),
        values,
    )


def origin_of(files: RevisionFiles, result: Result) -> Origin:
    """Identities of everything that decided a score.

    Raises:
        InputError: dvc.lock is missing or does not know the scores.
    """
    where = f"{files.name}: {LOCK_FILE}"
    lock = files.read(LOCK_FILE)
    stage = files.lock.get(result.stage, {})
    scores = next((str(out["md5"]) for out in _parts(stage, "outs") if out["path"] == result.scores), None)
    if lock is None or scores is None:
        raise InputError(where, f"does not know {result.scores}", advice=f"dvc repro {result.stage}, and commit it")
    data = {str(dep["path"]): str(dep["md5"]) for dep in _parts(stage, "deps") if dep["path"].startswith(f"{DATA}/")}
    params = files.read(PARAMS_FILE) or b""
    return Origin(files.commit, _md5(lock), _md5(params), data, dict(_weights(files, result)), scores)


def _split(values: dict[str, Any], track: str) -> str:
    if track == "speech":
        return str(values.get("evaluate.split"))
    songs, listeners = (str(values.get(f"evaluate.{name}")) for name in ("song_split", "song_listeners"))
    split = songs if songs == listeners else f"{songs} songs, {listeners} listeners"
    return split + (SMALL_TEST if values.get("evaluate.small_test") else "")


def _weights(files: RevisionFiles, result: Result) -> Iterator[tuple[str, str]]:
    """The separator's weights, and files that the system is given by its parameters."""
    if result.track == "music":
        places = {
            TRAINED: Workspace(Path(DATA) / result.dataset).separator.as_posix(),
            PUBLISHED_WEIGHTS: PUBLISHED_WEIGHTS,
        }
        chosen = result.values.get("separate.weights")
        if chosen == "auto":
            chosen = automatic_weights(str(result.values.get("separate.model")), result.dataset)
        place = places.get(str(chosen))
        for dep in _parts(files.lock.get("separate_music", {}), "deps"):
            if dep["path"] == place:
                yield str(dep["path"]), str(dep["md5"])
        if place is None:
            yield from _own_file(files, chosen)
    for name, value in result.values.items():
        if name.startswith("enhance.params."):
            yield from _own_file(files, value)


def _own_file(files: RevisionFiles, name: Any) -> Iterator[tuple[str, str]]:
    """The identity of a file below the root that a parameter names; what is elsewhere cannot be known."""
    if not isinstance(name, str) or not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return
    pointer = parse_yaml(files.read(f"{name}.dvc") if files.holds(f"{name}.dvc") else None)
    if isinstance(pointer, dict):
        yield from ((name, str(out["md5"])) for out in (pointer.get("outs") or [])[:1] if "md5" in out)
        return
    content = files.read(name) if files.holds(name) else None
    if content is None and (files.root / name).is_file():
        raise InputError(
            name,
            "is used and is in neither git nor DVC",
            field=f"commit {files.commit[:7]}",
            advice="git add or dvc add it, and commit: without it nobody can make the score again",
        )
    if content is not None and not content.startswith(b"tree "):  # git show lists a folder
        yield name, _md5(content)


def _parts(stage: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (part for part in stage.get(kind) or [] if isinstance(part, dict) and {"path", "md5"} <= part.keys())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
