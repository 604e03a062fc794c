"""Waits for what other processes do: each ends as soon as it is true; only a test that fails takes the whole time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

LONGEST = 300.0  # s; Ray, a browser or MLflow has been seen to need 60 s to start on a machine with much else to do


def until(true: Callable[[], Any], process: subprocess.Popen[Any] | None = None, what: str = "") -> Any:
    """What `true` gives once it is true; a process that must not end before is looked at, too."""
    end = time.monotonic() + LONGEST
    while not (found := true()):
        assert process is None or process.poll() is None, f"the process ended before {what or 'it was true'}"
        assert time.monotonic() < end, f"waited {LONGEST:g} s {what and f'for {what}'}"
        time.sleep(0.02)
    return found
