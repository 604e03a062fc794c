"""A unit whose module imports next to nothing: its workers start as fast as they can."""

from __future__ import annotations

import os
from pathlib import Path


def process_id(root: Path, out: Path, *, number: int) -> int:
    return os.getpid()
