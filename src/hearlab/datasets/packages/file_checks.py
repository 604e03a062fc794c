"""Checking unpacked files: against their receipt by name, and against the counts of the table of packages."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from hearlab.datasets.download.checksums import file_md5
from hearlab.datasets.download.journal import read_journal
from hearlab.datasets.packages.catalogue import Holding, Package
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.receipt import FileLine, read_receipt
from hearlab.progress import ByteProgress
from hearlab.text import size_text

Wrong = Literal["missing", "truncated", "altered", "surplus", "unreadable"]
# Files that tools leave in a data root and that no package brings.
NOT_SURPLUS = (".gitignore", ".DS_Store")
AT_ONCE = 256  # files that are handed to the threads together


@dataclass(frozen=True)
class Problem:
    """A file that is not as the receipt says; the path is told from the data root."""

    kind: Wrong
    path: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}" + (f" ({self.detail})" if self.detail else "")


def check_files(
    package: Package,
    folders: PackageFolders,
    *,
    deep: bool = False,
    workers: int | None = None,
    progress: ByteProgress | None = None,
) -> list[Problem]:
    """What is wrong with the unpacked files of a package, by its receipt; nothing without a receipt.

    Args:
        deep: read every file and compare its md5; otherwise sizes only.

    Raises:
        InputError: the receipt cannot be read.
    """
    receipt = read_receipt(folders.receipt(package))
    if receipt is None:
        return []
    root = folders.root(package)
    problems = damaged_files(receipt.files.values(), root, deep=deep, workers=workers, progress=progress)
    return [*problems, *_surplus(package, folders, receipt.files)]


def damaged_files(
    lines: Iterable[FileLine],
    root: Path,
    *,
    deep: bool = False,
    workers: int | None = None,
    progress: ByteProgress | None = None,
) -> list[Problem]:
    """Files that are missing or have another size, or (`deep`) other bytes."""
    lines = list(lines)
    progress = progress or ByteProgress(quiet=True)
    found = {line.path: _size_problem(line, root) for line in lines}
    if deep:
        readable = [line for line in lines if found[line.path] is None]
        progress.start("reading", sum(line.size for line in readable))
        try:
            for line, problem in _hashed(readable, root, workers or min(4, os.cpu_count() or 1), progress):
                found[line.path] = problem
        finally:
            progress.finish()
    return [problem for problem in found.values() if problem is not None]


def _size_problem(line: FileLine, root: Path) -> Problem | None:
    try:
        status = os.stat(root / line.path)
    except (FileNotFoundError, NotADirectoryError):
        return Problem("missing", line.path)
    except OSError as error:
        return Problem("unreadable", line.path, error.strerror or "")
    if not stat.S_ISREG(status.st_mode):
        return Problem("altered", line.path, "is no file")
    if status.st_size == line.size:
        return None
    kind: Wrong = "truncated" if status.st_size < line.size else "altered"
    return Problem(kind, line.path, f"found {size_text(status.st_size)}, wanted {size_text(line.size)}")


def _hashed(
    lines: list[FileLine], root: Path, workers: int, progress: ByteProgress
) -> Iterator[tuple[FileLine, Problem | None]]:
    waiting = iter(lines)
    with ThreadPoolExecutor(workers, "md5") as pool:
        while some := list(islice(waiting, AT_ONCE)):
            yield from zip(some, pool.map(lambda line: _md5_problem(line, root, progress), some), strict=True)


def _md5_problem(line: FileLine, root: Path, progress: ByteProgress) -> Problem | None:
    try:
        found = file_md5(root / line.path, progress.advance)
    except OSError as error:
        return Problem("unreadable", line.path, error.strerror or "")
    if found == line.md5:
        return None
    return Problem("altered", line.path, f"found md5 {found}, wanted {line.md5}")


def _surplus(package: Package, folders: PackageFolders, files: Mapping[str, FileLine]) -> list[Problem]:
    """Files in the folders of this package that neither it nor another package of the same root brought."""
    inside = {path.rsplit("/", 1)[0] for path in files if "/" in path}
    # The outermost folders that hold files of the package; a file right in the root does not claim the whole root.
    outermost = [folder for folder in sorted(inside) if not any(above in inside for above in _above(folder))]
    found = [path for folder in outermost for path in files_below(folders.root(package), folder) if path not in files]
    found = [path for path in found if path.rsplit("/", 1)[-1] not in NOT_SURPLUS]
    if found:
        others = _files_of_others(package, folders)
        found = [path for path in found if path not in others]
    return [Problem("surplus", path) for path in found]


def _files_of_others(package: Package, folders: PackageFolders) -> set[str]:
    """Files that the receipts of the other packages name, and those of packages that are half unpacked."""
    known: set[str] = set()
    for path in sorted(folders.receipts.glob("*.jsonl")):
        if path != folders.receipt(package):
            receipt = read_receipt(path)
            known.update(receipt.files if receipt else ())
    for path in sorted(folders.receipts.glob("*.journal")):
        record = read_journal(path)
        known.update(entry["path"] for entry in (*record.trusted, *record.doubtful))
    return known


def _above(folder: str) -> Iterator[str]:
    while "/" in folder:
        folder = folder.rsplit("/", 1)[0]
        yield folder


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
