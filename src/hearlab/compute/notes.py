"""What is known of files that were read or written here: the md5 of their bytes, for as long as they stay as they are.

A file stays as it is while its size, its time of change (mtime, ns) and its inode do. The time of change of the inode
(ctime) is not asked, since each new link changes it. So one thing is not seen: bytes altered in place by failing
hardware, or by somebody who sets the time back afterwards. `hearlab memo verify` reads every byte and finds these.

Notes and the other files of `.hearlab` only save time. What is in the way of one is set aside, and one that cannot be
read or written is done without, each with one warning.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from hearlab.compute.code.file_cache import TICK
from hearlab.files import md5_of, write_text

SET_ASIDE = "set-aside"

_log = logging.getLogger(__name__)
_told: set[Path] = set()


# --- files of `.hearlab` that are done without where they cannot be used ------------------------------------------


def cleared(path: Path) -> None:
    """Set aside, with a warning, what is under the name of one of HearLab's own files and is none that can be read."""
    if not os.path.isdir(path) and (os.access(path, os.R_OK) or not os.path.isfile(path)):
        return
    aside = unused(path.parent / SET_ASIDE / path.name)
    with done_without(path, "replaced"), contextlib.suppress(FileNotFoundError):  # another process was faster
        aside.parent.mkdir(exist_ok=True)
        os.rename(path, aside)
        _log.warning("%s: cannot be read and begins anew; it is now %s", path, aside)


def kept_bytes(path: Path) -> bytes:
    """The content of such a file; nothing where it is missing or, after a warning, cannot be read."""
    cleared(path)
    with done_without(path, "read"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return path.read_bytes()
    return b""


@contextlib.contextmanager
def done_without(path: Path, done: str = "written") -> Iterator[None]:
    """An error of the file system inside the block is a warning, once for each file."""
    try:
        yield
    except OSError as error:
        place = path.absolute()  # a notebook may have labs in several workspaces
        if place not in _told:
            _told.add(place)
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            _log.warning(f"%s: cannot be {done} and is done without (%s)", path, reason)


def unused(path: Path) -> Path:
    """The path, or one like it that nothing has yet."""
    place, count = path, 0
    while os.path.lexists(place):
        count += 1
        place = path.with_name(f"{path.name}.{count}")
    return place


# --- identities -----------------------------------------------------------------------------------------------------


def stamp(status: os.stat_result) -> str:
    """By what a file is known that stays as it is."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


class Notes:
    """The notes of one workspace, of this machine only.

    They only save time: what is damaged or missing is read again.

    Args:
        file: keeps them between runs. A killed run keeps what it saved, since lines are only added.
        others: notes of another workspace of this machine, which are read too: of files that both see.
    """

    def __init__(self, file: Path, others: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, str] = {}  # stamp and md5 by name, as text: there are hundreds of thousands
        self._new: list[str] = []
        self._old = 0  # lines that another one has replaced, or that are damaged
        self.files_read = 0
        for kept in filter(None, (others, file)):
            self._old = 0
            for line in kept_bytes(kept).decode("utf-8", "surrogateescape").split("\n"):
                self._learn(line)

    def _learn(self, line: str) -> None:
        check, _, text = line.partition(" ")
        if check != _check(text):
            self._old += bool(line)
            return
        *noted, name = text.split(" ", 4)
        self._old += name in self._known
        self._known[name] = " ".join(noted)

    def md5(self, name: str, status: os.stat_result) -> str | None:
        """What was noted of the file of that name, if it is still as it was."""
        was, _, md5 = self._known.get(name, "").rpartition(" ")
        return md5 if was == stamp(status) else None

    def note(self, name: str, status: os.stat_result, md5: str) -> None:
        """Note the md5 of a file whose status was taken before its bytes were read."""
        if "\n" in name:
            return
        self._old += name in self._known
        self._known[name] = f"{stamp(status)} {md5}"
        self._new.append(_line(name, self._known[name]))

    def read(self, name: str, path: str) -> str:
        """Read a file and note its md5, unless it changed meanwhile."""
        before = os.stat(path)
        if 0 < (age := time.time_ns() - before.st_mtime_ns) < TICK:
            time.sleep((TICK - age) / 1e9)
            before = os.stat(path)
        md5 = md5_of(path)
        self.files_read += 1
        if stamp(os.stat(path)) == stamp(before):
            self.note(name, before, md5)
        return md5

    def forget(self, md5s: Collection[str]) -> None:
        """Drop all notes of files that were said to have one of these md5."""
        kept = {name: noted for name, noted in self._known.items() if noted[-32:] not in md5s}
        if len(kept) < len(self._known):
            self._known, self._old = kept, len(kept) + 1
            self._new.append("")

    def save(self) -> None:
        """Write what is new."""
        if not self._new:
            return
        with done_without(self._file):  # tried again with the next save
            if self._old > len(self._known):
                write_text(self._file, "".join(_line(name, noted) for name, noted in self._known.items()))
                self._old = 0
            else:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("ab") as file:
                    # The empty line ends one that was torn by a crash.
                    file.write(("\n" + "".join(self._new)).encode("utf-8", "surrogateescape"))
            self._new.clear()


def _line(name: str, noted: str) -> str:
    text = f"{noted} {name}"
    return f"{_check(text)} {text}\n"


def _check(text: str) -> str:
    """A checksum: a damaged note must not pass for another file's identity."""
    return f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"
