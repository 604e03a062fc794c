"""The unit that this process runs, noted in a file: if the process dies in it, the next one knows where.

A segmentation fault, or `os._exit` in somebody's code, ends a process without a word. The next start of the stage names
the unit, and runs what is left in a process of its own (`Apart`), whose death is that unit's failure and nothing else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from hearlab.compute.execution import Failure, Outcome, execute
from hearlab.compute.process import OneThread, how_ended
from hearlab.compute.units import Unit

LONGEST = 4096  # bytes of a unit's name
ENDING_SECONDS = 2.0  # for a process that has said all


class InFlight:
    """The note of one stage in one workspace.

    Args:
        folder: of the memo.
        stage: such as 'render_scenes dev'.

    Attributes:
        died: units in which earlier runs of the stage died.
        deadly: those that have died again in a process of their own; they are kept for the next run.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self._path = folder / f"in-flight-{re.sub(r'[^A-Za-z0-9_]+', '-', stage)}.txt"
        self.died = self._read()
        self.deadly: list[str] = []

    def _read(self) -> list[str]:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            return list(filter(None, file.read(LONGEST).decode(errors="replace").splitlines()))
        return []

    @contextlib.contextmanager
    def noted(self) -> Iterator[Callable[[str], None]]:
        """Inside the block the function that is given notes the unit which begins, or none; see `deadly`."""
        handle = None
        with contextlib.suppress(OSError):  # a full disk must not hide what the units have to say
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)

        def note(id: str) -> None:
            if handle is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, "\n".join([*self.deadly, id]).encode()[:LONGEST], 0)

        try:
            yield note
        finally:
            note("")
            if handle is not None:
                os.close(handle)
            if not self.deadly:
                with contextlib.suppress(OSError):
                    self._path.unlink()


class Apart(contextlib.AbstractContextManager["Apart"]):
    """Runs units in a process of their own, one after the other; where it dies, the next unit gets a new one."""

    def __init__(self) -> None:
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def run(self, unit: Unit, root: Path, out: Path) -> tuple[Outcome, bool]:
        """A unit's outcome, and whether the process died in it, by which it has failed."""
        child, pipe = self._started()
        try:
            pipe.send((unit, root, out))
            outcome: Outcome = pipe.recv()
        except (EOFError, ConnectionError):
            child.join()
            cause = f"its process died ({how_ended(child.exitcode)})"
            self._end()
            return Outcome(failure=Failure(unit.id, cause, cause)), True
        return outcome, False

    def _started(self) -> tuple[SpawnProcess, Connection]:
        if self._child is None or self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._child = context.Process(target=_serve, args=(theirs,))
            self._child.start()
            theirs.close()
        return self._child, self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            self._child.join(ENDING_SECONDS)  # it ends when nobody is at the other end of the pipe
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None

    def __exit__(self, *unused: object) -> None:
        self._end()


def _serve(pipe: Connection) -> None:
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with OneThread() as threads:
        while True:
            try:
                unit, root, out = pipe.recv()
            except EOFError:
                return
            threads.limit()
            pipe.send(execute(unit, root, out))


def _end_with_parent() -> None:
    """Where that process was killed, nothing may be written into what another run begins anew."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
