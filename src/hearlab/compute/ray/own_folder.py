"""Temporary folders that outlive no process: those of killed processes are removed by the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_held_folders: list[int] = []


def own_folder(prefix: str, parent: str, more: str = "") -> Path:
    """A new temporary folder, held with a lock; removes those of the same prefix whose processes were killed."""
    for left in Path(parent).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A new one is not held yet for a moment.
                if os.fstat(handle).st_uid == os.getuid() and time.time() - os.fstat(handle).st_mtime > 60:
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
    folder = tempfile.mkdtemp(prefix=prefix + more, dir=parent)
    _held_folders.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    fcntl.flock(_held_folders[-1], fcntl.LOCK_EX)
    return Path(folder)
