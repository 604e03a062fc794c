"""What is recorded of a package: a note beside the fetched archive, and the receipt of its unpacked files.

The receipt names every file with its size and md5, as lines of JSON:

    {"package": "cec2-core", "archive": "clarity_CEC2_core.v1_0.tgz", "archive_size": ..., "archive_md5": ...}
    {"path": "dev/rooms/ac/R06001.ac", "size": 5049, "md5": "..."}
    ...
    {"files": 50000, "bytes": 52000000000, "complete": true}

Paths are relative to the data root and sorted, so that the same package always gives the same receipt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import parse_json, read_bytes, read_json, write_json, write_text

MOST_BYTES = 500_000_000  # of a receipt: 100 bytes for each file of a package


@dataclass(frozen=True)
class FileLine:
    """A file: its path from the data root with '/', its bytes and their md5."""

    path: str
    size: int
    md5: str

    as_dict = asdict

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> FileLine:
        """Raises: KeyError, TypeError or ValueError if it is no such line."""
        line = cls(entry["path"], entry["size"], entry["md5"])
        parts = line.path.split("/")
        if not isinstance(line.size, int) or line.path.startswith("/") or not {"", ".", ".."}.isdisjoint(parts):
            raise ValueError(line.path)
        return line


@dataclass(frozen=True)
class Receipt:
    """A whole receipt."""

    package: str
    archive: str
    archive_size: int
    archive_md5: str | None
    files: Mapping[str, FileLine]

    @property
    def bytes(self) -> int:
        return sum(line.size for line in self.files.values())


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt atomically."""
    header = {
        "package": receipt.package,
        "archive": receipt.archive,
        "archive_size": receipt.archive_size,
        "archive_md5": receipt.archive_md5,
    }
    lines = (receipt.files[name].as_dict() for name in sorted(receipt.files))
    end = {"files": len(receipt.files), "bytes": receipt.bytes, "complete": True}
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (header, *lines, end)))


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; None if there is none.

    Raises:
        InputError: it is not whole, or a line is not as it should be.
    """
    if not path.exists():
        return None
    try:
        lines = read_bytes(path, most=MOST_BYTES).rstrip(b"\n").split(b"\n")
        header, *entries, end = (parse_json(line, path) for line in lines)
        files = {line.path: line for line in map(FileLine.of, entries)}
        if end["complete"] is not True or end["files"] != len(files):
            raise ValueError("not complete")
        return Receipt(header["package"], header["archive"], header["archive_size"], header["archive_md5"], files)
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(path, "is no whole receipt", advice="remove it and unpack again") from None


@dataclass(frozen=True)
class ArchiveNote:
    """What is known of an archive since it was fetched.

    Attributes:
        modified: time of the last change, in ns; a later change makes the note invalid.
        verified: whether the bytes were compared with a checksum that was published or given.
    """

    size: int
    modified: int
    address: str
    checksum: Mapping[str, str]
    verified: bool

    @property
    def md5(self) -> str:
        return self.checksum["md5"]


def note_path(archive: Path) -> Path:
    return archive.with_name(archive.name + ".fetched.json")


def write_archive_note(archive: Path, address: str, checksum: Mapping[str, str], verified: bool) -> ArchiveNote:
    """Write the note of an archive that is there."""
    status = archive.stat()
    note = ArchiveNote(status.st_size, status.st_mtime_ns, address, dict(checksum), verified)
    write_json(note_path(archive), asdict(note))
    return note


def read_archive_note(archive: Path) -> ArchiveNote | None:
    """Read the note; None if there is none or the archive is another file by now."""
    try:
        note = ArchiveNote(**read_json(note_path(archive)))
        status = archive.stat()
        if (status.st_size, status.st_mtime_ns) == (note.size, note.modified) and len(note.md5) == 32:
            return note
    except (InputError, OSError, TypeError, KeyError, AttributeError):
        pass
    return None
