"""A journal of finished work. It survives a killed process whole, and a crash of the machine up to its last sync.

Lines of JSON, each with a checksum, are appended without waiting for the disk: a process that is killed loses none of
them. From time to time the caller syncs its data to the disk and marks that with `synced`. After a crash of the machine
(another boot id) only the lines that such a mark covers are trusted: the data that the others describe may not have
reached the disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import parse_json, write_text

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SYNCED = "synced"  # the key of a mark; its value is the number of lines that it covers


@dataclass
class Record:
    """A journal that was read: its header, the trusted entries, and those whose data may be lost."""

    header: dict[str, Any] | None = None
    trusted: list[dict[str, Any]] = field(default_factory=list)
    doubtful: list[dict[str, Any]] = field(default_factory=list)


class Journal:
    """An open journal. Call `read_journal` first, and give `create` the entries that still hold."""

    def __init__(self, path: Path, descriptor: int, count: int) -> None:
        self.path = path
        self.count = count  # lines so far
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, header: dict[str, Any], entries: list[dict[str, Any]]) -> Journal:
        """Start a journal with `entries` whose data are on the disk; replaces an old one atomically."""
        lines = [{**header, "boot": _boot_id()}, *entries, {SYNCED: len(entries)}]
        write_text(path, "".join(_line(line) for line in lines))
        return cls(path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), len(entries))

    def append(self, entry: dict[str, Any]) -> None:
        """Add an entry; from any thread. A kill of the process does not lose it."""
        with self._lock:
            self._write(entry)
            self.count += 1

    def synced(self, count: int) -> None:
        """Mark that the data of the first `count` entries are on the disk.

        Read `count` before the data are synced: entries that other threads add meanwhile are not covered.
        """
        with self._lock:
            self._write({SYNCED: count})
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, entry: dict[str, Any]) -> None:
        line = _line(entry).encode()
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def read_journal(path: Path) -> Record:
    """Read a journal; a missing, empty or torn one gives what can be read of it."""
    record = Record()
    entries: list[dict[str, Any]] = []
    covered = 0
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return record
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        content, mark, check = line[:-1].partition("\t")
        try:
            entry = parse_json(content.encode(), path)
        except InputError:
            break
        if mark and check != _check(content):  # an older HearLab wrote none
            break
        if not isinstance(entry, dict) or not isinstance(entry.get(SYNCED, 0), int):
            break
        if record.header is None:
            record.header = entry
        elif SYNCED in entry:
            covered = entry[SYNCED]
        else:
            entries.append(entry)
    if record.header is not None:
        boot = record.header.pop("boot", None)
        if boot is not None and boot == _boot_id():
            covered = len(entries)
    record.trusted, record.doubtful = entries[:covered], entries[covered:]
    return record


@contextlib.contextmanager
def only_one(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path`; a second process on this machine is refused.

    Raises:
        InputError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(path, f"another process is {doing}", advice="wait for it, or stop it") from None
        except OSError:
            break  # a file system without locks: go on without
        # The last holder may have removed the file between our open and our lock.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _line(entry: dict[str, Any]) -> str:
    content = json.dumps(entry, ensure_ascii=True, separators=(",", ":"))
    return f"{content}\t{_check(content)}\n"


def _check(content: str) -> str:
    """A checksum: an altered digit would promise bytes that are not there."""
    return f"{zlib.crc32(content.encode()):08x}"


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None
