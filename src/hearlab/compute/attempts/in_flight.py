"""The unit that this process runs, noted in a file: if the process dies in it, the next one knows where.

A segmentation fault, or `os._exit` in somebody's code, ends a process without a word. The next start of the stage names
the unit, and runs what is left in a process of its own (`Apart`), whose death is that unit's failure and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hearlab.compute.execution import Outcome
from hearlab.compute.process import process_died
from hearlab.compute.units import Unit
from hearlab.compute.workers.crashes import Crashes
from hearlab.compute.workers.processes import ENDING_SECONDS, WAIT_SECONDS, WorkerProcess, other_code
from hearlab.compute.workers.worker import READY

LONGEST = 1 << 16  # bytes of the notes, of which the oldest go first
MOST = 32  # units of one system


def named(unit: Unit) -> str:
    """A unit by its name and by that of the code that it loads: with another system it is no unit that has died."""
    return f"{' '.join(unit.code)}\t{unit.id}"


class InFlight:
    """The notes of one stage in one workspace: the unit that runs, and those that died and have not ended well since.

    Args:
        folder: of the memo.
        stage: such as 'render_scenes dev'.

    Attributes:
        died: units in which runs of the stage died, as `named` gives them, the latest last. Those of other systems, and
            those that a run does not come to, stay for the next run.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self._path = folder / f"in-flight-{re.sub(r'[^A-Za-z0-9_]+', '-', stage)}.txt"
        self.died = self._read()

    def _read(self) -> list[str]:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            return list(filter(None, file.read(LONGEST).decode(errors="replace").splitlines()))
        return []

    def ended(self, unit: Unit) -> None:
        """A unit has come to its end: what was noted of it is over."""
        if self.died:
            self.died = [name for name in self.died if name != named(unit)]

    def has_died(self, unit: Unit) -> None:
        """A unit has died again, in a process of its own."""
        self.died = self._with(unit)

    def _with(self, unit: Unit) -> list[str]:
        return _latest([*(name for name in self.died if name != named(unit)), named(unit)])

    @contextlib.contextmanager
    def noted(self) -> Iterator[Callable[[Unit | None], None]]:
        """Inside the block the function that is given notes the unit which begins, or none, beside those that died."""
        handle = None
        with contextlib.suppress(OSError):  # a full disk must not hide what the units have to say
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)

        def note(unit: Unit | None) -> None:
            if handle is not None:
                names = self._with(unit) if unit else self.died
                content = "\n".join(names).encode()[-LONGEST:]
                with contextlib.suppress(OSError):  # longer at first: a kill between loses no name
                    os.pwrite(handle, content, 0)
                    os.ftruncate(handle, len(content))

        try:
            yield note
        finally:
            note(None)
            if handle is not None:
                os.close(handle)
            if not self.died:
                with contextlib.suppress(OSError):
                    self._path.unlink()


def _latest(names: Sequence[str]) -> list[str]:
    """The latest of each system, as many as fit."""
    counts: Counter[str] = Counter()
    kept: list[str] = []
    size = 0
    for name in reversed(names):
        system = name.partition("\t")[0]
        counts[system] += 1
        size += len(name.encode()) + 1
        if size > LONGEST:
            break
        if counts[system] <= MOST:
            kept.insert(0, name)
    return kept


class Apart(contextlib.AbstractContextManager["Apart"]):
    """Runs units in a process of their own, one after the other; where it dies, the next unit gets a new one.

    Args:
        crashes: of this and of other processes of the stage.
    """

    def __init__(self, crashes: Crashes | None = None) -> None:
        self._crashes = crashes or Crashes()
        self._process: WorkerProcess | None = None

    def run(self, unit: Unit, root: Path, staging: Path) -> tuple[Outcome, bool]:
        """A unit's outcome, and whether the process died in it, by which it has failed.

        Raises:
            InputError: the process finds other code than this one.
        """
        process = self._process = self._process or WorkerProcess(unit.function.__module__, root, staging)
        outcomes: list[Outcome] = []
        seconds = None
        try:
            process.pipe.send(([unit], [unit.code_identity()]))
            while seconds is None:
                # Where something that a unit has started holds the socket, its process is gone all the same.
                while not process.pipe.poll(WAIT_SECONDS):
                    if process.process.poll() is not None and not process.pipe.poll():
                        raise EOFError
                message = process.pipe.recv()
                if message == READY:
                    process.ready = True
                    continue
                if not isinstance(message, tuple):
                    raise other_code(message)
                outcomes += message[0]
                seconds = message[1]
        except (EOFError, ConnectionError):
            _, how, trace = process.died()
            self._end()
            return self._crashes.outcome(unit.id, process_died(how), trace), True
        return outcomes[0], False

    def _end(self) -> None:
        if self._process is not None:
            self._process.end(ENDING_SECONDS)
            self._process = None

    def __exit__(self, error: type[BaseException] | None, *unused: object) -> None:
        if error is not None and self._process is not None:
            self._process.process.terminate()
            self._process.stop(ENDING_SECONDS)
        self._end()
