"""The receipt of an unpacked package: every file with its size and md5, as lines of JSON.

    {"package": "cec2-core", "archive": "clarity_CEC2_core.v1_0.tgz", "archive_size": ..., "archive_md5": ...}
    {"path": "dev/rooms/ac/R06001.ac", "size": 5049, "md5": "..."}
    ...
    {"files": 50000, "bytes": 52000000000, "complete": true}

Paths are told from the data root, sorted, so that the same package always gives the same receipt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import write_text


@dataclass(frozen=True)
class FileLine:
    """A file: its path from the data root with '/', its bytes and their md5."""

    path: str
    size: int
    md5: str

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size, "md5": self.md5}

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
    lines: Iterable[dict[str, Any]] = (receipt.files[name].as_dict() for name in sorted(receipt.files))
    end = {"files": len(receipt.files), "bytes": receipt.bytes, "complete": True}
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (header, *lines, end)))


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; None if there is none.

    Raises:
        InputError: it is not whole, or a line is not as it should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, "cannot be read", found=error, advice="remove it and unpack again") from None
    try:
        header, *entries, end = (json.loads(line) for line in text.rstrip("\n").split("\n"))
        files = {line.path: line for line in map(FileLine.of, entries)}
        if end["complete"] is not True or end["files"] != len(files):
            raise ValueError("not complete")
        return Receipt(header["package"], header["archive"], header["archive_size"], header["archive_md5"], files)
    except (ValueError, KeyError, TypeError):
        raise InputError(path, "is no whole receipt", advice="remove it and unpack again") from None
