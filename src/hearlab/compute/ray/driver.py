"""Running units on Ray: a local one started for the stage, or the cluster that RAY_ADDRESS names.

A worker that sees the workspace reads and writes it directly. One that does not gets its inputs from a file server on
the driver's machine and sends its outputs back, both through Ray's object store; the driver writes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hearlab.compute.engine import Failure, Outcome, describe, execute, unit_folder
from hearlab.compute.units import Unit, grouped
from hearlab.errors import InputError

# Units submitted for each core: enough that no worker waits, few enough that the driver holds few results.
UNITS_PER_CORE = 2
# How often a unit is tried again after its worker or node died; units that fail by themselves are not tried again.
RETRIES = 3
COUNT_SECONDS = 1.0
# The cluster's head is taken for lost after this many failed connections, this many seconds apart.
HEAD_TRIES, HEAD_SECONDS = 4, 2.0
CONNECT_SECONDS = 60.0
ADVICE = "check address and RAY_AUTH_TOKEN, or unset RAY_ADDRESS to run on this machine"
SAME_CODE = "install the same version of HearLab (and of your system) on all; what was finished is kept"
MARK = "workspace-mark"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SCRATCH = "hearlab-scratch-"
SENT_AT_MOST = 2 << 30  # bytes of inputs that a worker without the workspace keeps
CLEARING_SECONDS = 10.0


@dataclass(frozen=True)
class _Job:
    """What every unit of a run has in common."""

    root: Path
    staging: Path
    mark: str


@dataclass(frozen=True)
class _Reply:
    """What a worker sends: its files lie in a folder of the staging folder, or, if it does not see that, are here."""

    outcome: Outcome | None  # None: the worker refused
    folder: str | None = None
    files: dict[str, bytes] | None = None
    node: str | None = None  # where it keeps inputs that it was sent
    refused_by: str | None = None  # host whose code is other than the driver's


def run_on_ray(
    units: Sequence[Unit], root: Path, staging: Path, stage: str, *, workers: int, idle: Callable[[], None]
) -> Iterator[tuple[Unit, Outcome]]:
    """Run units on Ray and give their outcomes as they come; files are then in their staging folders.

    `idle` is called when there was nothing to give for a while.

    Raises:
        InputError: the cluster cannot be reached, or one of its nodes has other code.
    """
    with _connected(workers, stage), _marked(staging) as mark:
        server = _FileServer.options(  # type: ignore[attr-defined]
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(_this_node(), soft=False)
        ).remote(str(root))
        job = ray.put(_Job(root, staging, mark))
        running: dict[Any, list[Unit]] = {}
        served: set[str] = set()  # nodes that do not see the workspace
        waiting = list(reversed(grouped(units)))
        cores, counted = 1, -COUNT_SECONDS
        try:
            while waiting or running:
                if time.monotonic() - counted > COUNT_SECONDS:  # nodes come and go; asking takes 1 ms
                    cores, counted = int(ray.cluster_resources().get("CPU", 1)), time.monotonic()
                while waiting and len(running) < max(1, cores) * UNITS_PER_CORE:
                    group = waiting.pop()
                    options = {
                        "num_cpus": 1,
                        "num_gpus": max(unit.gpus for unit in group),
                        "memory": max(unit.memory for unit in group),
                        "max_retries": RETRIES,
                    }
                    codes = [unit.code_identity() for unit in group]
                    running[_work.options(**options).remote(group, codes, job, server)] = group
                ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                if not ready:
                    idle()
                for reference in ready:
                    yield from _received(reference, running.pop(reference), staging, served)
        finally:
            for reference in running:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)
            _clear_scratch(served, mark)


def _received(reference: Any, group: list[Unit], staging: Path, served: set[str]) -> list[tuple[Unit, Outcome]]:
    try:
        replies: list[_Reply] = ray.get(reference)
    except Exception as error:
        _check_unpacked(error)
        cause = describe(error)[:300]
        if isinstance(error, ray.exceptions.OutOfMemoryError | ray.exceptions.WorkerCrashedError):
            cause = f"its worker process died {RETRIES + 1} times (out of memory?); set HEARLAB_WORKERS lower"
        return [(unit, Outcome(failure=Failure(unit.id, cause, str(error)))) for unit in group]
    return [(unit, _outcome(unit, reply, staging, served)) for unit, reply in zip(group, replies, strict=True)]


def _outcome(unit: Unit, reply: _Reply, staging: Path, served: set[str]) -> Outcome:
    """What a worker replied, its files put into the unit's staging folder."""
    if reply.outcome is None:
        # Not this unit's fault: that node would refuse all others just as fast.
        raise InputError(
            f"node {reply.refused_by} of the Ray cluster",
            f"has other code than {socket.gethostname()} for {unit.id}",
            advice=SAME_CODE,
        )
    folder = unit_folder(staging, unit)
    if reply.node is not None:
        served.add(reply.node)
    if reply.folder is not None:
        os.replace(staging / reply.folder, folder)
    if reply.files is not None:
        for name, content in reply.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return reply.outcome


