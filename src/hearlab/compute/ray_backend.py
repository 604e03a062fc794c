"""Running units on Ray: a local one started for the stage, or the cluster that RAY_ADDRESS names.

A worker that sees the workspace reads and writes it directly. One that does not gets its inputs from a file server on
the driver's machine and sends its outputs back, both through Ray's object store; the driver writes them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hearlab.compute.engine import Failure, Outcome, describe, execute, unit_folder
from hearlab.compute.units import Unit
from hearlab.errors import InputError

# Units submitted for each core: enough that no worker waits, few enough that the driver holds few results.
UNITS_PER_CORE = 2
# How often a unit is tried again after its worker or node died; units that fail by themselves are not tried again.
RETRIES = 3
# The cluster's head is taken for lost after this many failed connections, this many seconds apart.
HEAD_TRIES, HEAD_SECONDS = 4, 2.0
MARK = "workspace-mark"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SENT_AT_MOST = 2 << 30  # bytes of inputs that a worker without the workspace keeps


@dataclass(frozen=True)
class _Job:
    """What every unit of a run has in common."""

    root: Path
    staging: Path
    mark: str
    driver: str


@dataclass(frozen=True)
class _Reply:
    outcome: Outcome
    files: dict[str, bytes] | None = None  # None: they are in the staging folder


def run_on_ray(
    units: Sequence[Unit], root: Path, staging: Path, stage: str, *, workers: int
) -> Iterator[tuple[Unit, Outcome]]:
    """Run units on Ray and give their outcomes as they come; files are then in their staging folders.

    Raises:
        InputError: the cluster cannot be reached.
    """
    with _connected(workers, stage), _marked(root) as mark:
        server = _FileServer.options(  # type: ignore[attr-defined]
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(_this_node(), soft=False)
        ).remote(str(root))
        job = ray.put(_Job(root, staging, mark, socket.gethostname()))
        running: dict[Any, Unit] = {}
        waiting = list(reversed(units))
        try:
            while waiting or running:
                cores = int(ray.cluster_resources().get("CPU", 1))
                while waiting and len(running) < max(1, cores) * UNITS_PER_CORE:
                    unit = waiting.pop()
                    options = {"num_cpus": 1, "memory": unit.memory, "max_retries": RETRIES}
                    running[_work.options(**options).remote(unit, unit.code_identity(), job, server)] = unit
                ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                for reference in ready:
                    unit = running.pop(reference)
                    yield unit, _received(reference, unit, staging)
        finally:
            for reference in running:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)


def _received(reference: Any, unit: Unit, staging: Path) -> Outcome:
    try:
        reply: _Reply = ray.get(reference)
    except Exception as error:
        cause = describe(error)[:300]
        if isinstance(error, ray.exceptions.OutOfMemoryError | ray.exceptions.WorkerCrashedError):
            cause = f"its worker process died {RETRIES + 1} times (out of memory?); set HEARLAB_WORKERS lower"
        return Outcome(failure=Failure(unit.id, cause, str(error)))
    if reply.files is not None:
        folder = unit_folder(staging, unit)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in reply.files.items():
            with (folder / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    return reply.outcome


# --- connecting -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _connected(workers: int, stage: str) -> Iterator[None]:
    address = os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
        "namespace": f"hearlab-{uuid.uuid4().hex[:8]}",
        "runtime_env": {"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")},
    }
    temporary = None
    try:
        if address:
            ray.init(address=address, **common)
        else:
            # Unix sockets want short paths; a folder of our own is private and goes away with the run.
            temporary = tempfile.mkdtemp(prefix="hl-ray-", dir="/tmp" if Path("/tmp").is_dir() else None)
            # Its workers find the modules that this process finds.
            common["runtime_env"]["env_vars"]["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=temporary,
                **common,
            )
    except Exception as error:
        raise InputError(
            f"RAY_ADDRESS={address}" if address else "Ray",
            "the cluster cannot be reached" if address else "cannot be started",
            found=" ".join(str(error).split())[:200],
            advice="check address and RAY_AUTH_TOKEN, or unset RAY_ADDRESS to run on this machine",
        ) from error
    stop = threading.Event()
    if address:
        threading.Thread(target=_watch_head, args=(stage, stop), daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        with contextlib.suppress(Exception):
            ray.shutdown()
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _watch_head(stage: str, stop: threading.Event) -> None:
    """End this process with a clear line when the head is gone: Ray itself would wait a minute and then abort."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    failed = 0
    while not stop.wait(HEAD_SECONDS):
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=HEAD_SECONDS).close()
            failed = 0
        except OSError:
            failed += 1
        if failed >= HEAD_TRIES and not stop.is_set():
            sys.stderr.write(
                f"\nhearlab: {stage}: lost the head of the Ray cluster at {host}:{port}; "
                "what was finished is kept, run it again to go on\n"
            )
            sys.stderr.flush()
            os._exit(1)


def _this_node() -> str:
    return str(ray.get_runtime_context().get_node_id())


@contextlib.contextmanager
def _marked(root: Path) -> Iterator[str]:
    """A random mark in the workspace, by which a worker knows whether it sees this very folder."""
    mark = secrets.token_hex(16)
    path = root / ".hearlab" / f"{MARK}.{mark}"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    try:
        yield mark
    finally:
        path.unlink(missing_ok=True)


# --- on the workers -------------------------------------------------------------------------------------------


@ray.remote
class _FileServer:
    """Reads files of the workspace for workers that do not see it."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()


@ray.remote
def _work(unit: Unit, code: str, job: _Job, server: Any) -> _Reply:
    if unit.code_identity() != code:
        cause = (
            f"{socket.gethostname()} has other code than {job.driver} for this unit; "
            "install the same version of HearLab (and of your system) on both"
        )
        return _Reply(Outcome(failure=Failure(unit.id, cause, cause)))
    if (job.root / ".hearlab" / f"{MARK}.{job.mark}").exists():
        folder = unit_folder(job.staging, unit)
        shutil.rmtree(folder, ignore_errors=True)  # of a worker that died
        return _Reply(execute(unit, job.root, folder))
    root = _fetched(unit, server, job)
    out = Path(tempfile.mkdtemp(prefix="out-", dir=_scratch(job)))
    try:
        outcome = execute(unit, root, out)
        return _Reply(outcome, {name: (out / name).read_bytes() for name in unit.outputs if (out / name).is_file()})
    finally:
        shutil.rmtree(out, ignore_errors=True)


_scratch_folders: dict[str, Path] = {}


def _scratch(job: _Job) -> Path:
    """This worker process's own folder for the run."""
    if job.mark not in _scratch_folders:
        folder = Path(tempfile.mkdtemp(prefix="hearlab-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _scratch_folders[job.mark] = folder
    return _scratch_folders[job.mark]


def _fetched(unit: Unit, server: Any, job: _Job) -> Path:
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
