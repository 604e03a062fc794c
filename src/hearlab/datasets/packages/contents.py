"""The files of the packages in their home, with the md5 that their receipts give them."""

from __future__ import annotations

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hearlab.datasets.packages.catalogue import load_catalogue
from hearlab.datasets.packages.file_checks import NOT_SURPLUS
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.receipt import FileLine, read_receipt
from hearlab.errors import InputError

log = logging.getLogger(__name__)


class PackageFile(NamedTuple):
    """A file in the home.

    Attributes:
        name: its path from the data root, with '/'.
        path: where it is.
        status: what it was when it was found.
        md5: of its bytes, by the receipt; None if it was put there by hand, or changed since.
    """

    name: str
    path: str
    status: os.stat_result
    md5: str | None


class _Known(NamedTuple):
    package: str
    line: FileLine
    written: int  # when the receipt was, ns: a file that is newer was changed since


def package_files(home: PackageFolders, root: str, folders: Sequence[str]) -> Iterator[PackageFile]:
    """All files in folders of a data root, folder by folder. None is read.

    Those of a package that is being unpacked are left out. Warns of packages of which files are missing or changed.

    Args:
        home: the folders of the home.
        root: `clarity_data` or `cadenza_data`.
        folders: below it, with '/'.

    Raises:
        InputError: a receipt cannot be read, or something is no file.
    """
    known, unfinished = _receipts(home, root)
    wrong = Counter(found.package for name, found in known.items() if name.startswith(tuple(f"{f}/" for f in folders)))
    for folder in folders:
        for file in _below(home.roots[root], folder):
            record = known.get(file.name)
            if record is None:
                if not file.name.startswith(unfinished):
                    yield file
                continue
            as_it_was = record.line.size == file.status.st_size and file.status.st_mtime_ns <= record.written
            wrong[record.package] -= as_it_was
            yield file._replace(md5=record.line.md5) if as_it_was else file
    for package, count in wrong.items():
        if count:
            advice = f"hearlab data check --deep {package} names those that are wrong"
            log.warning("%s: %d files are missing, or newer than its receipt; %s", package, count, advice)


def _receipts(home: PackageFolders, root: str) -> tuple[dict[str, _Known], tuple[str, ...]]:
    """The files of unpacked packages, and the folders of those that are being unpacked."""
    known: dict[str, _Known] = {}
    unfinished: list[str] = []
    catalogue = load_catalogue()
    for path in sorted(home.receipts.glob("*.jsonl")):
        package = catalogue.get(path.stem)
        receipt = read_receipt(path) if package is None or package.root == root else None
        written = path.stat().st_mtime_ns
        for name, line in receipt.files.items() if receipt else ():
            known[name] = _Known(path.stem, line, written)
    for path in sorted(home.receipts.glob("*.journal")):
        package = catalogue.get(path.stem)
        if package is not None and package.root == root and not path.with_suffix(".jsonl").exists():
            log.warning("%s is not unpacked to its end: it is left out (hearlab data unpack %s)", path.stem, path.stem)
            unfinished += [f"{folder}/" for folder in package.holds]
    return known, tuple(unfinished)


def _below(root: Path, folder: str) -> Iterator[PackageFile]:
    # Folders that were put there by hand may be links to other disks.
    for place, folders, names in os.walk(root / folder, followlinks=True):
        folders.sort()
        below = os.path.relpath(place, root)
        for name in sorted(names):
            path = os.path.join(place, name)
            if name in NOT_SURPLUS:
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                raise InputError(path, "cannot be read", found=error.strerror) from None
            if not stat.S_ISREG(status.st_mode):
                raise InputError(path, "is no ordinary file")
            yield PackageFile(f"{below}/{name}", path, status, None)
