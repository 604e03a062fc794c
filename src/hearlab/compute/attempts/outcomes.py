"""Where units run: one by one in this process, and where that ends sooner in worker processes or on Ray."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hearlab.compute import timings
from hearlab.compute.attempts.failures import NAMED
from hearlab.compute.attempts.in_flight import Apart, InFlight, named
from hearlab.compute.attempts.worth import Look, load_of_others, slowdown, worth_workers
from hearlab.compute.execution import Outcome, execute, unit_folder
from hearlab.compute.process import OneThread, private_ray_token, worker_count
from hearlab.compute.units import Unit
from hearlab.compute.workers.crashes import Crashes
from hearlab.compute.workers.groups import Groups
from hearlab.compute.workers.processes import Workers, fitting, worker_memory
from hearlab.cores import usable_cores
from hearlab.progress import UnitProgress
from hearlab.text import few

# How many units tell how long the others will take.
LATEST_UNITS = 5
# Units that are slower do not go on in this process when a worker could take them.
QUICK_SECONDS = 0.25
WORKERS, RAY = "workers", "ray"
# Measured on two cores: a local Ray takes 7 to 10 s to start and end, with its helpers and the workers' imports.
RAY_START_SECONDS = 10.0


def outcomes(
    units: Sequence[Unit],
    root: Path,
    staging: Path,
    stage: str,
    *,
    idle: Callable[[], None],
    code: Callable[[Unit], str] = Unit.code_identity,
    progress: UnitProgress | None = None,
    in_flight: InFlight | None = None,
    start: timings.WorkersStart | None = None,
    seconds: float = 0.0,
) -> Generator[tuple[Unit, Outcome], None, None]:
    """Run units and give their outcomes as they come; files are then in their staging folders.

    While workers start, units go on in this process. Where it is known that workers will pay before any unit has run,
    they start at once and this process runs none: it would load all that they load, on a core that they want.

    Args:
        idle: called when there was nothing to give for a while.
        code: gives the identity of a unit's code.
        progress: the line above which messages and what units print are shown.
        in_flight: notes which unit runs in this process.
        start: how long workers take to start here.
        seconds: of one core that a unit took here before; 0 if none did.
    """
    say = progress.message if progress else _nothing
    start = start or timings.WorkersStart(None)
    deadly = [unit for unit in units if in_flight and named(unit) in in_flight.died]
    if deadly:
        names = few([unit.id for unit in deadly], NAMED)
        say(f"{stage}: an earlier run ended without a word in {names}: now units run in a process of their own")
        units = [*deadly, *(unit for unit in units if unit not in deadly)]
    groups, count, crashes = Groups(units), len(units), Crashes()
    expected = seconds or (statistics.median(unit.seconds for unit in units) if units else 0.0)
    choice = _Choice(units, start, 0.0 if deadly else expected)
    with (
        OneThread() as threads,
        Apart(crashes) as apart,
        in_flight.noted() if in_flight else contextlib.nullcontext(_nothing) as note,
        contextlib.ExitStack() as stack,
    ):
        workers: Workers | None = None
        where, ran_here = None, False
        while len(groups):
            if workers is None and (where := choice.of(groups)) == RAY:
                break
            if workers is None and where == WORKERS:
                number = fitting(choice.workers, groups, choice.memory)
                say(f"{stage}: starting {number} worker processes")
                workers = stack.enter_context(Workers(number, groups, root, staging, code, crashes))
                begun = _Start(start)
            if workers is not None:
                for unit, outcome in workers.now():
                    _ended(in_flight, unit, outcome)
                    _print(say, stage, unit, outcome)
                    yield unit, outcome
                slow = workers.ready and choice.typical > QUICK_SECONDS
                known = choice.typical > 0 and not ran_here
                if workers.served or slow or known or not len(groups):
                    break
            unit, ran_here = groups.one(), True
            began = time.monotonic()
            folder = unit_folder(staging, unit.id)
            note(unit)
            if deadly and in_flight:
                outcome, died = apart.run(unit, root, staging)
                (in_flight.has_died if died else in_flight.ended)(unit)
                _print(say, stage, unit, outcome)
            else:
                outcome = _run_here(unit, root, folder, threads, partial(_say_of, say, stage, unit))
            note(None)
            if len(groups) < count - 1:  # the first one loads and compiles things
                choice.times.append(time.monotonic() - began)
                groups.took(1, choice.times[-1])
            yield unit, outcome
        if workers is not None:
            if progress:
                progress.count_from_here()
            for unit, outcome in workers.rest(idle):
                begun.served(outcome)
                _ended(in_flight, unit, outcome)
                _print(say, stage, unit, outcome)
                yield unit, outcome
    if where == RAY and len(groups):
        if progress:
            progress.count_from_here()
        with in_flight.noted() if in_flight else contextlib.nullcontext():
            for unit, outcome in _on_ray(groups, choice.workers, root, staging, stage, idle=idle, code=code, say=say):
                _ended(in_flight, unit, outcome)
                _print(say, stage, unit, outcome)
                yield unit, outcome


def _on_ray(
    groups: Groups,
    workers: int,
    root: Path,
    staging: Path,
    stage: str,
    *,
    idle: Callable[[], None],
    code: Callable[[Unit], str],
    say: Callable[[str], None],
) -> Iterator[tuple[Unit, Outcome]]:
    private_ray_token()
    where = "the Ray cluster" if os.environ.get("RAY_ADDRESS") else f"Ray with {workers} workers"
    say(f"{stage}: starting {where}")
    from hearlab.compute.ray.driver import run_on_ray

    yield from run_on_ray(groups, root, staging, stage, workers=workers, idle=idle, code=code)


class _Choice:
    """Where the units that are left run, by the times of the latest ones.

    Args:
        units: all.
        start: how long workers take to start here.
        expected: seconds of a unit, before any has run; 0 if that is not known.
    """

    def __init__(self, units: Sequence[Unit], start: timings.WorkersStart, expected: float = 0.0) -> None:
        self._expected = expected
        self.workers, self.memory = worker_count(), worker_memory()
        self.times: deque[float] = deque(maxlen=LATEST_UNITS)
        self._start, self._look, self._gpus = start, Look(), any(unit.gpus for unit in units)

    @property
    def typical(self) -> float:
        """Seconds of one unit in this process, or as they are expected; 0 if that is not known."""
        return statistics.median(self.times) if self.times else self._expected

    def of(self, groups: Groups) -> str | None:
        """In worker processes, on Ray, or (None) the next one in this process."""
        if groups.first.light:
            return None
        if os.environ.get("RAY_ADDRESS") and len(groups) > 1:
            return RAY
        # Who uses which graphics processor is Ray's business.
        start = max(self._start.seconds, RAY_START_SECONDS) if self._gpus else self._start.seconds
        cores, others = self._look()
        number = min(self.workers, len(groups)) if self._gpus else fitting(self.workers, groups, self.memory)
        if worth_workers(self.typical * len(groups), number, cores, others, start):
            return RAY if self._gpus else WORKERS
        return None


class _Start:
    """Measures what it takes workers to start."""

    def __init__(self, kept: timings.WorkersStart) -> None:
        self._kept, self._began, self._others = kept, time.monotonic(), load_of_others()
        self._open = True

    def served(self, outcome: Outcome) -> None:
        """Note it, when the first outcome comes."""
        if self._open:
            self._open = False
            took = time.monotonic() - self._began - outcome.core
            self._kept.note(took / slowdown(usable_cores(), self._others))


def _ended(in_flight: InFlight | None, unit: Unit, outcome: Outcome) -> None:
    """Note that a worker has finished a unit; of a failed one it is not known here whether it died."""
    if in_flight and outcome.failure is None:
        in_flight.ended(unit)


def _nothing(unused: object) -> None:
    """Say or note nothing."""


def _say_of(say: Callable[[str], None], stage: str, unit: Unit, line: str) -> None:
    say(f"{stage}: {unit.id}: {line}")


def _print(say: Callable[[str], None], stage: str, unit: Unit, outcome: Outcome) -> None:
    for line in outcome.printed:
        _say_of(say, stage, unit, line)


def _run_here(unit: Unit, root: Path, folder: Path, threads: OneThread, tell: Callable[[str], None]) -> Outcome:
    if root == Path.cwd():
        root = Path()  # messages then name files as the user knows them
    threads.limit()
    return replace(execute(unit, root, folder, tell), here=True)
