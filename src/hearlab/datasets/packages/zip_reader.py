"""Reading a zip archive strictly: its whole list of members is checked before anything is unpacked."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.packages.archive_safety import HostileArchive, Vetting, shown
from hearlab.errors import InputError

DATA_BLOCK = 1 << 20
# Bytes of the list of members that are read into memory: enough for a million files.
LARGEST_DIRECTORY = 256 << 20
LONGEST_COMMENT = 65535
END_RECORD = struct.Struct("<4s4H2LH")
END_MAGIC = b"PK\x05\x06"
LOCATOR = struct.Struct("<4sLQL")
LOCATOR_MAGIC = b"PK\x06\x07"
LARGE_END = struct.Struct("<4sQ2H2L4Q")
LARGE_END_MAGIC = b"PK\x06\x06"
LOCAL_HEADER = 30  # bytes, before name and extra field
ENCRYPTED = 0x1
UTF8_NAME = 0x800
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}


@dataclass(frozen=True)
class Entry:
    """A file of the archive."""

    name: str
    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def size(self) -> int:
        return self.info.file_size


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive.

    Raises:
        InputError: it is missing, damaged, cut short, or its list of members is too large.
    """
    try:
        with path.open("rb") as file:
            size = _directory_size(file.seek(0, 2), path)
        if size > LARGEST_DIRECTORY:
            raise HostileArchive(path, "not unpacked: too many members", found=f"a list of {size} bytes")
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(path, "no such file", wanted="a package to unpack") from None
    except (zipfile.BadZipFile, UnicodeDecodeError, struct.error, NotImplementedError) as error:
        raise damaged(path, error) from None


def entries(archive: zipfile.ZipFile, path: Path, vetting: Vetting) -> list[Entry]:
    """The files of the archive, each vetted, in the order of their bytes.

    Raises:
        InputError: a name, kind, size or place inside the archive is not as it should be.
    """
    found = []
    packed = unpacked = 0
    for info in archive.infolist():
        name = _name(info, vetting)
        parts = vetting.parts(name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK:
            raise vetting.refuse(name, "a symbolic link")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise vetting.refuse(name, "a device or named pipe")
        if info.flag_bits & ENCRYPTED:
            raise vetting.refuse(name, "an encrypted file")
        if name.endswith("/") or kind == stat.S_IFDIR:
            if info.file_size:
                raise vetting.refuse(name, "a folder with contents")
            continue
        if not parts:
            raise vetting.refuse(name, "a file without a name")
        if info.compress_type not in METHODS:
            raise vetting.refuse(
                name, "packed in an unknown way", found=info.compress_type, wanted=" or ".join(METHODS.values())
            )
        packed += info.compress_size
        unpacked += info.file_size
        vetting.count(info.file_size, name)
        vetting.check_ratio(packed, unpacked, name)
        found.append(Entry(name, parts, info))
    _check_overlap(archive, path, vetting)
    return sorted(found, key=lambda entry: entry.info.header_offset)


def blocks(archive: zipfile.ZipFile, entry: Entry, path: Path) -> Iterator[bytes]:
    """The bytes of a file; their number and checksum are verified.

    Raises:
        InputError: the archive is damaged there.
    """
    read = 0
    try:
        with archive.open(entry.info) as file:
            while block := file.read(DATA_BLOCK):
                read += len(block)
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise damaged(path, error, shown(entry.name)) from None
    if read != entry.size:
        raise damaged(path, f"{read} bytes instead of {entry.size}", shown(entry.name))


def damaged(path: Path, found: object, field: str | None = None) -> InputError:
    return InputError(path, "is damaged or no zip archive", field=field, found=found, advice="fetch the package again")


def _check_overlap(archive: zipfile.ZipFile, path: Path, vetting: Vetting) -> None:
    """Members that share bytes make bombs of any ratio: each must end before the next begins."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    for info, end in zip(infos, ends, strict=True):
        least = LOCAL_HEADER + len(info.orig_filename) + info.compress_size
        if info.header_offset < 0 or info.header_offset + least > end:
            raise vetting.refuse(info.orig_filename, "members that share bytes: a compression bomb")


def _name(info: zipfile.ZipInfo, vetting: Vetting) -> str:
    # The original name: `filename` is already cut at a NUL.
    name = info.orig_filename
    if info.flag_bits & UTF8_NAME or name.isascii():
        return name
    try:  # without the flag the reader took the bytes for code page 437; many programs write UTF-8 without the flag
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise vetting.refuse(name, "a name that is not UTF-8 text") from None


def _directory_size(length: int, path: Path) -> int:
    """Bytes of the list of members, from the record at the end of the archive."""
    with path.open("rb") as file:
        start = max(0, length - END_RECORD.size - LONGEST_COMMENT)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(END_MAGIC)
        if at < 0 or len(tail) - at < END_RECORD.size:
            raise InputError(
                path,
                "is cut short or no zip archive: no list of its members at the end",
                advice="fetch the package again",
            )
        size = END_RECORD.unpack_from(tail, at)[5]
        if at >= LOCATOR.size and tail[at - LOCATOR.size : at].startswith(LOCATOR_MAGIC):
            file.seek(LOCATOR.unpack_from(tail, at - LOCATOR.size)[2])
            record = file.read(LARGE_END.size)
            if len(record) == LARGE_END.size and record.startswith(LARGE_END_MAGIC):
                size = LARGE_END.unpack(record)[8]
    return int(size)
