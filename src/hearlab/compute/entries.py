"""Finished units as the journal and the versioned indexes hold them.

An index comes with `git` and `dvc pull` from other people. So each entry is validated once, where it is read: what gets
past this module holds md5 that are md5, and names that stay inside their folder. Results live in entries only, so each
entry holds a checksum of itself: one whose bytes were altered, in an editor or by a disk, is no entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, JsonValue, Strict, TypeAdapter

# Parts of a path: no '', '.' or '..', no control characters (Cc, which NUL is one of).
_PART = r"(?:[^./\p{Cc}]|\.[^./\p{Cc}]|\.\.[^/\p{Cc}])[^/\p{Cc}]*"
_NAME = rf"^{_PART}(?:/{_PART})*$"
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=_NAME, max_length=4096)]
Folder = Annotated[str, Field(pattern=rf"^$|{_NAME}", max_length=4096)]
CHECK = "check"
Label = Annotated[str, Field(pattern=r"^[^\p{Cc}]*$")]


@dataclass(frozen=True)
class StoredFile:
    """A unit's output: its name, the md5 and the number of its bytes."""

    name: Name
    md5: Md5
    size: Annotated[int, Strict(), Field(ge=0)]


@dataclass(frozen=True)
class Entry:
    """A finished unit.

    Attributes:
        key: see `Unit.key`.
        stage, id: what made it.
        out: the stage's output folder, relative to the workspace; empty for units that write no files.
        inputs: md5 of what it read.
        files: what it wrote.
        result: what it returned.
    """

    key: Key
    stage: Label
    id: Label
    out: Folder
    inputs: tuple[Md5, ...]
    files: tuple[StoredFile, ...]
    result: JsonValue

    @classmethod
    def from_json(cls, record: Any) -> Entry:
        """The entry that a foreign value is.

        Raises:
            ValueError: it is none, or not the one that was written.
        """
        if not isinstance(record, dict):
            raise ValueError("no entry")
        fields = {name: value for name, value in record.items() if name != CHECK}
        entry = _ENTRY.validate_python(fields)
        if not sealed(record):
            raise ValueError("the checksum is of another entry")
        return entry

    @property
    def promise(self) -> tuple[str, str, str, tuple[str, ...]]:
        """Stage, unit, output folder and names of the files: what a unit must be to use this entry."""
        return self.stage, self.id, self.out, tuple(file.name for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        fields = self._fields()
        return {**fields, CHECK: checksum(fields)}

    def line(self) -> str:
        """`to_json` as one line of JSON, which is made once."""
        text = one_line(self._fields())
        return f'{text[:-1]},"{CHECK}":"{_check(text)}"}}'

    def _fields(self) -> dict[str, Any]:
        return {**vars(self), "files": [vars(file) for file in self.files]}


_ENTRY = TypeAdapter(Entry)


def checksum(fields: Mapping[str, Any]) -> str:
    """What an entry's field `check` holds, from the others in their order: against accidents, not against a forger."""
    return _check(one_line(fields))


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sealed(record: Any) -> bool:
    """Whether a record holds its own checksum."""
    try:
        return record[CHECK] == checksum({name: value for name, value in record.items() if name != CHECK})
    except (KeyError, TypeError, AttributeError, RecursionError):
        return False


class Entries(Mapping[str, Entry]):
    """Finished units by their keys, each kept as the line of text that the journal holds.

    An entry of 13 files takes six times as much memory as its line; a driver knows tens of thousands of them.
    """

    def __init__(self) -> None:
        self._lines: dict[str, bytes] = {}

    def __getitem__(self, key: str) -> Entry:
        record = json.loads(self._lines[key])  # a line of our own: validated when it was read
        del record[CHECK]
        files = tuple(StoredFile(**file) for file in record["files"])
        return Entry(**{**record, "inputs": tuple(record["inputs"]), "files": files})

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, key: str) -> str:
        """The entry as one line of JSON."""
        return self._lines[key].decode()

    def note(self, entry: Entry) -> None:
        """Add an entry, or replace that of the same key."""
        self._lines[entry.key] = entry.line().encode()

    def drop(self, key: str) -> bool:
        """Remove an entry; whether it was there."""
        return self._lines.pop(key, None) is not None


def one_line(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON."""
    return json.dumps(record, separators=(",", ":"))
