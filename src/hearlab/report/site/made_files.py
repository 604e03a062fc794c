"""Files of a site that are kept from one build to the next: what was altered since is made again.

A file is as it was while its size and time of change are, as in `hearlab.compute.notes`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.errors import InputError
from hearlab.files import read_json, write_json

FOLDERS = ("pictures", "sounds", "against", "audiograms")  # see sounds.py, other_sounds.py and audiogram.py
RECORD = "made.json"

_log = logging.getLogger(__name__)


def drop_altered(site: Path) -> None:
    """Delete the files that are not as the last build left them; a warning says how many."""
    record = site / RECORD
    made = None
    if os.path.lexists(record):
        try:
            content = read_json(record)
            made = content["files"] if sealed(content) else None
        except (InputError, KeyError, TypeError):
            pass
        if made is None:
            _log.warning("%s: is damaged, and pictures and copies of sounds are made again", record)
            _delete(record)
    names = {path.relative_to(site).as_posix(): path for path in _files(site)}
    altered = [path for name, path in names.items() if (made or {}).get(name) != _stamp(path)]
    for path in altered:
        _delete(path)
    if altered and made is not None:
        _log.warning("%s: files of the site were altered and are made again: %d", site, len(altered))


def note_made(site: Path) -> None:
    """Note the files as they are now."""
    content = {"files": {path.relative_to(site).as_posix(): _stamp(path) for path in _files(site)}}
    write_json(site / RECORD, {**content, CHECK: checksum(content)})


def _files(site: Path) -> Iterator[Path]:
    """All but folders; a folder with the name of a file, too."""
    for folder in FOLDERS:
        for path in sorted((site / folder).rglob("*")):
            if path.suffix or not path.is_dir():
                yield path


def _stamp(path: Path) -> list[int]:
    status = os.lstat(path)
    return [status.st_size, status.st_mtime_ns]


def _delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
