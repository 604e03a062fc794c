"""Fetching a package: only what can be that package, onto a disk that has space for it and for what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from hearlab.datasets.download.checksums import file_digests
from hearlab.datasets.download.file import Connection, download, fetching
from hearlab.datasets.download.sources import Remote
from hearlab.datasets.packages.byte_stream import GZIP_MAGIC
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.receipt import ArchiveNote, read_archive_note, write_archive_note
from hearlab.datasets.packages.space import fetching_needs, require_space
from hearlab.datasets.packages.zip_reader import END_MAGIC
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from hearlab.secrets import without_login

ZIP_MAGIC = b"PK\x03\x04"
TAR_MAGIC_AT = slice(257, 262)


@dataclass(frozen=True)
class Fetched:
    """The result of fetching.

    Attributes:
        fetched: bytes that came this time.
        verified: compared with a checksum that was published or given.
    """

    package: str
    path: Path
    size: int
    md5: str
    verified: bool
    fetched: int = 0


def fetch(
    package: Package,
    folders: PackageFolders,
    address: str | None = None,
    *,
    checksum: Mapping[str, str] | None = None,
    any_size: bool = False,
    then_unpack: bool = True,
    connection: Connection | None = None,
    progress: ByteProgress | None = None,
) -> Fetched:
    """Fetch a package, or go on where an earlier call was cut; at once if it is there.

    Args:
        address: http(s)://, file:// or a path; one that ends in '/' is the folder of the package's published file
            name. By default the table's.
        checksum: {algorithm: digits} that the package must have, instead of the table's; {} to verify nothing.
        any_size: take the file even if its size differs from the published one.
        then_unpack: require the disk space that unpacking will need too, not only that of the package.

    Raises:
        InputError: no address is known; the disk is too small; the server has no such file, refuses it, gives a web
            page or other bytes than published, or does not answer for long. What was fetched is kept, except wrong
            bytes, which are set aside as `<name>.wrong`.
    """
    progress = progress or ByteProgress(quiet=True)
    wanted = dict(package.checksum if checksum is None else checksum)
    path = _destination(package, folders, address)

    def accept(shown: str, remote: Remote) -> None:
        _check_remote(package, shown, remote, any_size)

    def room(size: int | None, there: int) -> None:
        require_space(fetching_needs(package, folders, size, there, then_unpack=then_unpack))

    # Looking for the archive too: another process may be about to give it its name.
    with fetching(path):
        if path.exists():
            given = address or package.address or str(path)
            # Queries may hold keys.
            source = without_login(given).partition("?")[0] if "://" in given else given
            note = _note_of(package, path, source, wanted, any_size, progress)
            return Fetched(package.name, path, note.size, note.md5, note.verified)
        done = download(
            _address(package, address),
            path,
            size=None if any_size else package.size,
            checksum=wanted,
            algorithms=["md5"],
            accept=accept,
            require_space=room,
            set_aside=True,
            locked=True,
            connection=connection,
            progress=progress,
        )
        note = write_archive_note(path, done.source, done.digests, bool(wanted))
    return Fetched(package.name, path, note.size, note.md5, note.verified, done.fetched)


def _note_of(
    package: Package, path: Path, address: str, wanted: Mapping[str, str], any_size: bool, progress: ByteProgress
) -> ArchiveNote:
    """The note of an archive that is there; if there is none, the archive is verified and the note written."""
    note = read_archive_note(path)
    if note is not None and all(note.checksum.get(name) == digits for name, digits in wanted.items()):
        return note
    size = path.stat().st_size
    _check_size(package, str(path), size, any_size)
    progress.start(f"verifying {path.name}", size)
    try:
        digests = file_digests(path, ["md5", *wanted], progress.advance)
    finally:
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
    return write_archive_note(path, address, digests, bool(wanted))


def _destination(package: Package, folders: PackageFolders, address: str | None) -> Path:
    """Where the archive goes; a later issue of the package keeps its own name."""
    name = PurePosixPath(urlsplit(address or "").path).name
    return folders.archives / name if name in (package.file, *package.also) else folders.archive(package)


def _address(package: Package, address: str | None) -> str:
    address = address or package.address
    if address is None:
        where = f"; ask for it at {package.page}" if package.page else ""
        raise InputError(package.name, "has no public address", advice=f"give the one that you were sent{where}")
    return address + package.file if address.endswith("/") else address


def _check_remote(package: Package, shown: str, remote: Remote, any_size: bool) -> None:
    """Refuse, before anything is fetched, what cannot be the package."""
    head = remote.head
    known = head.startswith((GZIP_MAGIC, ZIP_MAGIC, END_MAGIC)) or head[TAR_MAGIC_AT] == b"ustar"
    if not known:
        raise InputError(
            shown,
            "is no package",
            found=f"a file that begins with {ascii(head[:16])[2:-1]}",
            wanted="a .tgz, .tar.gz, .tar or .zip",
            advice="give the address of the file itself",
        )
    if remote.size is not None:
        _check_size(package, shown, remote.size, any_size)


def _check_size(package: Package, where: str, size: int, any_size: bool) -> None:
    if package.size is not None and size != package.size and not any_size:
        raise InputError(
            where,
            f"has another size than {package.file}",
            found=f"{size} bytes",
            wanted=f"{package.size} bytes",
            advice="check the address, or accept any size (--any-size)",
        )
