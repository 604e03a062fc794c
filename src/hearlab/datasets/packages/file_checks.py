"""Checking unpacked files: against their receipt by name, and against the counts of the table of packages."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from hearlab.cores import usable_cores
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
THREADS = 4
AT_ONCE = 256  # files that are handed to the threads together


@dataclass(frozen=True)
class Problem:
    """A file that is not as the receipt says; the path is relative to the data root."""

    kind: Wrong
    path: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}" + (f" ({self.detail})" if self.detail else "")


def damaged_files(lines: Iterable[FileLine], root: Path, *, deep: bool, progress: ByteProgress) -> list[Problem]:
    """Files that are missing or have another size, or (`deep`) other bytes."""
    lines = list(lines)
    found = {line.path: _size_problem(line, root) for line in lines}
    if deep:
        readable = [line for line in lines if found[line.path] is None]
        progress.start("reading", sum(line.size for line in readable))
        waiting = iter(readable)
        try:
            with ThreadPoolExecutor(min(THREADS, usable_cores()), "md5") as pool:
                while some := list(islice(waiting, AT_ONCE)):
                    checked = pool.map(lambda line: _md5_problem(line, root, progress), some)
                    found.update(zip((line.path for line in some), checked, strict=True))
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


def _md5_problem(line: FileLine, root: Path, progress: ByteProgress) -> Problem | None:
    try:
        found = file_md5(root / line.path, progress.advance)
    except OSError as error:
        return Problem("unreadable", line.path, error.strerror or "")
    return None if found == line.md5 else Problem("altered", line.path, f"found md5 {found}, wanted {line.md5}")


def surplus_files(package: Package, folders: PackageFolders, files: Mapping[str, FileLine]) -> list[Problem]:
    """Files in the folders of this package that neither it nor another package of the same root brought."""
    # The outermost folders that hold files of the package; a file right in the root does not claim the whole root.
    inside = {path.rpartition("/")[0] for path in files} - {""}
    outermost = [folder for folder in sorted(inside) if inside.isdisjoint(map(str, PurePosixPath(folder).parents))]
    found = [path for folder in outermost for path in files_below(folders.root(package), folder) if path not in files]
    found = [path for path in found if path.rpartition("/")[2] not in NOT_SURPLUS]
    others = _files_of_others(package, folders) if found else ()
    return [Problem("surplus", path) for path in found if path not in others]


def _files_of_others(package: Package, folders: PackageFolders) -> set[str]:
    """The files in the receipts of the other packages, and those of unfinished unpacking."""
    known: set[str] = set()
    for path in sorted(folders.receipts.glob("*.jsonl")):
        if path != folders.receipt(package):
            receipt = read_receipt(path)
            known.update(receipt.files if receipt else ())
    for path in sorted(folders.receipts.glob("*.journal")):
        record = read_journal(path)
        known.update(entry["path"] for entry in (*record.trusted, *record.doubtful))
    return known


def count_notes(package: Package, paths: Iterable[str]) -> list[str]:
    """One line for each folder whose number of files differs from the table's.

    Args:
        paths: the package's files, relative to the data root, with '/'.
    """
    counts = dict.fromkeys(package.holds, 0)
    for path in paths:
        for folder, holding in package.holds.items():
            if path.startswith(f"{folder}/") and fnmatch.fnmatchcase(path.rsplit("/", 1)[1], holding.files):
                counts[folder] += 1
    return [
        f"{folder}: found {counts[folder]} files {holding.files}, expected {_expected(holding)}"
        for folder, holding in package.holds.items()
        if counts[folder] < _least(holding) or (holding.count is not None and counts[folder] != holding.count)
    ]


def _least(holding: Holding) -> int:
    return holding.count if holding.count is not None else max(holding.at_least or 0, 1)


def _expected(holding: Holding) -> str:
    return str(holding.count) if holding.count is not None else f"at least {_least(holding)}"


def holds_files(folder: Path) -> bool:
    """Whether a folder, or one below it, holds a file. Reads as little of it as possible."""
    try:
        with os.scandir(folder) as entries:
            return any(not entry.is_dir() or holds_files(Path(entry.path)) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


def files_below(root: Path, folder: str = "") -> Iterable[str]:
    """The files below a folder of the root, sorted folder by folder, relative to the root, with '/'."""
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
