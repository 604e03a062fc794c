"""A private folder that is gone afterwards: a lock tells one in use from one that a killed process left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

LOCK = "lock"


@contextlib.contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent` inside the block; those that killed processes left are removed."""
    clear_scratch(parent, prefix)
    parent.mkdir(exist_ok=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _locked(folder)
        if lock is not None:
            break
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def clear_scratch(parent: Path, prefix: str) -> None:
    """Remove the folders that no process holds."""
    for folder in parent.glob(f"{prefix}*"):
        if folder.is_dir() and not folder.is_symlink():
            lock = _locked(folder)
            if lock is not None:
                _remove(folder)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """The folder's lock; None if another process has it, or has removed the folder meanwhile."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(folder / LOCK, follow_symlinks=False)):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _remove(folder: Path) -> None:
    """Remove a folder, also one in which a stranger's code took permissions away; the lock goes last."""
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            continue
        path.chmod(0o700)
        for place, folders, _ in os.walk(path):
            for name in folders:
                if not os.path.islink(os.path.join(place, name)):
                    os.chmod(os.path.join(place, name), 0o700)
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
