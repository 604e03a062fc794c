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
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlab.compute.entries import CHECK, Entries, Entry, one_line, sealed
from hearlab.compute.identity import Identities
from hearlab.compute.notes import SET_ASIDE, Notes, cleared, kept_bytes
from hearlab.compute.object_store import ObjectStore
from hearlab.errors import InputError
from hearlab.files import check_count, read_bytes, write_text
from hearlab.versions.dvc_files import cache_folder, experiment_home
from hearlab.versions.lock import lock_records

FOLDER = ".hearlab"
NOTES = "identities.txt"
INDEX_VERSION = 2  # 1: entries without a checksum
# A disk takes some ms to write something for good, however little it is: finished units share that, this often at most.
COMMIT_SECONDS = 0.25

KEY = re.compile(rb'"key":"([0-9a-f]{64})"')

_log = logging.getLogger(__name__)


class Memo:
    """The memory of one workspace.

    Args:
        root: the workspace, the root of the repository.
        journal: whether to read it, which takes seconds where there are many units.
    """

    def __init__(self, root: Path, *, journal: bool = True) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.cache = cache_folder(self.root)
        home = self._home()
        others = home / FOLDER / NOTES if home != self.root else None
        self.notes = Notes(self.folder / NOTES, others)
        self.store = ObjectStore(self.cache or self.folder / "objects", self.notes, self.folder / SET_ASIDE)
        self.journal = home / FOLDER / "journal.jsonl"
        self.entries = Entries()
        # Keys that were noted since the last run of their stage that came to its end: no index holds them yet.
        self.unfinished: dict[str, set[str]] = {}
        self._kept: list[tuple[Entry, Path]] = []
        self._committed = time.monotonic()
        if journal:
            self._load_journal()

    def _home(self) -> Path:
        """Whose journal and notes count: the user's own for experiments in folders of DVC's with the same cache."""
        home = experiment_home(self.root).resolve()
        if home == self.root or self.cache is None:
            return self.root
        other = cache_folder(home)
        return home if other is not None and other.resolve() == self.cache.resolve() else self.root

    def identities(self, *, may_read: bool = True) -> Identities:
        """Content identities of this workspace's files."""
        store = None if self.cache is None else self.store
        return Identities(self.root, self.notes, store, lock_records(self.root, self.cache), may_read=may_read)

    def check_inside(self, out: Path | None, index: Path) -> None:
        """Refuse a stage's output folder, or the folder of its index, that a symbolic link leads somewhere else.

        Raises:
            InputError: the folder is a link, or a link above it leads out of the workspace.
        """
        for folder in (index.parent, out):
            path = self.root / (folder or "")
            if path != self.root and (path.is_symlink() or not path.resolve().is_relative_to(self.root)):
                problem = "is reached through a symbolic link: what is in it would be written, replaced or deleted"
                raise InputError(path, problem, wanted="a folder of the workspace", advice="remove the link")

    # --- finding ----------------------------------------------------------------------------------------------

    def load_index(self, index: Path) -> set[str]:
        """Learn what the versioned index of a stage holds, and give its keys; a missing or foreign file is no error."""
        keys: set[str] = set()
        if not os.path.lexists(index):
            return keys
        try:
            text = read_bytes(index)
            check_count(text, index)
            content = json.loads(text)
            records = content["units"] if content["version"] == INDEX_VERSION else []
            wrong = 0 if isinstance(records, list) else 1
        except (InputError, ValueError, KeyError, TypeError, RecursionError):
            records, wrong = [], 1
        for record in records if not wrong else []:
            try:
                entry = Entry.from_json(record)
            except ValueError:
                wrong += 1
                continue
            keys.add(entry.key)
            if entry.key not in self.entries:
                self.entries.note(entry)
        _warn_of_wrong_entries(index, wrong)
        return keys

    def find(
        self, key: str, promise: tuple[str, str, str, tuple[str, ...]] | None = None, *, may_read: bool = True
    ) -> Entry | None:
        """The finished unit of this key, if all its bytes are still there.

        Each object is read once in a workspace, and again when its time of change is another. Wrong ones are set aside.

        Args:
            key: the unit's key.
            promise: what the entry must be for, see `Entry.promise`; None for any.
            may_read: whether objects may be read and set aside; if not, the number of their bytes is believed.
        """
        entry = self.entries.get(key)
        if entry is None or promise not in (None, entry.promise):
            return None
        if not may_read:
            return entry if all(map(self.store.has, entry.files)) else None
        whole = True
        for file in entry.files:
            wrong = self.store.is_wrong(file.md5)
            whole &= not wrong and self.store.has(file)
            if wrong:
                aside = self.store.set_aside(file.md5)
                problem = "its bytes in the cache were altered; they are now %s, and the unit runs again"
                _log.warning(f"%s: %s: %s: {problem}", entry.stage, entry.id, file.name, aside)
        return entry if whole else None

    def known_files(self, out: Path, keys: Iterable[str]) -> dict[str, tuple[str, os.stat_result]]:
        """md5 and status of units' files in the output folder that are links to objects of known bytes, by path."""
        known = {}
        for file in (file for key in keys for file in self.entries[key].files):
            name = f"{out.as_posix()}/{file.name}"
            with contextlib.suppress(OSError):
                status = os.stat(self.root / name)
                if self.store.is_known(file.md5, status):
                    known[name] = file.md5, status
        return known

    # --- keeping ----------------------------------------------------------------------------------------------

    def keep(self, entry: Entry, staged: Path) -> None:
        """Take a finished unit, whose files are in the folder `staged`, to the next `commit`."""
        self._kept.append((entry, staged))

    def give_up(self) -> None:
        """Forget what was taken since the last `commit`."""
        self._kept.clear()

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
            self.notes.save()
        self._committed = time.monotonic()
        return kept

    def _append(self, *records: str) -> None:
        self.journal.parent.mkdir(parents=True, exist_ok=True)
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
        wrong, altered = 0, []
        for place, line in self._lines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                # What is torn by a crash is a part of a line: that unit is simply not done.
                record = {} if line.startswith(b"{") or not line.strip() else None
            try:
                self._learn(record)
            except (ValueError, TypeError):
                wrong += 1
                if not sealed(record):  # else of a later HearLab, which will want it
                    altered.append((place, len(line)))
        _warn_of_wrong_entries(self.journal, wrong)
        with contextlib.suppress(OSError):  # then the next run tells again
            self._blank(altered)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """The journal's lines, and where each begins."""
        place = 0
        for line in kept_bytes(self.journal).split(b"\n"):
            yield place, line
            place += len(line) + 1

    def _learn(self, record: Any) -> None:
        if "drop" in record:  # by an older HearLab
            self.entries.drop(record["drop"])
        elif "finished" in record:
            self.unfinished.pop(record["finished"], None)
        elif CHECK in record:  # those without are of an older HearLab
            entry = Entry.from_json(record)
            self.entries.note(entry)
            self.unfinished.setdefault(entry.stage, set()).add(entry.key)

    def _blank(self, lines: Sequence[tuple[int, int]]) -> None:
        """Take lines out of the journal where they lie, since other processes add theirs meanwhile."""
        if not lines:
            return
        with self.journal.open("r+b") as file:
            for place, length in lines:
                file.seek(place)
                file.write(b" " * length)
            file.flush()
            os.fsync(file.fileno())

    def drop(self, keys: Iterable[str]) -> None:
        """Forget finished units."""
        gone = {key.encode() for key in keys if self.entries.drop(key)}
        # A line that says so could be lost, and they would be there again.
        self._blank([(place, len(line)) for place, line in self._lines() if gone & set(KEY.findall(line))])

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
        self._append(one_line({"finished": stage}))

    # --- one run at a time ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self, stage: str) -> Iterator[Path]:
        """Hold the stage's lock, waiting for another run of it; gives an empty staging folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = stage.replace(" ", ".")
        path = self.folder / f"{name}.lock"
        cleared(path)
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


def _warn_of_wrong_entries(file: Path, wrong: int) -> None:
    if wrong:
        _log.warning("%s: %d entries are wrong and not used; their units run again", file, wrong)
