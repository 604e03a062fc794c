"""Fetching a package: parts side by side, resumed after a cut or a kill, verified before it gets its name.

While it is fetched, the package is `<name>.part`, and `<name>.part.journal` tells which bytes of it are there. The
connections note their progress often enough that all of them together lose less than one range when the process is
killed. A thread computes the check sums behind them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from hearlab.datasets.download.checksums import FollowingHasher
from hearlab.datasets.download.journal import Journal, only_one, read_journal
from hearlab.datasets.download.ranges import Intervals, RangeFetcher, write_all
from hearlab.datasets.download.retry import Retry
from hearlab.datasets.download.sources import (
    FileChangedError,
    NoRangesError,
    PassingError,
    Remote,
    Source,
    open_source,
)
from hearlab.datasets.packages.byte_stream import GZIP_MAGIC
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.fetched import FetchedNote, read_fetched, write_fetched
from hearlab.datasets.packages.folders import Places
from hearlab.datasets.packages.space import fetching_needs, reflink, require_space
from hearlab.datasets.packages.zip_reader import END_MAGIC
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from hearlab.text import size_text

CONNECTIONS = 4
RANGE = 32 << 20
CHANGES = 2  # how often the file may change under our hands before we give up
ZIP_MAGIC = b"PK\x03\x04"
TAR_MAGIC_AT = slice(257, 262)


@dataclass(frozen=True)
class Fetched:
    """What fetching did.

    Attributes:
        fetched: bytes that came this time.
        verified: compared with a check sum that was published or given.
    """

    package: str
    path: Path
    size: int
    md5: str
    verified: bool
    fetched: int = 0
    seconds: float = 0.0


def fetch(
    package: Package,
    places: Places,
    address: str | None = None,
    *,
    checksum: Mapping[str, str] | None = None,
    any_size: bool = False,
    then_unpack: bool = True,
    headers: Mapping[str, str] | None = None,
    connections: int = CONNECTIONS,
    range_size: int = RANGE,
    timeout: float = 30.0,
    retry: Retry | None = None,
    progress: ByteProgress | None = None,
) -> Fetched:
    """Fetch a package, or go on where an earlier call was cut; at once if it is there.

    Args:
        address: http(s)://, file:// or a path; one that ends in '/' is the folder of the package's published file
            name. By default the table's.
        checksum: {algorithm: digits} that the package must have, instead of the table's; {} to verify nothing.
        any_size: take the file even if its size differs from the published one.
        then_unpack: ask for the disk space that unpacking will need too, not only for that of the package.
        headers: sent to the address, for servers that ask for a token or a cookie.
        connections: ranges that are fetched side by side.
        range_size: bytes asked for at a time.
        timeout: seconds without a byte after which a connection counts as cut.

    Raises:
        InputError: no address is known; the disk is too small; the server has no such file, refuses it, gives a web
            page or other bytes than published, or does not answer for long. What was fetched is kept, but for wrong
            bytes, which are set aside as `<name>.wrong`.
    """
    progress, retry = progress or ByteProgress(quiet=True), retry or Retry()
    wanted = dict(package.checksum if checksum is None else checksum)
    path = _destination(package, places, address)
    places.archives.mkdir(parents=True, exist_ok=True)
    with only_one(path.with_name(f".{path.name}.lock"), f"fetching {package.name}"):
        began = time.monotonic()
        if path.exists():
            note = _known(package, path, address or package.address or str(path), wanted, any_size, progress)
            return Fetched(package.name, path, note.size, note.md5, note.verified, 0, time.monotonic() - began)
        source = open_source(_address(package, address), headers, timeout)
        remote = retry.few().run(source.probe, source.shown, progress)
        _check_remote(package, source, remote, any_size)
        work = _Fetching(package, path, source, wanted, any_size, retry, progress)
        there = work.resume(remote)
        require_space(fetching_needs(package, places, remote.size, there.total(), then_unpack=then_unpack))
        fetched = work.run(remote, there, connections, range_size)
        note = write_fetched(path, source.shown, work.digests, bool(wanted))
        return Fetched(package.name, path, note.size, note.md5, note.verified, fetched, time.monotonic() - began)


class _Fetching:
    """One run."""

    def __init__(
        self,
        package: Package,
        path: Path,
        source: Source,
        wanted: Mapping[str, str],
        any_size: bool,
        retry: Retry,
        progress: ByteProgress,
    ) -> None:
        self.package, self.path, self.source = package, path, source
        self.wanted, self.any_size, self.retry, self.progress = wanted, any_size, retry, progress
        self.part = path.with_name(path.name + ".part")
        self.journal_path = path.with_name(path.name + ".part.journal")
        self.aside = path.with_name(path.name + ".wrong")
        self.digests: Mapping[str, str] = {}
        self.came = 0

    def run(self, remote: Remote, there: Intervals, connections: int, range_size: int) -> int:
        """Fetch what is not there, verify and name the file; gives the bytes that came."""
        if self.source.local is not None and not there and self._share(self.source.local):
            there = Intervals([(0, remote.size or 0)])
        for _ in range(CHANGES):
            try:
                self._fill(remote, there, connections, range_size)
                break
            except FileChangedError:
                self.progress.message(f"{self.source.shown}: the file has changed; fetching it anew")
                self.part.unlink(missing_ok=True)
                there = Intervals()
                remote = self.retry.run(self.source.probe, self.source.shown, self.progress)
                _check_remote(self.package, self.source, remote, self.any_size)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                kept = f"; {size_text(there.total())} are there and kept" if there else ""
                raise InputError(
                    self.part, "the disk is full", advice=f"free some space and fetch again{kept}"
                ) from None
            finally:
                self.progress.finish()
        else:
            raise InputError(self.source.shown, "the file keeps changing on the server", advice="try again later")
        self._verify()
        os.replace(self.part, self.path)
        self.journal_path.unlink(missing_ok=True)
        self.aside.unlink(missing_ok=True)
        return self.came

    def resume(self, remote: Remote) -> Intervals:
        """The bytes that earlier runs left, if they are of the same file."""
        record = read_journal(self.journal_path)
        there = Intervals()
        if record.header is not None and self.part.exists():
            if remote.ranges and record.header == remote.identity(self.source.shown):
                for entry in record.trusted:
                    there.add(entry["from"], entry["to"])
                if there:
                    self.progress.message(f"{self.path.name}: {size_text(there.total())} are there; going on")
            elif record.trusted:
                why = "has changed on the server" if remote.ranges else "comes from a server that cannot go on midway"
                self.progress.message(f"{self.path.name}: the file {why}; fetching it anew")
        if not there:
            self.part.unlink(missing_ok=True)
        return there

    def _fill(self, remote: Remote, there: Intervals, connections: int, range_size: int) -> None:
        """Fetch what is not there yet into the part file, and hash it."""
        # A file that is there as a whole may be the user's own, shared: it is not opened for writing.
        access = os.O_RDONLY if there.total() == remote.size else os.O_RDWR | os.O_CREAT
        descriptor = os.open(self.part, access | os.O_CLOEXEC, 0o666)
        try:
            if remote.ranges:
                try:
                    self._fill_ranges(descriptor, remote, there, connections, range_size)
                except NoRangesError:
                    os.ftruncate(descriptor, 0)
                    self._stream(descriptor, remote)
            else:
                self._stream(descriptor, remote)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _fill_ranges(
        self, descriptor: int, remote: Remote, there: Intervals, connections: int, range_size: int
    ) -> None:
        if there:
            os.fsync(descriptor)
        entries = [{"from": first, "to": end} for first, end in there]
        journal = Journal.create(self.journal_path, remote.identity(self.source.shown), entries)
        hasher = self._hasher(descriptor)
        hasher.reach(there.frontier())
        self.progress.start(f"fetching {self.path.name}", remote.size, there.total())
        fetcher = RangeFetcher(self.source, remote, descriptor, there, journal, hasher, self.retry, self.progress)
        try:
            fetcher.run(connections, range_size)
            self.digests = hasher.finish()
        finally:
            self.came += fetcher.came
            hasher.abandon()
            journal.close()

    def _stream(self, descriptor: int, remote: Remote) -> None:
        """Fetch the whole file in one piece; after a cut it has to begin again."""
        # Nothing of it can be gone on with: there is no journal.
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
                    self.came += len(block)
                    self.progress.advance(len(block))
            if announced is not None and position != announced:
                raise PassingError(f"the connection was cut after {position} of {announced} bytes")
            return position

        size = self.retry.run(attempt, self.source.shown, self.progress)
        os.ftruncate(descriptor, size)
        hasher = self._hasher(descriptor)
        hasher.reach(size)
        self.digests = hasher.finish()

    def _hasher(self, descriptor: int) -> FollowingHasher:
        return FollowingHasher(descriptor, ("md5", *self.wanted))

    def _verify(self) -> None:
        size = self.part.stat().st_size
        for algorithm, digits in self.wanted.items():
            if self.digests[algorithm] != digits:
                os.replace(self.part, self.aside)
                self.journal_path.unlink(missing_ok=True)
                raise InputError(
                    self.source.shown,
                    f"has other bytes than {self.package.file} should have",
                    found=f"{algorithm} {self.digests[algorithm]}, {size} bytes",
                    wanted=f"{algorithm} {digits}",
                    advice=f"it is set aside as {self.aside.name}; fetch again, or from another address",
                )

    def _share(self, source: Path) -> bool:
        """A file on the same disk need not be copied: share its blocks, or be its second name."""
        try:
            reflink(source, self.part)
            return True
        except OSError:
            self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.link(source.resolve(), self.part)
            return True
        return False


def _known(
    package: Package, path: Path, address: str, wanted: Mapping[str, str], any_size: bool, progress: ByteProgress
) -> FetchedNote:
    """The note of an archive that is there; made, and the archive verified, if there is none."""
    note = read_fetched(path)
    if note is not None and all(note.checksum.get(name) == digits for name, digits in wanted.items()):
        return note
    size = path.stat().st_size
    _check_size(package, str(path), size, any_size)
    progress.start(f"verifying {path.name}", size)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        hasher = FollowingHasher(descriptor, ("md5", *wanted))
        hasher.reach(size)
        digests = hasher.finish()
        progress.advance(size)
    finally:
        os.close(descriptor)
        progress.finish()
    for algorithm, digits in wanted.items():
        if digests[algorithm] != digits:
            raise InputError(
                path,
                f"has other bytes than {package.file} should have",
                found=f"{algorithm} {digests[algorithm]}",
                wanted=f"{algorithm} {digits}",
                advice="move it away and fetch again",
            )
    return write_fetched(path, address, digests, bool(wanted))


def _destination(package: Package, places: Places, address: str | None) -> Path:
    """The archive's place; a later issue of the package keeps its own name."""
    name = PurePosixPath(urlsplit(address or "").path).name
    return places.archives / name if name in (package.file, *package.also) else places.archive(package)


