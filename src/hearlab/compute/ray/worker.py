"""What runs on Ray's workers: units, a file server for those that do not see the workspace, their scratch folders."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hearlab.compute.execution import Outcome, execute, unit_folder
from hearlab.compute.ray.own_folder import own_folder
from hearlab.compute.units import Unit
from hearlab.compute.workers.groups import in_turn, same_code

MARK = "workspace-mark"
SCRATCH = "hearlab-scratch-"
SENT_AT_MOST = 2 << 30  # bytes of inputs that a worker without the workspace keeps
CLEARING_SECONDS = 10.0


@dataclass(frozen=True)
class Job:
    """What every unit of a run has in common."""

    root: Path
    staging: Path
    mark: str


@dataclass(frozen=True)
class Reply:
    """What a worker sends: its files lie in a folder of the staging folder, or, if it does not see that, are here."""

    outcome: Outcome
    folder: str | None = None
    files: dict[str, bytes] | None = None
    node: str | None = None  # where it keeps inputs that it was sent


def this_node() -> str:
    """The id of the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


@ray.remote
class FileServer:
    """Reads files of the workspace for workers that do not see it."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()


@ray.remote
def work(group: list[Unit], codes: list[str], job: Job, server: Any) -> list[Reply] | str:
    """Run units of a group one after the other, as long as there is time; the host's name if its code is other."""
    if same_code(group, codes):
        replies = list(in_turn(group, partial(_run, job=job, server=server)))
        if same_code(group, codes):  # it may have changed before it was loaded
            return replies
    return socket.gethostname()


def _run(unit: Unit, job: Job, server: Any) -> Reply:
    if (job.staging / f"{MARK}.{job.mark}").exists():
        # A folder for each attempt: a worker given up for lost may still be writing.
        folder = unit_folder(job.staging, unit.id)
        folder = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}")
        return Reply(execute(unit, job.root, folder, digests=True), folder=folder.name if unit.outputs else None)
    root = _fetched(unit, server, job)
    out = Path(tempfile.mkdtemp(prefix="out-", dir=_scratch(job)))
    try:
        outcome = execute(unit, root, out)
        files = {name: (out / name).read_bytes() for name in unit.outputs if (out / name).is_file()}
        return Reply(outcome, files=files, node=this_node())
    finally:
        shutil.rmtree(out, ignore_errors=True)


_scratch_folders: dict[str, Path] = {}


def _scratch(job: Job) -> Path:
    """This worker process's own folder for the run; the driver has it removed, for Ray kills workers at the end."""
    if job.mark not in _scratch_folders:
        _scratch_folders[job.mark] = own_folder(SCRATCH, tempfile.gettempdir(), f"{job.mark}-")
    return _scratch_folders[job.mark]


def clear_scratch(nodes: set[str], mark: str) -> None:
    """Remove the folders that the workers of a run had on other machines."""
    with contextlib.suppress(Exception):
        places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        tasks = [_remove_scratch.options(num_cpus=0, scheduling_strategy=place).remote(mark) for place in places]
        ray.wait(tasks, num_returns=len(tasks), timeout=CLEARING_SECONDS)


@ray.remote
def _remove_scratch(mark: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}{mark}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _fetched(unit: Unit, server: Any, job: Job) -> Path:
    """A folder that holds the unit's inputs; files that other units share are fetched once for each worker."""
    root = _scratch(job) / "root"
    have = [path for path in root.rglob("*") if path.is_file()] if root.exists() else []
    if sum(path.stat().st_size for path in have) > SENT_AT_MOST:
        shutil.rmtree(root)
    missing = [name for name in unit.inputs if not (root / name).is_file()]
    for name, content in zip(missing, ray.get([server.read.remote(name) for name in missing]), strict=True):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.part-{time.monotonic_ns()}")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    root.mkdir(parents=True, exist_ok=True)
    return root
