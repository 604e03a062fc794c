"""The note beside a fetched archive: its size, its check sums and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hearlab.files import write_json


@dataclass(frozen=True)
class FetchedNote:
    """What was found out about an archive when it was fetched.

    Attributes:
        modified: time of the last change, in ns; a later change voids the note.
        verified: whether the bytes were compared with a check sum that was published or given.
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


def write_fetched(archive: Path, address: str, checksum: Mapping[str, str], verified: bool) -> FetchedNote:
    """Write the note of an archive that is there."""
    status = archive.stat()
    note = FetchedNote(status.st_size, status.st_mtime_ns, address, dict(checksum), verified)
    write_json(note_path(archive), asdict(note))
    return note


def read_fetched(archive: Path) -> FetchedNote | None:
    """Read the note; None if there is none or the archive is another file by now."""
    try:
        note = FetchedNote(**json.loads(note_path(archive).read_text(encoding="utf-8")))
        status = archive.stat()
        if (status.st_size, status.st_mtime_ns) == (note.size, note.modified) and len(note.md5) == 32:
            return note
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    return None