def _check_unpacked(error: Exception) -> None:
    """Raise InputError if a unit failed because its node lacks the code; Ray gives this as a text only."""
    text = str(error)
    missing = re.search(r"No module named '[^']+'|Can't get attribute '[^']+'", text)
    if isinstance(error, ray.exceptions.RayTaskError) and missing:
        node = re.search(r"ip=([0-9a-fA-F.:]+)", text)
        where = f"node {node[1]} of the Ray cluster" if node else "a node of the Ray cluster"
        raise InputError(where, "lacks code of this stage", found=missing[0], advice=SAME_CODE) from error


_held_folders: list[int] = []


def _own_folder(prefix: str, parent: str, more: str = "") -> Path:
    """A new temporary folder, held with a lock; takes away those of the same prefix whose processes were killed."""
    for left in Path(parent).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A new one is not held yet for a moment.
                if os.fstat(handle).st_uid == os.getuid() and time.time() - os.fstat(handle).st_mtime > 60:
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
    folder = tempfile.mkdtemp(prefix=prefix + more, dir=parent)
    _held_folders.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    fcntl.flock(_held_folders[-1], fcntl.LOCK_EX)
    return Path(folder)


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
            _connect(address, stage, common)
        else:
            # Unix sockets want short paths; a folder of our own is private and goes away with the run.
            temporary = _own_folder("hl-ray-", "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
            # Its workers find the modules that this process finds.
            common["runtime_env"]["env_vars"]["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(temporary),
                **common,
            )
    except Exception as error:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(
            f"RAY_ADDRESS={address}" if address else "Ray",
            "the cluster cannot be reached" if address else "cannot be started",
            found=" ".join(str(error).split())[:200],
            advice=ADVICE if address else None,
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


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS / 4).close()


def _connect(address: str, stage: str, options: Mapping[str, Any]) -> None:
    """Connect to a cluster, or fail with one line and in bounded time; Ray has no limit of its own.

    Raises:
        OSError: nothing listens there, or no cluster that answers to our token.
    """
    _knock(address)
    shown = os.dup(2)
    with tempfile.TemporaryFile() as log:
        # Ray's library warns on standard error, every second, of what one line says in the end.
        os.dup2(log.fileno(), 2)

        def give_up() -> None:
            os.dup2(shown, 2)
            _end(f"{stage}: RAY_ADDRESS={address}: no answer from the cluster in {CONNECT_SECONDS:g} s; {ADVICE}")

        timer = threading.Timer(CONNECT_SECONDS, give_up)
        timer.daemon = True
        timer.start()
        try:
            ray.init(address=address, **options)
        except ConnectionError as error:
            log.seek(0)
            if b"InvalidAuthToken" in log.read():
                raise ConnectionError("it has another RAY_AUTH_TOKEN") from error
            raise
        finally:
            timer.cancel()
            os.dup2(shown, 2)
            os.close(shown)


def _end(text: str) -> None:
    """End this process at once, with one line: its main thread waits inside Ray and cannot be interrupted."""
    sys.stderr.write(f"\nhearlab: {text}\n")
    sys.stderr.flush()
    os._exit(1)


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
            _end(
                f"{stage}: lost the head of the Ray cluster at {host}:{port}; "
                "what was finished is kept, run it again to go on"
            )


def _this_node() -> str:
    return str(ray.get_runtime_context().get_node_id())


@contextlib.contextmanager
def _marked(staging: Path) -> Iterator[str]:
    """A random mark in the staging folder, by which a worker knows whether it sees this very workspace."""
    mark = secrets.token_hex(16)
    path = staging / f"{MARK}.{mark}"
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
def _work(group: list[Unit], codes: list[str], job: _Job, server: Any) -> list[_Reply]:
    return [_reply(unit, code, job, server) for unit, code in zip(group, codes, strict=True)]


def _reply(unit: Unit, code: str, job: _Job, server: Any) -> _Reply:
    if unit.code_identity() != code:
        return _Reply(None, refused_by=socket.gethostname())
    if (job.staging / f"{MARK}.{job.mark}").exists():
        # A folder for each attempt: a worker given up for lost may still be writing.
        folder = unit_folder(job.staging, unit)
        folder = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}")
        return _Reply(execute(unit, job.root, folder), folder=folder.name)
    root = _fetched(unit, server, job)
    out = Path(tempfile.mkdtemp(prefix="out-", dir=_scratch(job)))
    try:
        outcome = execute(unit, root, out)
        files = {name: (out / name).read_bytes() for name in unit.outputs if (out / name).is_file()}
        return _Reply(outcome, files=files, node=_this_node())
    finally:
        shutil.rmtree(out, ignore_errors=True)


_scratch_folders: dict[str, Path] = {}


def _scratch(job: _Job) -> Path:
    """This worker process's own folder for the run; the driver has it removed, for Ray kills workers at the end."""
    if job.mark not in _scratch_folders:
        _scratch_folders[job.mark] = _own_folder(SCRATCH, tempfile.gettempdir(), f"{job.mark}-")
    return _scratch_folders[job.mark]


def _clear_scratch(nodes: set[str], mark: str) -> None:
    """Remove the folders that the workers of a run had on other machines."""
    with contextlib.suppress(Exception):
        places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        tasks = [_remove_scratch.options(num_cpus=0, scheduling_strategy=place).remote(mark) for place in places]
        ray.wait(tasks, num_returns=len(tasks), timeout=CLEARING_SECONDS)


@ray.remote
def _remove_scratch(mark: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}{mark}-*"):
        shutil.rmtree(folder, ignore_errors=True)


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
