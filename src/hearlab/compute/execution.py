"""One unit run in this process: its result or its failure, its warnings and its core time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import re
import secrets
import shutil
import stat
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearlab.compute.code.own_code import is_local
from hearlab.compute.notes import stamp
from hearlab.compute.unchanged import covered
from hearlab.compute.units import Unit
from hearlab.errors import InputError
from hearlab.files import md5_of, synced_later

# Of what a unit prints: so many lines, of so many letters.
MOST_LINES, LONGEST_LINE = 200, 500
# The folder of this process's units that write no files.
_NOTHING = f"nothing-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Failure:
    """Why a unit failed: one line, and the traceback for `--debug`, which an error that is no bad input may need."""

    id: str
    cause: str
    trace: str
    unexpected: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a unit: its result or its failure, the warnings on the way, and the core time in seconds.

    `warnings` are templates with their texts; `printed` are lines that the unit's code has printed. `seconds` are those
    of the clock. `digests` are of what it wrote, by name: the `stamp` of a file and the md5 of its bytes.
    """

    result: Any = None
    failure: Failure | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    core: float = 0.0
    printed: tuple[str, ...] = ()
    here: bool = False  # in the process that lists the units, whose core time is measured as a whole
    seconds: float = 0.0
    digests: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class _Collector(logging.Handler):
    """Keeps a unit's warnings, so that they reach the one process that draws the progress line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((str(record.msg), record.getMessage()))


class _Printed(io.TextIOBase):
    """Takes what is printed, line by line: a system's own prints must not tear the progress line, nor be lost."""

    encoding = "utf-8"

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.lines: list[str] = []
        self._tell, self._count, self._begun = tell, 0, ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Of the process's own: a program that a system starts with this stream prints there."""
        if sys.__stderr__ is None:
            raise io.UnsupportedOperation("fileno")
        return sys.__stderr__.fileno()

    def write(self, text: str) -> int:
        *lines, self._begun = re.split(r"[\n\r]", self._begun + text)
        for line in filter(str.strip, lines):
            self._take(line)
        self._begun = self._begun[:LONGEST_LINE]
        return len(text)

    def end(self) -> None:
        """Take the last line, which need not be ended."""
        self.write("\n")
        if self._count > MOST_LINES:
            self._give(f"({self._count - MOST_LINES} more lines)")

    def _take(self, line: str) -> None:
        self._count += 1
        if self._count <= MOST_LINES:
            self._give(line[:LONGEST_LINE])

    def _give(self, line: str) -> None:
        if self._tell is None:
            self.lines.append(line)
        else:
            self._tell(line)


def execute(
    unit: Unit, root: Path, out: Path, tell: Callable[[str], None] | None = None, *, digests: bool = False
) -> Outcome:
    """Run a unit in this process: inputs below `root`, outputs into the folder `out`.

    `tell` gets each line that it prints at once; without it they are part of the outcome. With `digests` this process
    reads what the unit wrote, and not the one that keeps it.
    """
    began = time.monotonic()
    if not unit.outputs:
        out = out.with_name(_NOTHING)  # one for all: a disk at work takes ms to make and to remove a folder
    out.mkdir(parents=True, exist_ok=True)
    collector = _Collector()
    logger = logging.getLogger("hearlab")
    logger.addHandler(collector)
    # The root handler would print the same warnings once more, into the progress line.
    propagate, logger.propagate = logger.propagate, False
    result, failure = None, None
    printed: Any = _Printed(tell)
    started = time.process_time()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _folder_kept(),
            synced_later(),  # by the commit, all files of many units together
            covered(unit.code),
        ):
            result = unit.function(root, out, **unit.arguments)
    except SystemExit as error:  # somebody else's code must not end the stage
        failure = Failure(unit.id, _exited(error), traceback.format_exc(), unexpected=True)
    except Exception as error:
        expected = isinstance(error, InputError)
        cause = str(error) if expected else describe(error)
        failure = Failure(unit.id, cause, traceback.format_exc(), unexpected=not expected)
    finally:
        logger.propagate = propagate
        logger.removeHandler(collector)
        printed.end()
    core = time.process_time() - started
    if not unit.outputs:
        _emptied(out)
    found = _digests(out, unit.outputs) if digests and failure is None else {}
    warnings, lines = tuple(collector.records), tuple(printed.lines)
    return Outcome(result, failure, warnings, core, lines, seconds=time.monotonic() - began, digests=found)


@contextlib.contextmanager
def _folder_kept() -> Iterator[None]:
    """Come back from where a system of one's own may go: names of files are relative to the workspace."""
    folder = os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)


def _emptied(folder: Path) -> None:
    for name in os.listdir(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _digests(out: Path, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Of files that are no links, which may be to inputs of known bytes."""
    found = {}
    for name in names:
        path = os.path.join(out, name)
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                found[name] = stamp(status), md5_of(path)
    return found


def _exited(error: SystemExit) -> str:
    return describe(error).replace("SystemExit: ", "it called sys.exit: ", 1)


def describe(error: BaseException) -> str:
    """An unexpected error in one line, with the innermost line of the user's code, or of any."""
    text = " ".join(str(error).split()) or "no message"
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    own = [frame for frame in frames if is_local(frame.filename) and not frame.filename.startswith("<")]
    for frame in (*own, *frames):
        return f"{type(error).__name__}: {text} ({shown_file(frame.filename)}: line {frame.lineno}, in {frame.name})"
    return f"{type(error).__name__}: {text}"


def shown_file(file: str) -> str:
    """A file of code as messages name it: from the current folder, if it is in there."""
    path = os.path.relpath(file)
    return file if path.startswith("..") else path


def unit_folder(staging: Path, id: str) -> Path:
    """Where a unit's files are written before they are kept; an id can be any text, the name of a folder cannot."""
    return staging / hashlib.md5(id.encode(), usedforsecurity=False).hexdigest()
