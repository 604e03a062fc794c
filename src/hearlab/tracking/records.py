"""Results that are to be logged: each a folder that holds all of its run, so that it can be logged later.

A result is recorded before anything is asked of MLflow, and the record is deleted when MLflow has it: whatever happens
in between, nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.compute.memo import FOLDER
from hearlab.compute.timings import stage_times
from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.files import md5_of, read_json, write_json, write_text
from hearlab.params import PARAMS_FILE
from hearlab.secrets import hide, hide_within
from hearlab.tracking import provenance, summary
from hearlab.tracking.figures import draw
from hearlab.tracking.result import Result
from hearlab.versions.dvc_files import experiment_home
from hearlab.versions.lock import LOCK_FILE

RECORD = "record.json"
ARTEFACTS = "artefacts"
VERSION = 1


@dataclass(frozen=True)
class Record:
    """A result as it is logged.

    Attributes:
        identity: see `Result.identity`.
        name: of the run.
        created: milliseconds since 1970.
        params, metrics, tags: of the run.
        folder: of the record.
        curves: of a training: name -> steps and values.
    """

    identity: str
    name: str
    created: int
    params: dict[str, Any]
    metrics: dict[str, float]
    tags: dict[str, str]
    folder: Path
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def artefacts(self) -> Path:
        return self.folder / ARTEFACTS


_RECORD = TypeAdapter(Record)


def write(result: Result) -> Record:
    """Record the result beside the workspace.

    Raises:
        InputError: one of its tables cannot be read.
    """
    times = stage_times(result.root, result.dataset, result.stages)
    values = {**summary.averages(result), **summary.time_values(times)}
    tags = hide_within(provenance.tags(result))
    for kind in ("wall", "core"):
        if f"{kind}_seconds/all stages" in values:
            tags[f"time.{kind}_seconds"] = f"{values[f'{kind}_seconds/all stages']:.1f}"
    folder = _folder(experiment_home(result.root)) / result.identity
    part = folder.with_name(f".{result.identity[:16]}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        tags["mlflow.note.content"] = hide(summary.report(result, values, tags, provenance.changed_params(result)))
        _write_artefacts(result, tags["mlflow.note.content"], part / ARTEFACTS)
        params = hide_within(result.params)
        created = time.time_ns() // 1_000_000
        name, curves = hide(provenance.run_name(result)), summary.curves(result)
        record = Record(result.identity, name, created, params, values, tags, folder, curves)
        content = {name: value for name, value in vars(record).items() if name != "folder"}
        content = {"version": VERSION, **content, "files": _md5s(part / ARTEFACTS)}
        write_json(part / RECORD, {**content, CHECK: checksum(content)})
        shutil.rmtree(folder, ignore_errors=True)  # the same result, recorded before
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return record


def _write_artefacts(result: Result, report: str, folder: Path) -> None:
    points = {f"{METRICS_FOLDER}/{track.points}": track for track in result.tracks}
    for path in result.files:
        target = folder / ("plots" if path in points else "scores") / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(result.root / path, target)
        if path in points:
            with contextlib.suppress(ImportError):  # figures are left out where matplotlib is not installed
                draw(points[path], target, target.parent)
    for name in (PARAMS_FILE, LOCK_FILE):
        shutil.copyfile(result.root / name, folder / name)
    write_text(folder / "report.md", report)


def folders(root: Path) -> list[Path]:
    """The folders of the records that are not logged yet; what is in them is not looked at."""
    return sorted(path for path in _folder(experiment_home(root)).glob("[!.]*") if path.is_dir())


def waiting(root: Path) -> list[Record]:
    """The records that are not logged yet, the oldest first.

    Raises:
        InputError: a record is damaged.
    """
    records, wrong = sound_and_damaged(root)
    if wrong:
        raise wrong[0]
    return records


def sound_and_damaged(root: Path) -> tuple[list[Record], list[InputError]]:
    """As `waiting`; what is wrong with each of the others is the second list."""
    records, wrong = [], []
    for folder in folders(root):
        try:
            records.append(_read(folder))
        except InputError as error:
            wrong.append(error)
    return sorted(records, key=lambda record: (record.created, record.identity)), wrong


def _read(folder: Path) -> Record:
    content = read_json(folder / RECORD)
    try:
        if content["version"] != VERSION:
            raise InputError(folder / RECORD, "is of another version of HearLab", advice="log it with that one")
        if CHECK in content:  # an older HearLab wrote no checksums
            if not sealed(content):
                raise ValueError("other values than were written")
            if content["files"] != _md5s(folder / ARTEFACTS):
                raise ValueError("other files than were written")
        return _RECORD.validate_python({**content, "folder": folder})
    except (KeyError, TypeError, ValueError, OSError) as error:
        found = str(error).splitlines()[0]
        raise InputError(folder / RECORD, "is damaged", found=found, advice="delete its folder") from None


def _md5s(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())  # a pipe would never end
    return {path.relative_to(folder).as_posix(): md5_of(path) for path in files}


def discard(record: Record) -> None:
    """Remove a record that MLflow has."""
    shutil.rmtree(record.folder, ignore_errors=True)


def _folder(root: Path) -> Path:
    return root / FOLDER / "tracking"
