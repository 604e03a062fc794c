"""Folders of experiments whose process was killed: DVC removes a folder when its experiment ends, and only then."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

STANDALONE = ".dvc/tmp/exps/standalone"  # where DVC makes folders for experiments that run beside the workspace
PREFIX = "hearlab-"


def own_folder(home: Path) -> Path:
    """A folder in `home` for the experiment that this process runs, with a name that tells whose it is."""
    folder = home / f"{PREFIX}{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_left_over(root: Path) -> list[Path]:
    """Remove the folders of workers that are no more, and in which nothing runs; gives those removed.

    To be called where no other sweep of this workspace can be under way.
    """
    folders = [path for path in (root / STANDALONE).glob(f"{PREFIX}*") if not path.is_symlink()]
    if not folders:
        return []
    processes, places = _running()
    removed = []
    for folder in folders:
        # A stage may go on after the worker that started it was killed, and a worker after its sweep was.
        if folder.name.removeprefix(PREFIX) in processes or any(folder.resolve() in one.parents for one in places):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed


def _running() -> tuple[set[str], list[Path]]:
    """The numbers of all processes, and the working folders of those that this one may look at."""
    import psutil

    processes, places = set(), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            processes.add(str(process.pid))
            places.append(Path(process.cwd()))
    return processes, places
