"""The content identity (md5) of input files, without reading again what is already known.

Three sources, in this order: the notes (see `Notes`), the object in DVC's cache that a file is a link to, whose bytes
are known to be right, and reading the file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from hearlab.compute.notes import Notes
from hearlab.compute.object_store import ObjectStore, link
from hearlab.errors import InputError
from hearlab.versions.dvc_files import is_md5

_log = logging.getLogger(__name__)


class NotRead(Exception):
    """A file's identity is not known without reading it."""


class Identities:
    """Identities of files in one workspace.

    Args:
        root: the workspace; files are noted by their paths relative to it.
        notes: what is known of them.
        store: DVC's cache, if there is one.
        records: identities by dvc.lock: relative path -> md5.
        may_read: whether files may be read; if not, `of` believes the names of objects, and raises NotRead for files
            of unknown identity.
    """

    def __init__(
        self,
        root: Path,
        notes: Notes,
        store: ObjectStore | None = None,
        records: Mapping[str, str] | None = None,
        *,
        may_read: bool = True,
    ) -> None:
        self._root = root
        self._notes = notes
        self._store = store
        self._cache = None if store is None else os.path.realpath(store.folder)
        self._records = records or {}
        self._may_read = may_read
        self.latest: dict[str, tuple[int, int, int]] = {}  # files that were asked for, as `unchanged.place` has them

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
        self.latest[name] = status.st_size, status.st_mtime_ns, status.st_ino
        known = self._notes.md5(name, status)
        if known is not None:
            return known
        store, md5 = self._store, self._object(name, path, status)
        if not self._may_read:
            if md5 is None:
                raise NotRead(path)
            return md5
        content = store.content(md5) if store is not None and md5 is not None else None
        if not content or store is None or md5 is None:
            return self._notes.read(name, path)
        self._notes.note(name, status, content)
        if content != md5:
            aside = store.set_aside(md5)
            if os.path.islink(path):  # its target has moved
                link(aside, path)
            _log.warning("%s: was altered in place, and DVC's cache with it; the cache's file is now %s", name, aside)
        return content

    def _object(self, name: str, path: str, status: os.stat_result) -> str | None:
        """The name of the object in DVC's cache that a file is a link to."""
        if self._cache is None:
            return None
        if os.path.islink(path):
            # The object may itself be a link, to a package on another disk.
            for target in (os.readlink(path), os.path.realpath(path)):
                *cache, folder, file = target.rsplit(os.sep, 2)
                if cache == [self._cache] and is_md5(folder + file):
                    return folder + file
        recorded = self._records.get(name)
        if recorded is None or status.st_nlink < 2:
            return None
        try:
            same = os.path.samestat(status, os.stat(os.path.join(self._cache, recorded[:2], recorded[2:])))
        except FileNotFoundError:
            return None
        return recorded if same else None

    def save(self) -> None:
        """Write the notes, if anything was learnt."""
        self._notes.save()
