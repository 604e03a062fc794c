"""Files of elsewhere as outputs of a stage: links to them, and links to them as objects of DVC's cache.

Nothing is copied, and DVC reads nothing: the objects are in its cache, and its records say which file has which md5.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hearlab.compute.entries import StoredFile
from hearlab.compute.memo import Memo
from hearlab.versions import dvc_state

MANY_FILES = 10_000  # DVC takes a second to read as many small ones, as long as importing it takes


class OutsideFile(NamedTuple):
    """A file to link to: its path below the output, where it is, what it was when its md5 was known."""

    name: str
    path: str
    status: os.stat_result
    md5: str


def link_outputs(root: Path, out: Path, folders: Sequence[str], files: Iterable[OutsideFile]) -> None:
    """Make folders that hold links to the files given, and nothing else.

    Args:
        root: the workspace.
        out: the folder above all, relative to `root`.
        folders: of the files, below `out`.
        files: all in one of the folders.

    Raises:
        InputError: a folder is reached through a link, so that something else would be replaced.
    """
    memo = Memo(root, journal=False)
    for folder in folders:
        memo.check_inside(out / folder, out / folder)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(memo.root / out / folder)
        (memo.root / out / folder).mkdir(parents=True)
    known, count, size = {}, 0, 0
    for file in files:
        memo.store.adopt(file.path, file.md5, file.status)
        memo.store.place([StoredFile(file.name, file.md5, file.status.st_size)], memo.root / out)
        name = f"{out.as_posix()}/{file.name}"
        status = os.stat(memo.root / name)
        count, size = count + 1, size + status.st_size
        if memo.store.is_known(file.md5, status):
            known[name] = file.md5, status
            if memo.notes.md5(name, status) != file.md5:
                memo.notes.note(name, status, file.md5)
    memo.notes.save()
    if memo.cache is not None and (size >= dvc_state.LEAST_BYTES or count >= MANY_FILES):
        dvc_state.note_md5(memo.root, known)
