"""Checksums of a file: of one that is there, or of one that is being written."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

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
        self._hashes: dict[str, Any] = {name: hashlib.new(name, usedforsecurity=False) for name in set(algorithms)}
        self._condition = threading.Condition()
        self._reached = 0
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="checksum", daemon=True)
        self._thread.start()

    def reach(self, position: int) -> None:
        """All bytes before `position` are written."""
        with self._condition:
            if position > self._reached:
                self._reached = position
                self._condition.notify()

    def finish(self) -> Mapping[str, str]:
        """Wait until everything reached is hashed; gives {algorithm: digits}."""
        self._end()
        if self._error is not None:
            raise self._error
        return {name: value.hexdigest() for name, value in self._hashes.items()}

    def abandon(self) -> None:
        """Stop without a result."""
        with self._condition:
            self._reached = 0
        self._end()

    def _end(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        position = 0
        try:
            while True:
                with self._condition:
                    while position >= self._reached and not self._ended:
                        self._condition.wait()
                    reached = self._reached
                if position >= reached:
                    return
                block = os.pread(self._descriptor, min(BLOCK, reached - position), position)
                if not block:
                    raise OSError("the file became shorter while it was hashed")
                position += len(block)
                for value in self._hashes.values():
                    value.update(block)
        except BaseException as error:
            self._error = error
