"""A worker process: `python -P -m hearlab.compute.workers.worker HANDLE TRACE MODULE`.

It runs the groups of units that come over a socket, whose number is HANDLE, and sends what becomes of them. It imports
MODULE, that of the first unit's function, before it says that it is ready. The line of a crash goes to the file TRACE.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from hearlab.compute.execution import Failure, Outcome, describe, execute, unit_folder
from hearlab.compute.process import OneThread, interrupt, no_interruption_is_lost
from hearlab.compute.units import Unit
from hearlab.compute.workers.groups import in_turn, same_code
from hearlab.kernels.retained_memory import objects_stay

# What has ended is sent this often: at once where units are slow, many together where they are quick.
SEND_SECONDS = 0.02
READY, END = "ready", b""
PR_SET_PDEATHSIG = 1  # prctl(2)


def main(handle: int, trace: int, module: str) -> None:
    """Serve until there is no more to do, or nobody at the other end."""
    faulthandler.enable(file=trace)
    # Ctrl-C is for the process that started this one, and for programs that units start: those inherit what is ignored.
    signal.signal(signal.SIGINT, lambda *unused: None)
    # It ends as Ctrl-C ends a process that has no workers: what a unit has started ends with it.
    signal.signal(signal.SIGTERM, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _die_with_parent()
    for own in (handle, trace):
        os.set_inheritable(own, False)
    pipe = Connection(handle)
    groups: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, groups), daemon=True).start()
    root, staging, folders, path = pickle.loads(groups.get())  # noqa: S301 - of the process that started this one
    sys.path[:] = folders  # PYTHONPATH holds none with a colon
    os.environ.pop("PYTHONPATH")  # what this process finds is nothing for another Python that a unit starts
    if path is not None:
        os.environ["PYTHONPATH"] = path
    with contextlib.suppress(ImportError), objects_stay():  # the unit itself will say so
        importlib.import_module(module)
    pipe.send(READY)
    with OneThread() as threads:
        while True:
            message = groups.get()
            if message == END:
                return  # what units have left to do at the end of their process is done
            try:
                units, codes = pickle.loads(message)  # noqa: S301
            except (ImportError, AttributeError) as error:
                pipe.send(describe(error))
                continue
            for reply in _run(units, codes, root, staging, threads):
                pipe.send(reply)


def _end_programs() -> None:
    """End what units have started and the interruption has not: Python loses a program that is just starting."""
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for program in path.read_text().split():
                os.kill(int(program), signal.SIGTERM)


def _die_with_parent() -> None:
    """Have Linux kill this process with that which started it: code that keeps Python's lock stops `_receive`, too."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _receive(pipe: Connection, groups: queue.SimpleQueue[bytes]) -> None:
    """Take groups as they come, so that who sends them never waits; end with the process that sends them.

    It may have been killed: then nothing may be written into what another run begins anew.
    """
    try:
        message = None
        while message != END:
            message = pipe.recv_bytes()
            groups.put(message)
    except (EOFError, OSError):
        os._exit(0)


def _run(
    units: Sequence[Unit], codes: Sequence[str], root: Path, staging: Path, threads: OneThread
) -> Iterator[tuple[list[Outcome], float | None] | None]:
    """Outcomes, and at last with them the seconds of all; None if the code is other than that of the driver."""

    def run(unit: Unit) -> Outcome:
        threads.limit()
        outcome = execute(unit, root, unit_folder(staging, unit.id), digests=True)
        try:
            pickle.dumps(outcome.result)
        except Exception as error:
            cause = f"its result cannot be sent: {describe(error)}"
            return Outcome(failure=Failure(unit.id, cause, traceback.format_exc(), unexpected=True))
        return outcome

    began = sent = time.monotonic()
    outcomes: list[Outcome] = []
    if not same_code(units, codes):
        yield None
        return
    for outcome in in_turn(units, run):
        outcomes.append(outcome)
        if time.monotonic() - sent > SEND_SECONDS:
            if not same_code(units, codes):  # it may have changed before it was loaded
                yield None
                return
            yield outcomes, None
            outcomes, sent = [], time.monotonic()
    yield (outcomes, time.monotonic() - began) if same_code(units, codes) else None


if __name__ == "__main__":
    try:
        with no_interruption_is_lost():
            main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    except KeyboardInterrupt:
        _end_programs()
        sys.exit(128 + signal.SIGTERM)
