"""Files kept by their content: DVC's own cache, or where there is no DVC, a folder of the same form."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hearlab.compute.entries import StoredFile
from hearlab.compute.notes import Notes, stamp, unused
from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.versions.dvc_files import is_md5

# For more paths than these, one sync of their whole file system (Linux) is faster than one for each.
MANY_PATHS = 3
# An object may be a link to a file of a package that is on another disk: to one below a folder of these names.
OUTSIDE = frozenset({"clarity_data", "cadenza_data"})
_SYNCFS = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


class ObjectStore:
    """A folder in which each file is named by the md5 of its bytes.

    Args:
        folder: DVC's `.../files/md5`, or one of our own.
        notes: what is known of the objects' bytes.
        aside: folder for wrong objects.
    """

    def __init__(self, folder: Path, notes: Notes, aside: Path) -> None:
        self.folder = folder
        self.aside = aside
        self._folder = os.fspath(folder)
        self._notes = notes
        # Outputs on their way to the store: what they were before their bytes were read.
        self._staged: dict[str, os.stat_result] = {}

    def path(self, md5: str) -> str:
        """Where the bytes of that identity lie."""
        # As text: for a scene of 13 files, paths as objects took longer than the file system's own work.
        return f"{self._folder}{os.sep}{md5[:2]}{os.sep}{md5[2:]}"

    def content(self, md5: str, *, again: bool = False) -> str | None:
        """md5 of the bytes that lie under that name; None if nothing does, empty if it is no file of the store's own.

        Args:
            md5: the name.
            again: read the bytes even if they are known.
        """
        path = self.path(md5)
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode) and not OUTSIDE.isdisjoint(os.readlink(path).split(os.sep)):
                status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return ""
        name = _note_name(md5)
        known = None if again else self._notes.md5(name, status)
        if known is not None:
            return known
        # Through a link the bytes of any other place would be taken for the store's, and moved or deleted.
        return "" if os.path.islink(os.path.dirname(path)) else self._notes.read(name, path)

    def is_wrong(self, md5: str, *, again: bool = False) -> bool:
        """Whether anything but the right bytes lies under that name, which may be that of a folder's listing."""
        wanted = md5.removesuffix(".dir")
        return is_md5(wanted) and self.content(md5, again=again) not in (None, wanted)

    def has(self, file: StoredFile) -> bool:
        """Whether the bytes seem to be there, by their number; nothing is read."""
        try:
            return os.stat(self.path(file.md5)).st_size == file.size
        except OSError:
            return False

    def is_known(self, md5: str, status: os.stat_result) -> bool:
        """Whether a file of that status is an object of that md5 whose bytes were read or written here."""
        return self._notes.md5(_note_name(md5), status) == md5

    def set_aside(self, md5: str) -> str:
        """Take a wrong object out of the store, so that it is neither used nor pushed; returns where it is then.

        Raises:
            InputError: the folder for wrong objects, or the object's own, is a link.
        """
        path = self.path(md5)
        for folder in (os.path.dirname(path), self.aside, self.aside.parent):
            if os.path.islink(folder):
                raise InputError(folder, "is a symbolic link", wanted="a folder", advice="remove the link")
        self.aside.mkdir(parents=True, exist_ok=True)
        aside = unused(self.aside / md5)
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            shutil.move(path, aside)
        return os.fspath(aside)

    def delete(self, md5: str) -> None:
        """Delete an object."""
        path = self.path(md5)
        if not os.path.islink(os.path.dirname(path)):
            Path(path).unlink(missing_ok=True)

    def stored_files(
        self,
        folder: Path,
        names: Iterable[str],
        where: str,
        root: Path,
        inputs: Iterable[str] = (),
        digests: Mapping[str, tuple[str, str]] | None = None,
    ) -> tuple[StoredFile, ...]:
        """Identity and size of what a unit wrote into `folder`.

        Args:
            folder: where the files are.
            names: of the files.
            where: the unit's id, for the error.
            root: the workspace.
            inputs: what the unit read, relative to `root`; a written file that is a link to one of them, which is as
                it was when it was read, is not read again.
            digests: what a worker has read: the `stamp` of a file and the md5 of its bytes.

        Raises:
            InputError: a file that the unit promised is missing.
        """
        known: dict[tuple[int, int], str | None] = {}
        files = []
        for name in names:
            path = os.path.join(folder, name)
            try:
                own, status = os.lstat(path), os.stat(path)
                if not known and (own.st_nlink > 1 or stat.S_ISLNK(own.st_mode)):
                    for file in inputs:
                        read = os.stat(os.path.join(root, file))
                        known[read.st_dev, read.st_ino] = self._notes.md5(file, read)
                was, read_there = (digests or {}).get(name, ("", ""))
                md5 = known.get((status.st_dev, status.st_ino)) or (read_there if was == stamp(status) else None)
                md5 = md5 or md5_of(path)
            except (FileNotFoundError, IsADirectoryError):
                raise InputError(where, "did not write a file that it promised", found=None, wanted=name) from None
            self._staged[path] = status
            files.append(StoredFile(name, md5, status.st_size))
        return tuple(files)

    def adopt(self, path: str, md5: str, read: os.stat_result) -> None:
        """Make a file of elsewhere an object by a link to it: it stays where it is, and nothing is read or copied.

        Args:
            path: the file.
            md5: of its bytes.
            read: what the file was when these were read.

        Raises:
            InputError: the file is no longer that.
        """
        target = self.path(md5)
        if not _same(path, target):
            if self.is_wrong(md5):
                self.set_aside(md5)
            if not os.path.exists(target):
                link(path, target)
        status = os.stat(target)
        if stat.S_IMODE(status.st_mode) != 0o444:  # by which DVC knows an object that needs no reading
            with contextlib.suppress(OSError):
                os.chmod(target, 0o444)
        if stamp(status) == stamp(read):
            if not self.is_known(md5, status):
                self._notes.note(_note_name(md5), status, md5)
        elif self.is_wrong(md5):
            self.set_aside(md5)
            raise InputError(path, "changed while it was linked", advice="try again when nothing writes there")

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
        if self.is_wrong(file.md5):
            self.set_aside(file.md5)
        elif os.path.exists(target):
            Path(source).unlink(missing_ok=True)  # it is not there if the last call was interrupted
            return
        read = self._staged.pop(source, None)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):  # to a file on another disk
            self._copy(source, file.md5, read)
            return
        os.chmod(source, 0o444)  # what DVC gives its objects: nothing is ever modified in place
        try:
            os.replace(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, file.md5, read)
        else:
            if read is not None:
                self._notes.note(_note_name(file.md5), read, file.md5)

    def _copy(self, source: str, md5: str, read: os.stat_result | None) -> None:
        """Store from another disk: copy beside the target, then rename."""
        target = self.path(md5)
        beside = Path(f"{target}.part-{os.getpid()}")
        try:
            shutil.copyfile(source, beside)
            os.chmod(beside, 0o444)
            sync([beside], self.folder)
            if read is not None and stamp(os.stat(source)) == stamp(read):
                self._notes.note(_note_name(md5), os.stat(beside), md5)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        os.unlink(source)

    def place(self, files: Iterable[StoredFile], out: Path) -> None:
        """Link files into a folder, by their names, whatever is there; no link leads out of the folder."""
        for file in files:
            target = os.path.join(out, file.name)
            if "/" in file.name:
                _folders_only(out, os.path.dirname(file.name))
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target)
            link(self.path(file.md5), target)


def _note_name(md5: str) -> str:
    return f"object {md5}"


def _folders_only(out: Path, name: str) -> None:
    """Remove what is no folder on the way to a folder below `out`."""
    folder = os.fspath(out)
    for part in name.split("/"):
        folder = os.path.join(folder, part)
        if os.path.islink(folder) or os.path.isfile(folder):
            os.unlink(folder)


def _same(one: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


def link(source: str, target: str) -> None:
    """Make `target` a link to `source` (hard, else symbolic, else a copy), atomically."""
    # A hard link to a symbolic one would be a second name of the link, which DVC replaces each time.
    makers: list[Callable[..., object]] = [os.link, os.symlink, shutil.copyfile]
    if os.path.islink(source):
        del makers[0]
    with contextlib.suppress(OSError):
        makers[0](source, target)  # the usual case: nothing is there
        return
    if _same(source, target):
        return
    folder, name = os.path.split(target)
    os.makedirs(folder or os.curdir, exist_ok=True)
    temporary = Path(folder, f".{name[:40]}.part-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        for make in makers:
            try:
                make(source, temporary)
                break
            except OSError:
                if make is makers[-1]:
                    raise
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
