"""Processes that have run nothing yet: forks of one that has only imported what they need."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def start(folder: Path, work: Callable[[], object]) -> int:
    """Begin `work` in a process of its own, in a folder; gives the process."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.chdir(folder)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def run(folder: Path, work: Callable[[], object]) -> None:
    """Run `work` to its end."""
    _, status = os.waitpid(start(folder, work), 0)
    if status:
        sys.exit(f"a process in {folder} ended with {os.waitstatus_to_exitcode(status)}")
