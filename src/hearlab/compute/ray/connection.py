"""A connection to Ray: one started for the stage on this machine, or the cluster that RAY_ADDRESS names."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from hearlab.compute.ray.own_folder import own_folder
from hearlab.errors import InputError
from hearlab.kernels.arithmetic import variables_here
from hearlab.secrets import hide

# The cluster's head is taken for lost after this many failed connections, this many seconds apart.
HEAD_TRIES, HEAD_SECONDS = 4, 2.0
# Where Ray finds its node gone in the middle of a call, it ends this process at once and says nothing. A process of its
# own then says why: its standard input ends without a word, and nothing listens at the head's address.
WITNESS = """
import socket, sys
host, port, seconds, line = sys.argv[1:]
if not sys.stdin.read():
    try:
        socket.create_connection((host, int(port)), timeout=float(seconds)).close()
    except OSError:
        sys.stderr.write(line)
"""
CONNECT_SECONDS = 60.0
ADVICE = "check address and RAY_AUTH_TOKEN, or unset RAY_ADDRESS to run on this machine"
LOCAL_VARIABLES = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextlib.contextmanager
def connected(workers: int, stage: str) -> Iterator[None]:
    """Inside the block Ray runs, with so many workers if it is started here.

    Raises:
        InputError: the cluster cannot be reached, or Ray cannot be started.
    """
    address = os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
        "namespace": f"hearlab-{uuid.uuid4().hex[:8]}",
        "runtime_env": {"env_vars": {**dict.fromkeys(THREAD_VARIABLES, "1"), **variables_here()}},
    }
    temporary = None
    try:
        if address:
            _connect(address, stage, common)
        else:
            # Unix sockets want short paths; a folder of our own is private and goes away with the run.
            temporary = own_folder("hl-ray-", "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
            # Its workers find the modules that this process finds.
            common["runtime_env"]["env_vars"]["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            # Ray lets everybody write into the folder that it is given: one in ours, which nobody else can enter.
            folder = str(temporary / "r")
            with _loopback_only():
                ray.init(address="local", num_cpus=workers, include_dashboard=False, _temp_dir=folder, **common)
    except Exception as error:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(
            f"RAY_ADDRESS={address}" if address else "Ray",
            "the cluster cannot be reached" if address else "cannot be started",
            found=hide(" ".join(str(error).split()))[:200],
            advice=ADVICE if address else None,
        ) from error
    try:
        with _watched_head(stage) if address else contextlib.nullcontext():
            yield
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _loopback_only() -> Iterator[None]:
    """A Ray that is started inside the block is reached from this machine alone, and reports to nobody.

    On Linux Ray listens on all interfaces, and replaces 127.0.0.1 by the machine's address, unless this setting says
    that it is to be no cluster. It is read when Ray is imported.
    """
    before = {name: os.environ.get(name) for name in LOCAL_VARIABLES}
    enabled = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(LOCAL_VARIABLES)
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def _line(text: str) -> str:
    return f"\nhearlab: {text}\n"


def _end(text: str) -> None:
    """End this process at once, with one line: its main thread waits inside Ray and cannot be interrupted."""
    sys.stderr.write(_line(text))
    sys.stderr.flush()
    os._exit(1)


@contextlib.contextmanager
def _watched_head(stage: str) -> Iterator[None]:
    """Inside the block this process ends with a clear line when the head is gone; Ray would abort after a minute."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    host = host.strip("[]")
    lost = f"{stage}: lost the head of the Ray cluster at {host}:{port}; "
    lost += "what was finished is kept, run it again to go on"
    witness = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WITNESS, host, port, str(HEAD_SECONDS), _line(lost)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process
    )
    stop = threading.Event()

    def watch() -> None:
        failed = 0
        while not stop.wait(HEAD_SECONDS):
            try:
                socket.create_connection((host, int(port)), timeout=HEAD_SECONDS).close()
                failed = 0
            except OSError:
                failed += 1
            if failed >= HEAD_TRIES and not stop.is_set():
                witness.communicate(b"said")
                _end(lost)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        witness.communicate(b"ended")
