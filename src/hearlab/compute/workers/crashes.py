"""What is known of a process that died in a unit: how it ended, and the line of Python that it was in.

Python's faulthandler writes that into a file of its own instead of the terminal, where each try of a unit would add a
page. One short trace is shown for each cause, and the cause names the line.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import IO

import hearlab
from hearlab.compute.code.own_code import is_local
from hearlab.compute.execution import Failure, Outcome, shown_file
from hearlab.compute.process import how_ended

HEARLAB = os.path.dirname(os.path.abspath(hearlab.__file__)) + os.sep
SHOWN = 8  # calls of a trace
MOST_BYTES = 100_000  # of a trace; faulthandler writes at most 100 calls of each thread
_THREAD = re.compile(r"^(Current thread|Thread|Stack).*\(most recent call first\):$", re.MULTILINE)
_CALL = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$', re.MULTILINE)


def trace_file() -> IO[bytes]:
    """A file without a name, into which another process may write what it was in when it crashed."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("hearlab-crash"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def read_trace(file: IO[bytes]) -> str:
    """What was written; nothing where the process did not end by a crash."""
    file.seek(0)
    return file.read(MOST_BYTES).decode(errors="replace")


def calls(trace: str) -> list[re.Match[str]]:
    """The calls of the thread that crashed, the innermost first; of the main thread if no Python ran in that one."""
    threads = list(_THREAD.finditer(trace))
    if not threads:
        return []
    found = next((one for one in threads if one[1] != "Thread"), threads[-1])
    after = next((one.start() for one in threads if one.start() > found.start()), len(trace))
    return list(_CALL.finditer(trace, found.end(), after))


def how_died(code: int | None, trace: str) -> str:
    """How a process ended, with the innermost line of the user's code, or of any that is not HearLab's."""
    found = calls(trace)
    others = [call for call in found if not call["file"].startswith(HEARLAB)]
    own = [call for call in others if is_local(call["file"])]
    for call in (*own, *others, *found):
        return f"{how_ended(code)}; {shown_file(call['file'])}: line {call['line']}, in {call['name']}"
    return how_ended(code)


class Crashes:
    """The failures of units whose processes died; the trace of each cause is shown once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def outcome(self, id: str, cause: str, trace: str) -> Outcome:
        """The failure of a unit, with the lines to be shown of it."""
        lines: list[str] = []
        if cause not in self._told:
            self._told.add(cause)
            found = calls(trace)
            theirs = next((n for n, call in enumerate(found) if n and call["file"].startswith(HEARLAB)), len(found))
            lines += [
                f"{shown_file(call['file'])}, line {call['line']}, in {call['name']}" for call in found[:theirs][:SHOWN]
            ]
        if lines:
            lines.insert(0, "it crashed here, the innermost call first:")
        return Outcome(failure=Failure(id, cause, trace or cause), printed=tuple(lines))