def _address(package: Package, address: str | None) -> str:
    address = address or package.address
    if address is None:
        where = f"; ask for it at {package.page}" if package.page else ""
        raise InputError(package.name, "has no public address", advice=f"give the one that you were sent{where}")
    return address + package.file if address.endswith("/") else address


def _check_remote(package: Package, source: Source, remote: Remote, any_size: bool) -> None:
    """Refuse, before anything is fetched, what cannot be the package."""
    if remote.size == 0 or not remote.head:
        raise InputError(source.shown, "is empty", wanted=package.file)
    head = remote.head
    known = head.startswith((GZIP_MAGIC, ZIP_MAGIC, END_MAGIC)) or head[TAR_MAGIC_AT] == b"ustar"
    if not known:
        raise InputError(
            source.shown,
            "is no package",
            found=f"a file that begins with {ascii(head[:16])[2:-1]}",
            wanted="a .tgz, .tar.gz, .tar or .zip",
            advice="give the address of the file itself",
        )
    if remote.size is not None:
        _check_size(package, source.shown, remote.size, any_size)


def _check_size(package: Package, where: str, size: int, any_size: bool) -> None:
    if package.size is not None and size != package.size and not any_size:
        raise InputError(
            where,
            f"has another size than {package.file}",
            found=f"{size} bytes",
            wanted=f"{package.size} bytes",
            advice="check the address, or say that any size is right (--any-size)",
        )
