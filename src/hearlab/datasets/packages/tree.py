"""Writing into a data root: links are never followed, and a file is there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import stat
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hearlab.errors import InputError


@dataclass(frozen=True)
class Written:
    """A file under its temporary name."""

    temporary: Path
    size: int
    md5: str


class Tree:
    """A data root into which one package is unpacked; for several threads."""

    def __init__(self, root: Path, package: str) -> None:
        self.root = root.resolve()  # the root itself may be a link to another disk
        self._prefix = f".{package}.part-"
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._folders: set[tuple[str, ...]] = set()

    def clean(self) -> None:
        """Make the root, and remove what a killed run left there under temporary names."""
        self.root.mkdir(parents=True, exist_ok=True)
        with os.scandir(self.root) as found:
            for entry in found:
                if entry.name.startswith(self._prefix) and not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)

    def path(self, parts: tuple[str, ...]) -> Path:
        return self.root.joinpath(*parts)

    def make_folder(self, parts: tuple[str, ...]) -> None:
        """Make a folder with those above it.

        Raises:
            InputError: one of them is there and is a link or a file: nothing is written through links.
        """
        if parts in self._folders:
            return
        with self._lock:
            for end in range(1, len(parts) + 1):
                path = self.path(parts[:end])
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                if not stat.S_ISDIR(path.lstat().st_mode):
                    what = "a link" if path.is_symlink() else "a file"
                    raise InputError(path, "is in the way", found=what, wanted="a folder", advice="move it away")
            self._folders.add(parts)

    def write(self, blocks: Iterable[bytes]) -> Written:
        """Write a file under a temporary name in the root."""
        path = self._temporary()
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        try:
            with path.open("xb", buffering=0) as file:
                for block in blocks:
                    rest = memoryview(block)
                    while rest:  # on a disk that is nearly full a write may be a short one
                        rest = rest[file.write(rest) :]
                    digest.update(block)
                    size += len(block)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Written(path, size, digest.hexdigest())

    def same_bytes(self, source: tuple[str, ...], size: int, md5: str) -> Written:
        """A second name for a file that is there: a hard link, or a copy where links do not work."""
        path = self._temporary()
        try:
            os.link(self.path(source), path, follow_symlinks=False)
        except OSError:
            shutil.copyfile(self.path(source), path)
        return Written(path, size, md5)

    def remove(self, parts: tuple[str, ...]) -> None:
        """Remove a file, and the folders that it leaves empty."""
        self.path(parts).unlink(missing_ok=True)
        for end in range(len(parts) - 1, 0, -1):
            try:
                self.path(parts[:end]).rmdir()
            except OSError:
                return
            self._folders.discard(parts[:end])

    def _temporary(self) -> Path:
        return self.root / f"{self._prefix}{next(self._numbers)}"
