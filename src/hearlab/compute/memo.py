"""What is already done: finished bytes and the journal that finds them again.

DVC deletes a stage's outputs before it runs the stage. So each finished unit's files go at once to where DVC would put
them in the end, its content-addressed cache (or, without DVC, to a store of our own), and the outputs are links to
them: bytes exist once, and DVC, when it commits the stage, finds them there already. Which unit made which bytes is
recorded in two places: a journal beside the workspace, for runs that were interrupted, and an index that is versioned
with each stage's result, for other clones and for going back in history.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.compute.identity import Identities
from hearlab.compute.object_store import ObjectStore, StoredFile
from hearlab.files import write_text
from hearlab.versions.dvc_files import cache_folder
from hearlab.versions.lock import lock_records

FOLDER = ".hearlab"
INDEX_VERSION = 1
# A disk takes some ms to write something for good, however little it is: finished units share that, this often at most.
COMMIT_SECONDS = 0.25


@dataclass(frozen=True)
class Entry:
    """A finished unit.

    Attributes:
        key: see `Unit.key`.
        stage, id: what made it.
        out: the stage's output folder, relative to the workspace.
        inputs: md5 of what it read.
        files: what it wrote.
        result: what it returned.
    """

    key: str
    stage: str
    id: str
    out: str
    inputs: tuple[str, ...]
    files: tuple[StoredFile, ...]
    result: Any

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Entry:
        files = tuple(StoredFile(**file) for file in record["files"])
        plain = {name: record[name] for name in ("key", "stage", "id", "out", "result")}
        return cls(inputs=tuple(record["inputs"]), files=files, **plain)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {**vars(self), "files": [vars(file) for file in self.files]}


class Entries(Mapping[str, Entry]):
    """Finished units by their keys, each kept as the line of text that the journal holds.

    An entry of 13 files takes six times as much memory as its line; a driver knows tens of thousands of them.
    """

    def __init__(self) -> None:
        self._lines: dict[str, bytes] = {}

    def __getitem__(self, key: str) -> Entry:
        return Entry.from_json(json.loads(self._lines[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, key: str) -> str:
        """The entry as one line of JSON."""
        return self._lines[key].decode()

    def note(self, entry: Entry) -> None:
        """Add an entry, or replace that of the same key."""
        self._lines[entry.key] = _line(entry.to_json()).encode()

    def drop(self, key: str) -> bool:
        """Remove an entry; whether it was there."""
        return self._lines.pop(key, None) is not None


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


class Memo:
    """The memory of one workspace.

    Args:
        root: the workspace, the root of the repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.cache = cache_folder(self.root)
        self.store = ObjectStore(self.cache or self.folder / "objects")
        self.journal = self.folder / "journal.jsonl"
        self.entries = Entries()
        # Keys that were noted since the last run of their stage that came to its end: no index holds them yet.
        self.unfinished: dict[str, set[str]] = {}
        self._kept: list[tuple[Entry, Path]] = []
        self._committed = time.monotonic()
        self._load_journal()

    def identities(self, *, may_read: bool = True) -> Identities:
        """Content identities of this workspace's files."""
        notes, records = self.folder / "identities.json", lock_records(self.root, self.cache)
        return Identities(self.root, notes, self.cache, records, may_read=may_read)

    # --- finding ----------------------------------------------------------------------------------------------

    def load_index(self, index: Path) -> set[str]:
        """Learn what the versioned index of a stage holds, and give its keys; a missing or foreign file is no error."""
        keys: set[str] = set()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(index.read_text(encoding="utf-8"))
            if content["version"] == INDEX_VERSION:
                for record in content["units"]:
                    entry = Entry.from_json(record)
                    keys.add(entry.key)
                    if entry.key not in self.entries:
                        self.entries.note(entry)
        return keys

    def find(self, key: str) -> Entry | None:
        """The finished unit of this key, if all its bytes are still there (by their number; `verify` reads them)."""
        entry = self.entries.get(key)
        return entry if entry is not None and all(map(self.store.holds, entry.files)) else None

    # --- keeping ----------------------------------------------------------------------------------------------

    def keep(self, entry: Entry, staged: Path) -> None:
        """Take a finished unit, whose files are in the folder `staged`, to the next `commit`."""
        self._kept.append((entry, staged))

    @property
    def commit_due(self) -> bool:
        """Whether the last commit was long enough ago."""
        return bool(self._kept) and time.monotonic() - self._committed >= COMMIT_SECONDS

    def commit(self) -> list[tuple[Entry, Path]]:
        """Store the files of all units that are kept, then note the units in the journal; gives these units.

        A noted unit's bytes are on the disk for good. A run that is killed loses what it had not committed, and only
        that: it is computed again. After an error or an interruption `commit` can be called again.
        """
        kept = list(self._kept)
        if kept:
            files = [(os.path.join(staged, file.name), file) for entry, staged in kept for file in entry.files]
            self.store.take(files, self.folder)
            for entry, _ in kept:
                self.entries.note(entry)
            self._append(*(self.entries.line(entry.key) for entry, _ in kept))
            del self._kept[: len(kept)]
        self._committed = time.monotonic()
        return kept

    def _append(self, *records: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(record + "\n" for record in records)
        with self.journal.open("ab+") as file:
            # A line torn by a crash must not swallow the next one.
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    lines = "\n" + lines
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())

    def _load_journal(self) -> None:
        try:
            text = self.journal.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                record = json.loads(line)
                if "drop" in record:
                    self.entries.drop(record["drop"])
                elif "finished" in record:
                    self.unfinished.pop(record["finished"], None)
                else:
                    entry = Entry.from_json(record)
                    self.entries.note(entry)
                    self.unfinished.setdefault(entry.stage, set()).add(entry.key)
            except (ValueError, KeyError, TypeError):
                continue  # a torn line: that unit is simply not done

    def drop(self, keys: Iterable[str]) -> None:
        """Forget finished units."""
        for key in keys:
            if self.entries.drop(key):
                self._append(_line({"drop": key}))

    def write_index(self, index: Path, keys: Mapping[str, str]) -> None:
        """Write the index that is versioned with a stage's result: the same bytes for the same units.

        Args:
            index: the file.
            keys: the key of each unit's id.
        """
        lines = ",\n".join(self.entries.line(keys[name]) for name in sorted(keys))
        write_text(index, f'{{"version":{INDEX_VERSION},"units":[\n{lines}\n]}}\n')

    def finish(self, stage: str) -> None:
        """Note that a run of the stage came to its end: its index holds all that is current."""
        self._append(_line({"finished": stage}))

    # --- one run at a time ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self, stage: str) -> Iterator[Path]:
        """Hold the stage's lock, waiting for another run of it; gives an empty staging folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = stage.replace(" ", ".")
        path = self.folder / f"{name}.lock"
        with path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                sys.stderr.write(f"{stage}: another run of this stage is under way; waiting for it to end\n")
                fcntl.flock(lock, fcntl.LOCK_EX)
            staging = self.folder / "staging" / name
            # What a killed run left half-written is here, and only here.
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
