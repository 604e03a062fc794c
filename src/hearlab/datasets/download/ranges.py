"""Fetching the missing ranges of a file side by side."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from hearlab.datasets.download.checksums import FollowingHasher
from hearlab.datasets.download.journal import Journal
from hearlab.datasets.download.retry import Retry
from hearlab.datasets.download.sources import Remote, Source, TransientError
from hearlab.progress import ByteProgress

# Bytes after which a connection writes into the journal: all of them together lose less than one range if killed.
RECORD_STEP = 1 << 20
SYNC_SECONDS = 10.0


class Intervals:
    """A set of byte positions as sorted pairs (first, end)."""

    def __init__(self, pairs: list[tuple[int, int]] | None = None) -> None:
        self._pairs: list[tuple[int, int]] = []
        for first, end in pairs or ():
            self.add(first, end)

    def add(self, first: int, end: int) -> None:
        if not 0 <= first < end:
            return
        kept = []
        for a, b in self._pairs:
            if b < first or a > end:
                kept.append((a, b))
            else:
                first, end = min(a, first), max(b, end)
        self._pairs = sorted([*kept, (first, end)])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._pairs)

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def total(self) -> int:
        return sum(end - first for first, end in self._pairs)

    def frontier(self) -> int:
        """The end of what is there without a gap from the start."""
        return self._pairs[0][1] if self._pairs and self._pairs[0][0] == 0 else 0

    def missing(self, size: int, most: int) -> Iterator[tuple[int, int]]:
        """What is not there, in pieces of at most `most` bytes."""
        position = 0
        for first, end in [*self._pairs, (size, size)]:
            while position < min(first, size):
                yield position, min(position + most, first, size)
                position = min(position + most, first, size)
            position = max(position, end)


@dataclass
class RangeFetcher:
    """Fills a file from several connections; `fetched` counts the bytes."""

    source: Source
    remote: Remote
    descriptor: int
    there: Intervals
    journal: Journal
    hasher: FollowingHasher
    retry: Retry
    progress: ByteProgress
    fetched: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._synced = time.monotonic()

    def run(self, connections: int, range_size: int) -> None:
        """Fetch everything that is missing.

        Raises:
            InputError, FileChangedError, NoRangesError: of the first connection that cannot go on.
        """
        self._record_step = max(1, min(RECORD_STEP, range_size // (2 * connections)))
        self._todo = list(self.there.missing(self.remote.size or 0, range_size))[::-1]
        self._connections = max(1, min(connections, len(self._todo)))
        threads = [
            threading.Thread(target=self._work, name=f"range-{k}", daemon=True) for k in range(self._connections)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # a join without a limit would not let Ctrl-C through on every system
                    thread.join(0.2)
        finally:
            self._stop.set()
            # On an interrupt the connections end at their next block, or with the process: they are daemons.
            for thread in threads:
                thread.join(1.0)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    if not self._todo:
                        return
                    first, end = self._todo.pop()
                if not self._fetch(first, end):
                    return
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._stop.set()

    def _fetch(self, first: int, end: int) -> bool:
        """Fetch a range, with retries; False if this connection is to end."""
        recorded = first
        failures = 0
        while not self._stop.is_set():
            before = first
            reason = TransientError("the connection was cut")
            try:
                with contextlib.closing(self.source.blocks(self.remote, first, end)) as blocks:
                    for block in blocks:
                        write_all(self.descriptor, block, first)
                        first += len(block)
                        self.progress.advance(len(block))
                        if first - recorded >= self._record_step:
                            recorded = self._record(recorded, first)
                        if self._stop.is_set():
                            break
            except TransientError as error:
                reason = error
            finally:
                recorded = self._record(recorded, first)
            if first >= end:
                break
            failures = 1 if first > before else failures + 1
            if failures >= self.retry.tries:
                raise self.retry.given_up(self.source.shown, reason)
            if reason.busy and self._retire(first, end):
                return False
            self._stop.wait(self.retry.delay(failures, reason.wait))
        return True

    def _record(self, first: int, end: int) -> int:
        """Enter these bytes into the journal; from time to time sync them to the disk."""
        if end > first:
            with self._lock:
                self.fetched += end - first
                self.there.add(first, end)
                self.journal.append({"from": first, "to": end})
                self.hasher.reach(self.there.frontier())
                sync = time.monotonic() - self._synced > SYNC_SECONDS
                if sync:
                    self._synced = time.monotonic()
            if sync:
                count = self.journal.count
                os.fsync(self.descriptor)
                self.journal.synced(count)
        return end

    def _retire(self, first: int, end: int) -> bool:
        """A server that is too busy gets one connection less; the last one stays."""
        with self._lock:
            if self._connections == 1:
                return False
            self._connections -= 1
            self._todo.append((first, end))
        self.progress.message(f"{self.source.shown}: the server is busy; going on with {self._connections} connections")
        return True


def write_all(descriptor: int, block: bytes, position: int) -> None:
    """Write a block at a position, all of it."""
    view = memoryview(block)
    while view:
        count = os.pwrite(descriptor, view, position)
        view, position = view[count:], position + count
