"""The unit that this process runs, noted in a file: if the process dies in it, the next one knows where.

A segmentation fault, or `os._exit` in somebody's code, ends a process without a word. The next start of the stage names
the unit, and runs it in a process of its own, whose death is that unit's failure and nothing else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from hearlab.compute.execution import Failure, Outcome, execute
from hearlab.compute.process import OneThread
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


def run_apart(unit: Unit, root: Path, out: Path) -> tuple[Outcome, bool]:
    """Run a unit in a process of its own: its outcome, and whether that process died, by which the unit has failed."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(unit, root, out, sender))
    child.start()
    sender.close()
    try:
        outcome: Outcome = receiver.recv()
    except EOFError:
        child.join()
        cause = f"its process died ({_how(child.exitcode)})"
        return Outcome(failure=Failure(unit.id, cause, cause)), True
    finally:
        receiver.close()
        child.join(ENDING_SECONDS)
        child.kill()
        child.join()
    return outcome, False


def _child(unit: Unit, root: Path, out: Path, sender: Connection) -> None:
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    with OneThread() as threads:
        threads.limit()
        sender.send(execute(unit, root, out))


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"{signal.Signals(-code).name}: {signal.strsignal(-code)}"
    except ValueError:
        return f"signal {-code}"
