"""Checksums of a file: of one that is there, or of one that is being written."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

BLOCK = 4 << 20


def file_digests(
    path: Path, algorithms: Iterable[str], advance: Callable[[int], None] = lambda count: None
) -> dict[str, str]:
    """Checksums of a file, {algorithm: digits}; `advance` is called with the bytes of each step."""
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in set(algorithms)}
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK >> 2):
            for value in hashes.values():
                value.update(block)
            advance(len(block))
    return {name: value.hexdigest() for name, value in hashes.items()}


def file_md5(path: Path, advance: Callable[[int], None] = lambda count: None) -> str:
    """The md5 of a file; `advance` is called with the bytes of each step."""
    return file_digests(path, ["md5"], advance)["md5"]


class FollowingHasher:
    """Hashes a file in a thread while it is written, from its start up to the position given to `reach`."""

    def __init__(self, descriptor: int, algorithms: Iterable[str]) -> None:
        self._descriptor = descriptor
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in set(algorithms)}
        self._thread = ThreadPoolExecutor(1, "checksum")
        self._jobs: deque[Future[None]] = deque()
        self._reached = 0
        self._stop = False

    def reach(self, position: int) -> None:
        """All bytes before `position` are written. Callers take turns."""
        if position > self._reached:
            self._jobs.append(self._thread.submit(self._hash, self._reached, position))
            self._reached = position
        while self._jobs and self._jobs[0].done():
            self._jobs.popleft().result()

    def finish(self) -> Mapping[str, str]:
        """Wait until everything reached is hashed; gives {algorithm: digits}."""
        for job in self._jobs:
            job.result()
        self._thread.shutdown()
        return {name: value.hexdigest() for name, value in self._hashes.items()}

    def abandon(self) -> None:
        """Stop without a result."""
        self._stop = True
        self._thread.shutdown(cancel_futures=True)

    def _hash(self, position: int, end: int) -> None:
        while position < end and not self._stop:
            block = os.pread(self._descriptor, min(BLOCK, end - position), position)
            if not block:
                raise OSError("the file became shorter while it was hashed")
            position += len(block)
            for value in self._hashes.values():
                value.update(block)
