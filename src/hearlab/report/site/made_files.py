"""Files of a site that are kept from one build to the next: what was altered since is made again.

A file is as it was while its size and time of change are, as in `hearlab.compute.notes`.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.errors import InputError
from hearlab.files import read_json, write_json

FOLDERS = ("pictures", "sounds", "against", "audiograms")  # see sounds.py, other_sounds.py and audiogram.py
RECORD = "made.json"
Stamps = dict[str, list[int]]
"""Name of a file in the site -> its size and time of change."""

_log = logging.getLogger(__name__)


class MadeFiles:
    """The files of a site, and how the last build left them.

    Args:
        site: its folder.
    """

    def __init__(self, site: Path) -> None:
        self._site, self._record = site, site / RECORD
        self._noted: Stamps | None = None

    def drop_altered(self) -> None:
        """Delete the files that are not as the last build left them; a warning says how many."""
        if os.path.lexists(self._record):
            try:
                content = read_json(self._record)
                self._noted = content["files"] if sealed(content) else None
            except (InputError, KeyError, TypeError):
                pass
            if self._noted is None:
                _log.warning("%s: is damaged, and pictures and copies of sounds are made again", self._record)
                _delete(self._record)
        noted = self._noted or {}
        altered = [name for name, stamp in self._stamps().items() if noted.get(name) != stamp]
        for name in altered:
            _delete(self._site / name)
        if altered and self._noted is not None:
            _log.warning("%s: files of the site were altered and are made again: %d", self._site, len(altered))

    def note(self) -> None:
        """Note the files as they are now."""
        stamps = self._stamps()
        if stamps != self._noted:
            content = {"files": stamps}
            write_json(self._record, {**content, CHECK: checksum(content)})
            self._noted = stamps

    def _stamps(self) -> Stamps:
        """Of all but folders; a folder with the name of a file counts as one."""
        found: Stamps = {}
        waiting = list(FOLDERS)
        while waiting:
            folder = waiting.pop()
            try:
                entries = os.scandir(self._site / folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with entries:
                for entry in entries:  # pathlib takes ten times as long, and there can be 20,000
                    name = f"{folder}/{entry.name}"
                    if "." in entry.name or not entry.is_dir():
                        status = entry.stat(follow_symlinks=False)
                        found[name] = [status.st_size, status.st_mtime_ns]
                    elif not entry.is_symlink():
                        waiting.append(name)
        return dict(sorted(found.items()))


def _delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
