"""How long stages and their units took here: kept beside the workspace, for results are the same bytes everywhere.

A stage that was stopped and run again took the time of all its attempts. One that found all its units done before keeps
the time that they took when they ran.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Strict, TypeAdapter, ValidationError

from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.compute.memo import FOLDER
from hearlab.compute.notes import cleared, done_without, kept_bytes
from hearlab.files import md5_of, write_text

FILE = "timings.jsonl"
UNITS_FILE = "unit-times.json"
START_FILE = "workers-start.json"
# Measured on two cores: from the start of worker processes to the first unit that one of them has done.
START_SECONDS = 2.0
STARTS_KEPT = 5

Seconds = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0)]


@dataclass
class StageTime:
    """What one stage took, or one attempt of it.

    Attributes:
        wall: seconds.
        core: seconds of all cores that worked on it, on all machines.
        ran: units that were computed; None for a stage without units.
        units: all units of the stage; None for a stage without units.
        index: md5 of the stage's index of units, by which its result is known; None without units, or if stopped.
    """

    wall: Seconds = 0.0
    core: Seconds = 0.0
    ran: Count | None = None
    units: Count | None = None
    index: str | None = None


_TIME = TypeAdapter(StageTime)
_current: contextvars.ContextVar[StageTime | None] = contextvars.ContextVar("stage_time", default=None)


@contextlib.contextmanager
def timed(stage: str, dataset: str, root: Path) -> Iterator[None]:
    """Measure the block as an attempt at the stage, and note it, also if it fails or is interrupted.

    Args:
        stage: as dvc.lock names it, such as 'render_scenes@dev'.
        dataset: the data set it works on.
        root: the workspace.
    """
    attempt = StageTime()
    token = _current.set(attempt)
    wall, core = time.monotonic(), time.process_time()
    finished = False
    try:
        yield
        finished = True
    finally:
        _current.reset(token)
        attempt.wall += time.monotonic() - wall
        attempt.core += time.process_time() - core
        path = root / FOLDER / FILE
        # A full disk must not hide what the stage itself has to say.
        with done_without(path) if finished else contextlib.suppress(OSError):
            _append(path, {"stage": stage, "dataset": dataset, "finished": finished, **vars(attempt)})


def unit_ran(core: float) -> None:
    """Count a unit of the current stage; `core` seconds were spent on it in another process."""
    attempt = _current.get()
    if attempt is not None:
        attempt.core += core
        attempt.ran = (attempt.ran or 0) + 1


def units_finished(index: Path, count: int) -> None:
    """Note the current stage's number of units and its index."""
    attempt = _current.get()
    if attempt is not None:
        attempt.ran, attempt.units, attempt.index = attempt.ran or 0, count, md5_of(index)


def stage_times(root: Path, dataset: str, indexes: dict[str, str | None]) -> dict[str, StageTime]:
    """What the stages of a result took, as far as they ran in this workspace.

    Args:
        root: the workspace.
        dataset: of the result.
        indexes: stage -> md5 of its index of units, None for stages without units.
    """
    times: dict[str, StageTime] = {}
    attempts: dict[str, StageTime] = {}
    for record in _records(root / FOLDER / FILE):
        try:
            stage, finished, of = str(record.pop("stage")), bool(record.pop("finished")), record.pop("dataset")
            latest = _TIME.validate_python(record)
        except (KeyError, ValidationError):
            continue  # a torn line
        if before := attempts.pop(stage, None):
            latest.wall += before.wall
            latest.core += before.core
            latest.ran = latest.ran if before.ran is None else before.ran + (latest.ran or 0)
        if not finished:
            attempts[stage] = latest
        elif of != dataset or stage not in indexes or latest.index != indexes[stage]:
            continue  # of another result
        elif stage not in times or latest.ran != 0:
            times[stage] = latest
    return times


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in kept_bytes(path).split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            # An older HearLab wrote no checksum.
            if isinstance(record, dict) and (CHECK not in record or sealed(record)):
                record.pop(CHECK, None)
                yield record


def _append(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cleared(path)
    line = json.dumps({**record, CHECK: checksum(record)})
    # One write of one line: two stages that end together do not mix theirs.
    with path.open("ab", buffering=0) as file:
        file.write(f"\n{line}\n".encode())


def note_unit_seconds(folder: Path, index: str, seconds: Sequence[float]) -> None:
    """Keep what the units of a run took, for `hearlab plan`.

    Args:
        folder: the memo's folder.
        index: the stage's index file, relative to the workspace: it names the stage and its data set.
        seconds: of the units that really ran. The first one in each process loads and compiles, so the median is kept.
    """
    if seconds:
        times = {**unit_seconds(folder), index: statistics.median(seconds)}
        with done_without(folder / UNITS_FILE):  # a full disk must not hide what the units have to say
            write_text(folder / UNITS_FILE, json.dumps(times, indent=1, sort_keys=True) + "\n")


def unit_seconds(folder: Path) -> dict[str, float]:
    """Seconds of one core that a unit took, by the stage's index file; what cannot be read is not known."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        times = json.loads(kept_bytes(folder / UNITS_FILE) or b"{}")
        return {
            index: seconds for index, seconds in times.items() if type(seconds) is float and 0 <= seconds < math.inf
        }
    return {}


class WorkersStart:
    """How long workers take here from their start to the first result of one of them, on an idle machine.

    Args:
        folder: the memo's folder; None where nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / START_FILE if folder else None
        self._measured = self._read()

    def _read(self) -> list[float]:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            values = json.loads(kept_bytes(self._path) or b"[]") if self._path else []
            return [value for value in values if type(value) is float and 0 < value < math.inf]
        return []

    @property
    def seconds(self) -> float:
        """The median of the latest starts here; where there were none, what was measured elsewhere."""
        return statistics.median(self._measured) if self._measured else START_SECONDS

    def note(self, seconds: float) -> None:
        """Keep what a start took."""
        if self._path is not None and seconds > 0:
            self._measured = [*self._measured, float(seconds)][-STARTS_KEPT:]
            with done_without(self._path):
                write_text(self._path, json.dumps(self._measured) + "\n")
