"""The processes that run a sweep's experiments, and what becomes of them at Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.compute.process import worker_count
from hearlab.source import running_source
from hearlab.sweep.points import Point

FOLDER = ".hearlab/sweep"
END_SECONDS = 120.0  # that an interrupted stage has to keep what it has finished


@dataclass(frozen=True)
class Ran:
    """An experiment that came to its end.

    Attributes:
        seconds: that it took.
        error: why it failed; None if it did not.
        log: what DVC and the stages printed.
    """

    point: Point
    seconds: float
    error: str | None
    log: Path


def run_points(root: Path, wanted: Sequence[Point], jobs: int = 1) -> Iterator[Ran]:
    """Run experiments, `jobs` at a time, and give each when it ends.

    The first one runs alone: what all have in common is computed by it, and the others find it in the memo.

    Raises:
        KeyboardInterrupt: interrupted. The experiments that had ended are kept, and so are the finished units of those
            that had not.
    """
    if not wanted:
        return
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "worker.log").unlink(missing_ok=True)
    waiting = list(wanted)
    ended: queue.Queue[Ran] = queue.Queue()
    with _Workers(root, folder, ended) as workers:
        workers.start(1)
        workers.give(0, waiting.pop(0))
        yield ended.get()
        count = min(jobs, len(waiting))
        if count > 1:
            workers.stop()
            workers.start(count)
        for place in range(count):
            workers.give(place, waiting.pop(0))
        running = count
        while running:
            ran = ended.get()
            place = workers.place_of(ran.point)
            if waiting:
                workers.give(place, waiting.pop(0))
            else:
                running -= 1
            yield ran


class _Workers(contextlib.AbstractContextManager["_Workers"]):
    def __init__(self, root: Path, folder: Path, ended: queue.Queue[Ran]) -> None:
        self.root, self.folder, self.ended = root, folder, ended
        self.processes: list[subprocess.Popen[str]] = []
        self.environment: dict[str, str] = {}
        self.places: dict[str, int] = {}

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.interrupt()

    def start(self, count: int) -> None:
        """Start workers; several of them share the cores."""
        paths = filter(None, [str(running_source()), os.environ.get("PYTHONPATH")])
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        if count > 1:
            self.environment["HEARLAB_WORKERS"] = str(max(1, worker_count() // count))
        self.processes += [self._process() for _ in range(count)]

    def _process(self) -> subprocess.Popen[str]:
        with (self.folder / "worker.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "hearlab.sweep.worker", str(self.root)],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C reaches it once, from here
            )

    def give(self, place: int, point: Point) -> None:
        """Let a worker run an experiment; what becomes of it goes to `ended`."""
        self.places[point.name] = place
        if self.processes[place].poll() is not None:  # it was killed; the others need not fail
            self.processes[place] = self._process()
        process, log = self.processes[place], self.folder / f"{point.name}.log"
        threading.Thread(target=self._run, args=(process, point, log), daemon=True).start()

    def place_of(self, point: Point) -> int:
        return self.places[point.name]

    def _run(self, process: subprocess.Popen[str], point: Point, log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        began = time.monotonic()
        error: str | None = "the process that ran it has ended"
        with contextlib.suppress(OSError, ValueError):  # it has ended
            task = {**vars(point), "log": str(log)}
            process.stdin.write(json.dumps(task, default=str) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if answer:
                error = json.loads(answer)["error"]
            else:
                process.wait()
        self.ended.put(Ran(point, time.monotonic() - began, error, log))

    def stop(self) -> None:
        """Let the workers end, which have nothing to do."""
        for process in self.processes:
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
            process.wait()
        self.processes.clear()

    def interrupt(self) -> None:
        """Ctrl-C for the workers and the stages that they run; the stages keep what they have finished."""
        for number, seconds in ((signal.SIGINT, END_SECONDS), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
            for process in self.processes:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, number)
                    if process.stdin is not None:
                        process.stdin.close()
            until = time.monotonic() + seconds
            for process in self.processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(until - time.monotonic(), 0.1))
            if all(process.poll() is not None for process in self.processes):
                break
        self.processes.clear()
