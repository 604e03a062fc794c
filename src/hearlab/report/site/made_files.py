"""Files of a site: what was altered since the last build is made again, and pages that are no part of it any more go.

A file is as it was while its size and time of change are, as in `hearlab.compute.notes`. Files with other names than a
site's own, and pages that no build has noted, are not the site's: they stay.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.errors import InputError
from hearlab.files import read_json, write_json
from hearlab.report.site.audiogram import DRAWN
from hearlab.report.site.audiogram import FOLDER as AUDIOGRAMS
from hearlab.report.site.other_sounds import COPIED
from hearlab.report.site.other_sounds import FOLDER as AGAINST
from hearlab.report.site.sounds import MEASURED, PICTURES, SOUNDS
from hearlab.scoring.tracks import TRACKS

FOLDERS = (PICTURES, SOUNDS, AGAINST, AUDIOGRAMS)
RECORD = "made.json"
OWN = re.compile("|".join([MEASURED.pattern, DRAWN.pattern, COPIED.pattern]))
PAGE_FOLDERS = tuple(f"{track.cluster}s" for track in TRACKS.values())
PAGE = re.compile(rf"(?:(?:{'|'.join(PAGE_FOLDERS)})/)?[A-Za-z0-9_-]+\.html")
# In all pages, and so in those of a site that has no list of them.
MARK = re.compile(rb'<a class="brand" href="(?:\.\./)?index\.html">HearLab</a>')
HEAD = 8192  # bytes of a page that hold it
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
        self._pages: set[str] | None = None  # that builds have made and not removed
        self._pages_noted: list[str] | None = None

    def drop_altered(self) -> None:
        """Delete the files that are not as the last build left them; a warning says how many."""
        if os.path.lexists(self._record):
            try:
                content = read_json(self._record)
                if sealed(content):
                    self._noted, self._pages_noted = content["files"], content.get("pages")
                    if self._pages_noted is not None:  # an older site's has none
                        self._pages = {name for name in self._pages_noted if PAGE.fullmatch(name)}
            except (InputError, KeyError, TypeError):
                pass
            if self._noted is None:
                _log.warning("%s: is damaged, and pictures and copies of sounds are made again", self._record)
                _delete(self._record)
        if self._pages is None:
            self._pages = self._marked()
        noted = self._noted or {}
        altered = [name for name, stamp in self._stamps().items() if noted.get(name) != stamp]
        for name in altered:
            _delete(self._site / name)
        if altered and self._noted is not None:
            _log.warning("%s: files of the site were altered and are made again: %d", self._site, len(altered))

    def note(self) -> None:
        """Note the files as they are now, and the pages."""
        stamps, pages = self._stamps(), sorted(self._pages or ())
        if (stamps, pages) != (self._noted, self._pages_noted):
            content = {"files": stamps, "pages": pages}
            write_json(self._record, {**content, CHECK: checksum(content)})
            self._noted, self._pages_noted = stamps, pages

    def expect(self, pages: Iterable[str]) -> None:
        """Pages are about to be written: the next note has them, since a run may end before `drop_pages`."""
        self._pages = (self._pages or set()).union(pages)

    def drop_pages(self, written: Iterable[str]) -> None:
        """Delete the pages of earlier builds that are not among those `written` by this one."""
        pages = set(written)
        for name in (self._pages or set()) - pages:
            with contextlib.suppress(OSError):  # it may be gone
                os.unlink(self._site / name)
        for folder in PAGE_FOLDERS:
            with contextlib.suppress(OSError):  # not empty, or not there
                os.rmdir(self._site / folder)
        self._pages = pages

    def _marked(self) -> set[str]:
        """The pages of an older site, or of one whose record is damaged."""
        names = [path.name for path in self._site.glob("*.html")]
        names += [f"{folder}/{path.name}" for folder in PAGE_FOLDERS for path in (self._site / folder).glob("*.html")]
        return {name for name in names if PAGE.fullmatch(name) and self._is_marked(self._site / name)}

    @staticmethod
    def _is_marked(path: Path) -> bool:
        with contextlib.suppress(OSError), path.open("rb") as file:
            return MARK.search(file.read(HEAD)) is not None
        return False

    def _stamps(self) -> Stamps:
        """Of all that have names of the site's own; a folder with the name of a file counts as one."""
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
                    if OWN.fullmatch(name):
                        status = entry.stat(follow_symlinks=False)
                        found[name] = [status.st_size, status.st_mtime_ns]
                    elif folder == AGAINST and entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
        return dict(sorted(found.items()))


def _delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
