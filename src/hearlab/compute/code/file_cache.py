"""What was read of files, read again when they have changed: a look costs one stat."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from io import BufferedReader
from typing import Generic, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int, int]  # size, time of writing, inode, time of change
ABSENT: Stamp = (-1, -1, -1, -1)
# File systems' clocks tick in steps of some ms: what was written just now can be written again under the same stamp.
TICK = 20_000_000


def stamp(path: str) -> Stamp:
    """By what a changed file or folder is known without reading it; `ABSENT` where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ABSENT
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def settled(mark: Stamp) -> bool:
    """Whether any later change gives another stamp."""
    return time.time_ns() - max(mark[1], mark[3]) > TICK


def is_left_over(name: str) -> bool:
    """Whether a file or folder of that name is what Python, Numba or an editor leaves beside the code, or hidden."""
    if name.startswith((".", "#")) or name.endswith(("~", ".pyc", ".pyo", ".nbi", ".nbc")):
        return True
    return name in ("__pycache__", "4913")  # the number is Vim's probe of a folder


class FileCache(Generic[T]):
    """What `make` makes of a path and its open file, kept as long as the file is as it was."""

    def __init__(self, make: Callable[[str, BufferedReader], T]) -> None:
        self._make = make
        self._known: dict[str, tuple[Stamp, bool, T]] = {}

    def of(self, path: str) -> tuple[Stamp, T]:
        """The file's stamp, and what is made of it. Raises OSError if it cannot be read."""
        mark = stamp(path)
        known = self._known.get(path)
        if known is None or known[0] != mark or not known[1]:
            sure = settled(mark)
            with open(path, "rb") as file:
                known = self._known[path] = mark, sure, self._make(path, file)
        return mark, known[2]


def _digest(path: str, file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # in pieces: weights in a package can be gigabytes


digests = FileCache(_digest)
