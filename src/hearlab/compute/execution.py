"""One unit run in this process: its result or its failure, its warnings and its core time."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.compute.unchanged import covered
from hearlab.compute.units import Unit
from hearlab.errors import InputError
from hearlab.files import synced_later


@dataclass(frozen=True)
class Failure:
    """Why a unit failed: one line, and the traceback for `--debug`."""

    id: str
    cause: str
    trace: str


@dataclass(frozen=True)
class Outcome:
    """What became of a unit: its result or its failure, the warnings on the way, and the core time in seconds."""

    result: Any = None
    failure: Failure | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    core: float = 0.0
    here: bool = False  # in the process that lists the units, whose core time is measured as a whole


class _Collector(logging.Handler):
    """Keeps a unit's warnings, so that they reach the one process that draws the progress line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((str(record.msg), record.getMessage()))


def execute(unit: Unit, root: Path, out: Path) -> Outcome:
    """Run a unit in this process: inputs below `root`, outputs into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    collector = _Collector()
    logger = logging.getLogger("hearlab")
    logger.addHandler(collector)
    # The root handler would print the same warnings once more, into the progress line.
    propagate, logger.propagate = logger.propagate, False
    result, failure = None, None
    started = time.process_time()
    try:
        with synced_later(), covered(unit.code):  # synced by the commit, all files of many units together
            result = unit.function(root, out, **unit.arguments)
    except Exception as error:
        cause = str(error) if isinstance(error, InputError) else describe(error)
        failure = Failure(unit.id, cause, traceback.format_exc())
    finally:
        logger.propagate = propagate
        logger.removeHandler(collector)
    return Outcome(result, failure, tuple(collector.records), time.process_time() - started)


def describe(error: BaseException) -> str:
    """An unexpected error in one line."""
    text = " ".join(str(error).split()) or "no message"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)} line {frames[-1].lineno}; --debug shows all)" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


def unit_folder(staging: Path, id: str) -> Path:
    """Where a unit's files are written before they are kept; an id can be any text, the name of a folder cannot."""
    return staging / hashlib.md5(id.encode(), usedforsecurity=False).hexdigest()
