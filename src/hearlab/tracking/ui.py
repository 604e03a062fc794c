"""MLflow's user interface for the runs of this repository, on this machine only."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TextIO

from hearlab.errors import InputError
from hearlab.tracking.server import ALIVE, DEFAULTS, FORCED
from hearlab.tracking.store import ARTEFACTS, backend

HOST = "127.0.0.1"
START_SECONDS = 120.0  # MLflow takes a few, and on a busy machine many more
POLL_SECONDS = 0.3
END_SECONDS = 10.0


def show(root: Path, port: int, *, browser: bool, say: Callable[[str], None]) -> int:
    """Serve the interface until it is interrupted; gives its exit code. A tracking server has its own: it is opened.

    Raises:
        InputError: MLflow is not installed, or does not start (the port may be taken).
    """
    where = backend(root)
    if where.on_server:
        say(f"MLflow: {where.shown}")
        if browser:
            _open(where.shown)  # command lines are for everybody to read
        return 0
    address = f"http://{HOST}:{port}"
    if _answers(port) is not None:
        raise InputError("--port", "is taken by another server", found=port, advice="choose another, such as 5001")
    store = ("--default-artifact-root", (where.home / ARTEFACTS).as_uri())
    network = ("--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning")
    # Without the seven processes for the evaluation of language models that would start beside it.
    environment = {**os.environ, **DEFAULTS, **FORCED, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment |= {"PYTHONWARNINGS": "ignore", "MLFLOW_BACKEND_STORE_URI": where.uri}
    command = (sys.executable, "-m", "mlflow", "server", *store, *network)
    # A group of its own, so that its helpers end with it, and a signal that ends this process like Ctrl-C.
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    server = subprocess.Popen(command, cwd=where.home, env=environment, start_new_session=True, **output)
    threading.Thread(target=_pass_on, args=(server.stdout,), daemon=True).start()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        _wait(server, port)
        say(f"MLflow: {address} (Ctrl-C ends it)")
        if browser:
            _open(address)
        return server.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)


def _pass_on(output: TextIO) -> None:
    """What the server says, as what this process says: without secrets."""
    for line in output:
        sys.stderr.write(line)


def _interrupt(*unused: object) -> NoReturn:
    raise KeyboardInterrupt


def _end(server: subprocess.Popen[str]) -> None:
    """End the server and its helpers; those that do not listen (open connections keep them) are killed."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, ending)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(END_SECONDS)


def _answers(port: int) -> bool | None:
    """Whether a web server answers at a port of this machine; None if nothing is there. No proxy is between."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.connect()
    except OSError:
        return None
    try:
        connection.request("GET", ALIVE)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(server: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > end:
            raise InputError(
                "mlflow", "did not start", wanted=f"http://{HOST}:{port}", advice="see above; --port chooses another"
            )
        time.sleep(POLL_SECONDS)


def _open(address: str) -> None:
    # A machine without a screen has text browsers at best, which would take over the terminal.
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)
