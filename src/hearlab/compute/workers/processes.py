"""Worker processes of this machine, for one stage.

Executors of the standard library and of joblib fail as a whole when one of their processes dies, and import the main
program anew; here a death concerns the units of that process alone, and a notebook or a script is no hindrance.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hearlab.compute.execution import Outcome, unit_folder
from hearlab.compute.process import RETRIES, THREAD_VARIABLES, died_so_often, process_died
from hearlab.compute.units import Unit
from hearlab.compute.workers.crashes import Crashes, how_died, read_trace, trace_file
from hearlab.compute.workers.groups import GROUP_SECONDS, Groups
from hearlab.compute.workers.worker import END, READY
from hearlab.cores import usable_memory
from hearlab.errors import InputError

WAIT_SECONDS = 0.25
ENDING_SECONDS = 2.0  # for a process that has nothing to do
# Of the memory that there is: the rest is for the driver and what else runs, as Ray has it.
MEMORY_PART = 0.7
SAME_CODE = "run it again: what was finished is kept"


class WorkerProcess:
    """One process, and the groups that it was sent and that are not done.

    Args:
        module: that it imports first.
        root: the workspace.
        staging: for the units' files.
    """

    def __init__(self, module: str, root: Path, staging: Path) -> None:
        self._trace = trace_file()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            environment = {**os.environ, **dict.fromkeys((*THREAD_VARIABLES, "NUMBA_NUM_THREADS"), "1")}
            folders = [path or os.getcwd() for path in sys.path]
            environment["PYTHONPATH"] = os.pathsep.join(folders)
            handles = theirs.fileno(), self._trace.fileno()
            command = [sys.executable, "-P", "-m", "hearlab.compute.workers.worker", *map(str, handles), module]
            # Ctrl-C goes to all processes of a terminal: this one is deaf to it until it can say what becomes of it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=handles)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self.pipe = Connection(ours.detach())
        self.groups: deque[list[Unit]] = deque()
        self.ready = False
        with contextlib.suppress(OSError):  # it has ended: that is seen when it is listened to
            self.pipe.send((root, staging, folders, os.environ.get("PYTHONPATH")))

    def let_go(self) -> None:
        """Let the process end: it has nothing to do, or sees that nobody is at the other end of the pipe."""
        if not self.pipe.closed:
            with contextlib.suppress(OSError):
                if self.ready:
                    self.pipe.send_bytes(END)
            self.pipe.close()

    def end(self, seconds: float) -> None:
        """Let the process end; kill it if it takes longer."""
        self.let_go()
        self._wait(seconds)

    def stop(self, seconds: float) -> None:
        """Wait for a process that was told to end (`Popen.terminate`); kill it if it takes longer."""
        self._wait(seconds)
        self.pipe.close()  # not before: that would end it at once

    def _wait(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._trace.close()

    def died(self) -> tuple[int, str, str]:
        """Waits for a process that dies; gives its exit code, how it ended, and its trace, empty without a crash."""
        code = self.process.wait()
        trace = read_trace(self._trace)
        return code, how_died(code, trace), trace

    @property
    def memory(self) -> int:
        """Bytes that its groups need at most."""
        return max((unit.memory for group in self.groups for unit in group), default=0)


def worker_memory() -> float:
    """Bytes that all workers together may use."""
    return usable_memory() * MEMORY_PART


def fitting(count: int, groups: Groups, memory: float) -> int:
    """How many of so many workers have something to do at the same time: a unit, and memory for it."""
    return max(1, min(count, len(groups), int(memory // max(groups.first.memory, 1))))


def other_code(found: str | None) -> InputError:
    """The error for a worker that refuses units."""
    return InputError(
        "a worker process", "has other code than the stage that started it", found=found, advice=SAME_CODE
    )


class Workers(contextlib.AbstractContextManager["Workers"]):
    """Processes that take units from `groups` as soon as they are ready, until the end of the block.

    Args:
        count: of processes.
        groups: what is to do; others may take from it, too.
        root: the workspace.
        staging: for the units' files.
        code: gives the identity of a unit's code.
        crashes: of this and of other processes of the stage.
    """

    def __init__(
        self,
        count: int,
        groups: Groups,
        root: Path,
        staging: Path,
        code: Callable[[Unit], str],
        crashes: Crashes | None = None,
    ) -> None:
        self._groups, self._staging, self._code = groups, staging, code
        self._crashes = crashes or Crashes()
        here = root == Path.cwd()  # messages then name files as the user knows them
        module = groups.first.function.__module__
        self._start = partial(WorkerProcess, module, Path() if here else root, staging)
        self._memory = worker_memory()
        self._deaths: Counter[str] = Counter()
        self._count = fitting(count, groups, self._memory)
        self._workers: list[WorkerProcess] = []
        self.served = False  # whether any of them has done a unit

    def __enter__(self) -> Workers:
        try:
            self._workers += (self._start() for _ in range(self._count))
        except OSError as error:
            self._stop()
            raise InputError("worker processes", "cannot be started", found=error.strerror) from error
        return self

    def __exit__(self, error: type[BaseException] | None, *unused: object) -> None:
        if error is not None:
            self._stop()
        for worker in self._workers:
            worker.let_go()
        for worker in self._workers:
            worker.end(ENDING_SECONDS)

    @property
    def ready(self) -> bool:
        """Whether any of them has loaded what it needs."""
        return any(worker.ready for worker in self._workers)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + ENDING_SECONDS
        for worker in self._workers:
            worker.stop(max(0.0, until - time.monotonic()))

    def now(self, seconds: float = 0.0) -> Iterator[tuple[Unit, Outcome]]:
        """What has come by now, or comes first within so many seconds; workers without units get more.

        Raises:
            InputError: the code is not what it was, or a process ends before it is ready.
        """
        pipes: dict[Any, WorkerProcess] = {worker.pipe: worker for worker in self._workers}
        heard = [pipes[pipe] for pipe in wait(list(pipes), seconds)]
        # Where something that a unit has started holds the socket, its process is gone all the same.
        silent = [worker for worker in self._workers if worker not in heard and worker.process.poll() is not None]
        for worker in (*heard, *silent):
            try:
                message = worker.pipe.recv() if worker in heard else None
            except (EOFError, OSError):
                yield from self._died(worker)
                continue
            if worker in silent:
                yield from self._died(worker)
            else:
                yield from self._received(worker, message)
        for worker in self._workers:
            self._feed(worker)

    def rest(self, idle: Callable[[], None]) -> Iterator[tuple[Unit, Outcome]]:
        """All that is left; `idle` is called when nothing came for a while."""
        while len(self._groups) or any(worker.groups for worker in self._workers):
            came = False
            for unit, outcome in self.now(WAIT_SECONDS):
                came = True
                yield unit, outcome
            if not came:
                idle()

    def _received(self, worker: WorkerProcess, message: Any) -> Iterator[tuple[Unit, Outcome]]:
        if message == READY:
            worker.ready = True
            return
        if not isinstance(message, tuple):
            raise other_code(message)
        outcomes, seconds = message
        group = worker.groups[0]
        done, worker.groups[0] = group[: len(outcomes)], group[len(outcomes) :]
        if seconds is not None:
            self._groups.put_back(worker.groups.popleft())
        self._groups.took(len(outcomes), sum(outcome.seconds for outcome in outcomes))
        self.served |= bool(outcomes)
        self._feed(worker)
        yield from zip(done, outcomes, strict=True)

    def _feed(self, worker: WorkerProcess) -> None:
        """Give a worker a group; where groups are quick another one, which it finds when it has done the first."""
        while len(self._groups) and len(worker.groups) < (2 if worker.ready else 1):
            if worker.groups and (self._groups.seconds or 1.0) * len(worker.groups[0]) > 2 * GROUP_SECONDS:
                return
            if worker.groups and len(self._groups) <= len(self._workers):  # the last ones go to those who have nothing
                return
            busy = sum(other.memory for other in self._workers if other is not worker)
            if busy and busy + max(worker.memory, self._groups.first.memory) > self._memory:
                return
            group = self._groups.take(len(self._workers))
            worker.groups.append(group)
            with contextlib.suppress(OSError):  # it has died, which is seen when it is listened to
                worker.pipe.send((group, [self._code(unit) for unit in group]))

    def _died(self, worker: WorkerProcess) -> Iterator[tuple[Unit, Outcome]]:
        """Its units run again: where there were several in its hands, each alone, to see which of them ends it."""
        code, how, trace = worker.died()
        worker.stop(ENDING_SECONDS)
        if not worker.ready:
            raise InputError(
                "a worker process",
                "ended while it started",
                found=how,
                advice="HEARLAB_WORKERS=1 goes without",
            )
        self._workers[self._workers.index(worker)] = self._start()
        begun, *waiting = worker.groups or [[]]
        for group in reversed(waiting):
            self._groups.put_back(group)
        for unit in begun:
            shutil.rmtree(unit_folder(self._staging, unit.id), ignore_errors=True)
        if len(begun) == 1:
            (unit,) = begun
            self._deaths[unit.id] += 1
            if self._deaths[unit.id] > RETRIES:
                # Of a crash there is a trace, and a unit that ends its process does so in any: `Apart` says the same.
                known = trace or code >= 0
                often = how + ("; out of memory?" if code == -signal.SIGKILL else "")
                cause = process_died(how) if known else died_so_often(often)
                yield unit, self._crashes.outcome(unit.id, cause, trace)
                return
        self._groups.put_back(begun, alone=True)
