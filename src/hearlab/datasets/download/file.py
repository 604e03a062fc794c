"""Fetching one file: parts side by side, resumed after a cut or a kill, verified before it gets its name.

While `<name>` is fetched it is `<name>.part-fetch`, and a journal beside it says which of its bytes are there. The
connections write into the journal often enough that all of them together lose less than one range when the process is
killed. A thread computes the checksums behind them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hearlab.datasets.download.checksums import FollowingHasher
from hearlab.datasets.download.journal import Journal, only_one, read_journal
from hearlab.datasets.download.ranges import Intervals, RangeFetcher, write_all
from hearlab.datasets.download.retry import Retry
from hearlab.datasets.download.sources import (
    FileChangedError,
    NoRangesError,
    Remote,
    Source,
    TransientError,
    open_source,
)
from hearlab.datasets.links import reflink
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from hearlab.text import size_text

RANGE = 32 << 20
CHANGES = 2  # attempts, if the file turns out to be another one


@dataclass(frozen=True)
class Downloaded:
    """A file that has been fetched.

    Attributes:
        source: its address, without passwords and keys.
        digests: its checksums, {algorithm: digits}.
        fetched: bytes that came this time.
    """

    source: str
    size: int
    digests: Mapping[str, str]
    fetched: int


@dataclass(frozen=True)
class Connection:
    """How to talk to the server.

    Attributes:
        headers: sent to the address, for servers that ask for a token or a cookie.
        parallel: ranges that are fetched side by side.
        range_size: bytes asked for at a time.
        timeout: seconds without a byte after which a connection counts as cut.
    """

    headers: Mapping[str, str] | None = None
    parallel: int = 4
    range_size: int = RANGE
    timeout: float = 30.0
    retry: Retry = field(default_factory=Retry)


def part_path(path: Path) -> Path:
    """The name of a file until all of it is there. Git and DVC ignore `*.part-*`."""
    return path.with_name(f"{path.name}.part-fetch")


def fetched_intervals(path: Path) -> Intervals:
    """Which bytes of an unfinished file are there, by its journal."""
    record = read_journal(_journal_path(path))
    return Intervals([(entry["from"], entry["to"]) for entry in record.trusted])


def _journal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.part-fetch.journal")


def fetching(path: Path) -> contextlib.AbstractContextManager[None]:
    """The lock under which a file is fetched; a second process on this machine is refused.

    Raises:
        InputError: another process holds it.
    """
    return only_one(path.with_name(f".{path.name}.part-lock"), f"fetching {path.name}")


def download(
    address: str,
    path: Path,
    *,
    size: int | None = None,
    checksum: Mapping[str, str] | None = None,
    algorithms: Iterable[str] = (),
    accept: Callable[[str, Remote], None] = lambda shown, remote: None,
    require_space: Callable[[int | None, int], None] = lambda size, there: None,
    check: Callable[[Path], str | None] = lambda path: None,
    set_aside: bool = False,
    locked: bool = False,
    connection: Connection | None = None,
    progress: ByteProgress | None = None,
) -> Downloaded:
    """Fetch a file to `path`, or go on where an earlier call was cut.

    `path` appears with a rename after its size, checksums and `check` have proved right. Parts that an earlier call
    left and that turn out to be of another file are fetched once more.

    Args:
        address: http(s)://, file:// or a path.
        size: bytes that the file must have.
        checksum: {algorithm: digits} that it must have.
        algorithms: further checksums to compute.
        accept: called with the address and what the server says of the file, before anything is fetched; raises an
            error to refuse.
        require_space: called then with the file's size, if known, and how many bytes of it are there; parts of another
            file are gone by then.
        check: says what is wrong with the fetched file, or None.
        set_aside: keep wrong bytes as `<name>.wrong` instead of removing them.
        locked: the caller holds `fetching(path)`.

    Raises:
        InputError: the server has no such file, refuses it, gives another or an empty one, or does not answer for
            long; the disk is full; or another process is fetching the file. What was fetched is kept, except wrong
            bytes.
    """
    connection, progress = connection or Connection(), progress or ByteProgress(quiet=True)
    source = open_source(address, connection.headers, connection.timeout)
    work = _Download(source, path, size, dict(checksum or {}), algorithms, accept, require_space, check, set_aside)
    with contextlib.nullcontext() if locked else fetching(path):
        return work.run(connection, progress)


@dataclass
class _Download:
    source: Source
    path: Path
    size: int | None
    checksum: Mapping[str, str]
    algorithms: Iterable[str]
    accept: Callable[[str, Remote], None]
    require_space: Callable[[int | None, int], None]
    check: Callable[[Path], str | None]
    set_aside: bool

    def run(self, connection: Connection, progress: ByteProgress) -> Downloaded:
        self.connection, self.retry, self.progress = connection, connection.retry, progress
        self.part, self.journal_path = part_path(self.path), _journal_path(self.path)
        self.fetched = 0
        shown = self.source.shown
        remote = self.retry.few().run(self.source.probe, shown, progress)
        there = self._resume(remote)
        for _ in range(CHANGES):
            if not remote.head and not remote.size:
                raise InputError(shown, "is empty", wanted=self.path.name)
            self.accept(shown, remote)
            if None not in (self.size, remote.size) and self.size != remote.size:
                problem = f"has another size than {self.path.name} should have"
                found, wanted = f"{remote.size} bytes", f"{self.size} bytes"
                raise InputError(shown, problem, found=found, wanted=wanted, advice="check the address")
            resumed = bool(there)
            if not there:
                self.journal_path.unlink(missing_ok=True)
                self.part.unlink(missing_ok=True)
            self.require_space(remote.size, there.total())
            if not there and self.source.local is not None and self._share(self.source.local):
                there = Intervals([(0, remote.size or 0)])
            try:
                digests = self._fill(remote, there)
                self._verify(digests, resumed)
                break
            except FileChangedError:
                progress.message(f"{shown}: the file has changed; fetching it anew")
                there = Intervals()
                remote = self.retry.run(self.source.probe, shown, progress)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                kept = f"; {size_text(there.total())} are there and kept" if there else ""
                raise InputError(
                    self.part, "the disk is full", advice=f"free some space and fetch again{kept}"
                ) from None
            finally:
                progress.finish()
        else:
            raise InputError(shown, "the file keeps changing on the server", advice="try again later")
        os.replace(self.part, self.path)
        self.journal_path.unlink(missing_ok=True)
        self._aside.unlink(missing_ok=True)
        return Downloaded(shown, self.path.stat().st_size, digests, self.fetched)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.wrong")

    def _resume(self, remote: Remote) -> Intervals:
        """The bytes that earlier runs left, if they are of the same file."""
        header = read_journal(self.journal_path).header
        there = fetched_intervals(self.path) if self.part.exists() else Intervals()
        if not there:
            return there
        if remote.ranges and header == remote.identity(self.source.shown):
            self.progress.message(f"{self.path.name}: resuming after {size_text(there.total())}")
            return there
        why = "has changed on the server" if remote.ranges else "comes from a server that cannot resume"
        self.progress.message(f"{self.path.name}: the file {why}; fetching it anew")
        return Intervals()

    def _fill(self, remote: Remote, there: Intervals) -> Mapping[str, str]:
        """Fetch what is not there yet into the part file; gives its checksums."""
        # A file that is there as a whole may be the user's own, shared: it is not opened for writing.
        access = os.O_RDONLY if there.total() == remote.size else os.O_RDWR | os.O_CREAT
        descriptor = os.open(self.part, access | os.O_CLOEXEC, 0o666)
        hasher = FollowingHasher(descriptor, (*self.algorithms, *self.checksum))
        try:
            try:
                if not remote.ranges:
                    raise NoRangesError
                self._fill_ranges(descriptor, remote, there, hasher)
            except NoRangesError:
                hasher.abandon()
                os.ftruncate(descriptor, 0)
                size = self._stream(descriptor, remote)
                hasher = FollowingHasher(descriptor, (*self.algorithms, *self.checksum))
                hasher.reach(size)
            digests = hasher.finish()
            os.fsync(descriptor)
            return digests
        finally:
            hasher.abandon()
            os.close(descriptor)

    def _fill_ranges(self, descriptor: int, remote: Remote, there: Intervals, hasher: FollowingHasher) -> None:
        if there:
            os.fsync(descriptor)
        entries = [{"from": first, "to": end} for first, end in there]
        journal = Journal.create(self.journal_path, remote.identity(self.source.shown), entries)
        hasher.reach(there.frontier())
        self.progress.start(f"fetching {self.path.name}", remote.size, there.total())
        fetcher = RangeFetcher(self.source, remote, descriptor, there, journal, hasher, self.retry, self.progress)
        try:
            fetcher.run(self.connection.parallel, self.connection.range_size)
        finally:
            self.fetched += fetcher.fetched
            journal.close()

    def _stream(self, descriptor: int, remote: Remote) -> int:
        """Fetch the whole file in one piece and give its size; after a cut it has to begin again."""
        self.journal_path.unlink(missing_ok=True)
        self.progress.message(f"{self.source.shown}: the server gives no ranges; fetching in one piece")

        def attempt() -> int:
            announced, blocks = self.source.whole()
            if remote.size is not None and announced not in (None, remote.size):
                raise FileChangedError
            self.progress.start(f"fetching {self.path.name}", announced)
            position = 0
            with contextlib.closing(blocks):
                for block in blocks:
                    write_all(descriptor, block, position)
                    position += len(block)
                    self.fetched += len(block)
                    self.progress.advance(len(block))
                    if self.size is not None and position > self.size:
                        return position  # too much: no need to see its end
            if announced is not None and position != announced:
                raise TransientError(f"the connection was cut after {position} of {announced} bytes")
            return position

        size = self.retry.run(attempt, self.source.shown, self.progress)
        os.ftruncate(descriptor, size)
        return size

    def _verify(self, digests: Mapping[str, str], resumed: bool) -> None:
        """Refuse wrong bytes. Where some were there before, they may be of another file: they are fetched anew."""
        size = self.part.stat().st_size
        found: str | None = None
        wanted: str | None = None
        if self.size not in (None, size):
            found, wanted = f"{size} bytes", f"{self.size} bytes"
        for algorithm, digits in self.checksum.items():
            if digests[algorithm] != digits:
                found, wanted = f"{algorithm} {digests[algorithm]}, {size} bytes", f"{algorithm} {digits}"
        found = found or self.check(self.part)
        if found is None:
            return
        self.journal_path.unlink(missing_ok=True)
        if resumed:
            raise FileChangedError
        advice = "fetch again, or from another address"
        if self.set_aside:
            os.replace(self.part, self._aside)
            advice = f"it is set aside as {self._aside.name}; {advice}"
        else:
            self.part.unlink()
        problem = f"has other bytes than {self.path.name} should have"
        raise InputError(self.source.shown, problem, found=found, wanted=wanted, advice=advice)

    def _share(self, source: Path) -> bool:
        """A file on the same disk need not be copied: share its blocks, or give it a second name."""
        for share in (reflink, os.link):
            try:
                share(source.resolve(), self.part)
                return True
            except OSError:
                self.part.unlink(missing_ok=True)
        return False
