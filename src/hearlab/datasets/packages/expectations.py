"""Comparing what is there with what the table says a package holds."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

from hearlab.datasets.packages.catalogue import Holding, Package


def count_notes(package: Package, paths: Iterable[str]) -> list[str]:
    """One line for each folder that holds another number of files than the table says.

    Args:
        paths: the package's files, told from the data root with '/'.
    """
    counts = dict.fromkeys(package.holds, 0)
    for path in paths:
        for folder, holding in package.holds.items():
            if path.startswith(f"{folder}/") and fnmatch.fnmatchcase(path.rsplit("/", 1)[1], holding.files):
                counts[folder] += 1
    return [
        f"{folder}: found {counts[folder]} files {holding.files}, expected {_wanted(holding)}"
        for folder, holding in package.holds.items()
        if not _fits(holding, counts[folder])
    ]


def unpacked_by_hand(package: Package, root: Path) -> tuple[int, list[str]]:
    """How many files there are in the folders that the package holds, and the notes of `count_notes`."""
    paths = [path for folder in package.holds for path in files_below(root, folder)]
    return len(paths), count_notes(package, paths)


def files_below(root: Path, folder: str = "") -> Iterable[str]:
    """The files below a folder of the root, sorted folder by folder, told from the root with '/'."""
    try:
        with os.scandir(root / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(root, path)
        else:
            yield path


def _fits(holding: Holding, count: int) -> bool:
    if holding.count is not None:
        return count == holding.count
    return count >= max(holding.at_least or 0, 1)


def _wanted(holding: Holding) -> str:
    if holding.count is not None:
        return str(holding.count)
    return f"at least {max(holding.at_least or 0, 1)}"
