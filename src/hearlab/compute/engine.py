"""Runs the units of a stage: in this process for little work, in worker processes for more.

Results do not depend on the order of units or on the number of workers. A failing unit does not stop the others:
failures are listed at the end.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from hearlab.compute.progress import Progress
from hearlab.compute.units import Unit
from hearlab.errors import InputError, ParameterError

# Starting two worker processes (imports included) takes about as long as one scored ear.
FEWEST_UNITS_FOR_WORKERS = 3
# A warning that concerns every scene is shown this often and counted afterwards.
REPEATED_WARNINGS = 3
# One thread per worker: the workers already fill the cores, and sums keep one order.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """Why a unit failed: one line, and the traceback for `--debug`."""

    id: str
    cause: str
    trace: str


class UnitsFailed(Exception):
    """Some units of a stage failed; the others are finished and written."""

    def __init__(self, stage: str, failures: Sequence[Failure], total: int) -> None:
        self.stage = stage
        self.failures = tuple(failures)
        lines = [f"{stage}: {len(failures)} of {total} units failed"]
        lines += [f"  {failure.id}: {failure.cause}" for failure in failures]
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class _Outcome:
    result: Any = None
    failure: Failure | None = None
    warnings: tuple[tuple[str, str], ...] = ()


class _Collector(logging.Handler):
    """Keeps a unit's warnings, so that they reach the one process that draws the progress line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((str(record.msg), record.getMessage()))


def worker_count() -> int:
    """Number of worker processes: HEARLAB_WORKERS, or the cores this process may use."""
    text = os.environ.get("HEARLAB_WORKERS")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise ParameterError("HEARLAB_WORKERS", "wrong value", found=text, wanted="a number of worker processes")
    return int(text)


def run(stage: str, units: Sequence[Unit], *, workers: int | None = None) -> list[Any]:
    """Run all units and return their results in the order of `units`.

    Raises:
        UnitsFailed: one or more units failed (after all others were run).
        KeyboardInterrupt: interrupted; units under way are finished first.
    """
    identities = Counter(unit.id for unit in units)
    repeated = [identity for identity, count in identities.items() if count > 1]
    if repeated:
        raise InputError(stage, "the same unit is listed twice", found=repeated[0])
    workers = min(workers or worker_count(), len(units))
    progress = Progress(stage, len(units))
    outcomes: dict[str, _Outcome] = {}
    shown: Counter[str] = Counter()
    in_process = workers < 2 or len(units) < FEWEST_UNITS_FOR_WORKERS
    source = _run_here(units) if in_process else _run_in_workers(units, workers)
    try:
        for unit, outcome in source:
            outcomes[unit.id] = outcome
            for template, text in outcome.warnings:
                shown[template] += 1
                if shown[template] <= REPEATED_WARNINGS:
                    progress.message(f"{stage}: {unit.id}: warning: {text}")
            progress.advance(failed=outcome.failure is not None)
    finally:
        for template, count in shown.items():
            if count > REPEATED_WARNINGS:
                progress.message(f"{stage}: {count - REPEATED_WARNINGS} more warnings like: {template}")
        progress.finish()
    failures = [outcomes[unit.id].failure for unit in units]
    if any(failures):
        raise UnitsFailed(stage, [failure for failure in failures if failure], len(units))
    return [outcomes[unit.id].result for unit in units]


def _execute(unit: Unit) -> _Outcome:
    collector = _Collector()
    logger = logging.getLogger("hearlab")
    logger.addHandler(collector)
    # The root handler would print the same warnings once more, into the progress line.
    propagate, logger.propagate = logger.propagate, False
    try:
        result = unit.function(**unit.arguments)
        return _Outcome(result=result, warnings=tuple(collector.records))
    except Exception as error:
        cause = str(error) if isinstance(error, InputError) else _describe(error)
        failure = Failure(unit.id, cause, traceback.format_exc())
        return _Outcome(failure=failure, warnings=tuple(collector.records))
    finally:
        logger.propagate = propagate
        logger.removeHandler(collector)


def _describe(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text} ({os.path.basename(frame.filename)} line {frame.lineno}; --debug shows all)"


def _run_here(units: Sequence[Unit]) -> Iterator[tuple[Unit, _Outcome]]:
    with threadpool_limits(1):
        for unit in units:
            yield unit, _execute(unit)


def _start_worker() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides, so that units end whole.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_in_workers(units: Sequence[Unit], workers: int) -> Iterator[tuple[Unit, _Outcome]]:
    previous = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        futures: dict[Future[_Outcome], Unit] = {pool.submit(_execute, unit): unit for unit in units}
        for future in as_completed(futures):
            yield futures[future], _result(future, futures[future])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in previous.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _result(future: Future[_Outcome], unit: Unit) -> _Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        cause = "the worker process died (out of memory?); set HEARLAB_WORKERS to a smaller number"
        return _Outcome(failure=Failure(unit.id, cause, cause))
    except Exception as error:  # the result could not be sent back
        return _Outcome(failure=Failure(unit.id, _describe(error), traceback.format_exc()))


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C inside the block."""

    def handler(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
