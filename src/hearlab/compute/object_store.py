"""Files kept by their content: DVC's own cache, or where there is no DVC, a folder of the same form."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.errors import InputError
from hearlab.files import md5_of

# For more paths than these, one sync of their whole file system (Linux) is faster than one for each.
MANY_PATHS = 3
_SYNCFS = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


@dataclass(frozen=True)
class StoredFile:
    """A unit's output: its name, the md5 and the number of its bytes."""

    name: str
    md5: str
    size: int


def stored_files(
    folder: Path, names: Iterable[str], where: str, known: Mapping[str, str] | None = None
) -> tuple[StoredFile, ...]:
    """Identity and size of what a unit wrote into `folder`.

    Args:
        folder: where the files are.
        names: of the files.
        where: the unit's id, for the error.
        known: path -> md5 of files; a written file that is a link to one of them is not read.

    Raises:
        InputError: a file that the unit promised is missing.
    """
    inodes: dict[tuple[int, int], str] = {}
    files = []
    for name in names:
        path = os.path.join(folder, name)
        try:
            own, status = os.lstat(path), os.stat(path)
            if known and not inodes and (own.st_nlink > 1 or stat.S_ISLNK(own.st_mode)):
                inodes = {_inode(os.stat(file)): md5 for file, md5 in known.items()}
            files.append(StoredFile(name, inodes.get(_inode(status)) or md5_of(path), status.st_size))
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(where, "did not write a file that it promised", found=None, wanted=name) from None
    return tuple(files)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class ObjectStore:
    """A folder in which each file is named by the md5 of its bytes.

    Args:
        folder: DVC's `.../files/md5`, or one of our own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folder = os.fspath(folder)

    def path(self, md5: str) -> str:
        """Where the bytes of that identity lie."""
        # As text: for a scene of 13 files, paths as objects took longer than the file system's own work.
        return f"{self._folder}{os.sep}{md5[:2]}{os.sep}{md5[2:]}"

    def holds(self, file: StoredFile) -> bool:
        """Whether the bytes are there (by their number; `hearlab memo verify` reads them)."""
        try:
            return os.stat(self.path(file.md5)).st_size == file.size
        except FileNotFoundError:
            return False

    def take(self, files: Sequence[tuple[str, StoredFile]], staging: Path) -> None:
        """Move files, on the file system of `staging`, to where their bytes belong, on the disk for good.

        After an error or an interruption it can be called again.
        """
        sync([path for path, _ in files], staging)
        for path, file in files:
            self._take(path, file)
        sync({os.path.dirname(self.path(file.md5)) for _, file in files}, self.folder)

    def _take(self, source: str, file: StoredFile) -> None:
        target = self.path(file.md5)
        if self.holds(file):
            Path(source).unlink(missing_ok=True)  # it is not there if the last call was interrupted
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):  # to a file on another disk
            self._copy(source, target)
            return
        os.chmod(source, 0o444)  # what DVC gives its objects: nothing is ever modified in place
        try:
            os.replace(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, target)

    def _copy(self, source: str, target: str) -> None:
        """Store from another disk: copy beside the target, then rename."""
        beside = Path(f"{target}.part-{os.getpid()}")
        try:
            shutil.copyfile(source, beside)
            os.chmod(beside, 0o444)
            sync([beside], self.folder)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        os.unlink(source)

    def place(self, files: Iterable[StoredFile], out: Path) -> None:
        """Link files into a folder, by their names."""
        for file in files:
            link(self.path(file.md5), os.path.join(out, file.name))


def link(source: str, target: str) -> None:
    """Make `target` a link to `source` (hard, else symbolic, else a copy), atomically."""
    with contextlib.suppress(OSError):
        os.link(source, target)  # the usual case: nothing is there
        return
    with contextlib.suppress(OSError):
        if os.path.samefile(source, target):
            return
    folder, name = os.path.split(target)
    os.makedirs(folder or os.curdir, exist_ok=True)
    temporary = Path(folder, f".{name[:40]}.part-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            try:
                os.symlink(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def sync(paths: Collection[str | Path], folder: Path) -> None:
    """Bring files or folders to the disk for good; all are on the file system of `folder`."""
    if len(paths) > MANY_PATHS and _SYNCFS is not None:
        with _opened(folder) as handle:
            if _SYNCFS(handle):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), str(folder))
        return
    for path in paths:
        with contextlib.suppress(FileNotFoundError), _opened(path) as handle:
            os.fsync(handle)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
