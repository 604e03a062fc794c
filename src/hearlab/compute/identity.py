"""The content identity (md5) of input files, without reading again what is already known.

Three sources, in this order: HearLab's own notes (a file whose size, time of change and inode are as noted has not
changed), DVC's cache (the name of an object is the identity of every file that is a link to it), and reading the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from hearlab.errors import InputError
from hearlab.files import md5_of, write_text


class NotRead(Exception):
    """A file's identity is not known without reading it."""


class Identities:
    """Identities of files in one workspace.

    Args:
        root: the workspace; files are noted by their paths relative to it.
        notes: file that keeps what was learnt, between runs.
        cache: DVC's cache of md5 objects (`.../files/md5`), if there is one.
        records: identities by dvc.lock: relative path -> md5.
        may_read: whether files may be read; if not, `of` raises NotRead for those of unknown identity.
    """

    def __init__(
        self,
        root: Path,
        notes: Path,
        cache: Path | None = None,
        records: dict[str, str] | None = None,
        *,
        may_read: bool = True,
    ) -> None:
        self._root = root
        self._notes_file = notes
        self._cache = None if cache is None else os.path.realpath(cache)
        self._records = records or {}
        self._notes: dict[str, list[int | str]] = _load(notes)
        self._changed = False
        self._may_read = may_read
        self.files_read = 0

    def of(self, name: str) -> str:
        """md5 of the file `name`, a path relative to the workspace.

        Raises:
            InputError: there is no such file.
        """
        path = os.path.join(self._root, name)  # as text: of a scene with 14 files, paths as objects took the most time
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise InputError(path, "no such file", wanted="an input of this stage") from None
        stamp: list[int | str] = [status.st_size, status.st_mtime_ns, status.st_ino]
        known = self._notes.get(name)
        if known is not None and known[:3] == stamp:
            return str(known[3])
        identity = self._linked(name, path, status) or self._read(path)
        self._notes[name] = [*stamp, identity]
        self._changed = True
        return identity

    def _linked(self, name: str, path: str, status: os.stat_result) -> str | None:
        """The name of the object in DVC's cache that a file is a link to."""
        if self._cache is None:
            return None
        if os.path.islink(path):
            *cache, folder, file = os.path.realpath(path).rsplit(os.sep, 2)
            if cache == [self._cache]:
                return folder + file
        recorded = self._records.get(name)
        if recorded is None or status.st_nlink < 2:
            return None
        try:
            same = os.path.samestat(status, os.stat(os.path.join(self._cache, recorded[:2], recorded[2:])))
        except FileNotFoundError:
            return None
        return recorded if same else None

    def _read(self, path: str) -> str:
        if not self._may_read:
            raise NotRead(path)
        self.files_read += 1
        return md5_of(path)

    def forget(self, names: Iterable[str]) -> None:
        """Drop what was noted of these files."""
        for name in names:
            self._changed |= self._notes.pop(name, None) is not None

    def save(self) -> None:
        """Write the notes, if anything was learnt."""
        if self._changed:
            write_text(self._notes_file, json.dumps(self._notes, separators=(",", ":")))
            self._changed = False


def _load(notes: Path) -> dict[str, list[int | str]]:
    try:
        content = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # notes only save time
    return content if isinstance(content, dict) else {}
