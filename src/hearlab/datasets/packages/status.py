"""The status of a package: fetched, unpacked, complete, damaged, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hearlab.datasets.download.checksums import file_md5
from hearlab.datasets.download.file import fetched_intervals
from hearlab.datasets.download.journal import read_journal
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.file_checks import Problem, count_notes, damaged_files, files_below, surplus_files
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.receipt import read_archive_note, read_receipt
from hearlab.progress import ByteProgress
from hearlab.text import size_text

State = Literal["absent", "partly fetched", "fetched", "partly unpacked", "unpacked by hand", "complete", "damaged"]


@dataclass
class Status:
    """A package on this disk.

    Attributes:
        state: "unpacked by hand" means files without a receipt: only their number can be checked.
        archive: the fetched archive, if it is there (it may be removed once everything is unpacked).
        fetched: bytes of the archive that are there.
        files, size: unpacked, by the receipt (or found, without one).
        problems: files that are not as the receipt says, and an archive that is not as it was fetched.
        notes: folders whose number of files differs from the table's.
    """

    package: Package
    state: State
    archive: Path | None = None
    fetched: int = 0
    files: int = 0
    size: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether the stages can read the package."""
        return self.state == "complete" or (self.state == "unpacked by hand" and not self.notes)

    def __str__(self) -> str:
        details = []
        if self.state == "partly fetched":
            total = self.package.size_or_about
            details.append(size_text(self.fetched) + (f" of {size_text(total)}" if total else ""))
        elif self.files:
            details.append(f"{self.files} files" + (f", {size_text(self.size)}" if self.size else ""))
        elif self.archive is not None:
            details.append(size_text(self.fetched))
        if self.problems:
            details.append(f"{len(self.problems)} wrong")
        return f"{self.package.name}: {self.state}" + (f" ({', '.join(details)})" if details else "")


def status(package: Package, folders: PackageFolders) -> Status:
    """The status of a package; unpacked files are compared by size.

    Raises:
        InputError: the receipt cannot be read.
    """
    return check(package, folders)


def check(
    package: Package, folders: PackageFolders, *, deep: bool = False, progress: ByteProgress | None = None
) -> Status:
    """The status of a package, with the files that are missing, truncated, altered or surplus.

    Args:
        deep: read every unpacked file, and the archive if it is there, and compare the md5.

    Raises:
        InputError: the receipt cannot be read.
    """
    progress = progress or ByteProgress(quiet=True)
    archive, root = folders.archive(package), folders.root(package)
    found = Status(package, "absent")
    if archive.is_file():
        found.state, found.archive, found.fetched = "fetched", archive, archive.stat().st_size
        found.problems += _archive_problems(package, archive, deep, progress)
    elif fetched := _partly_fetched(package, folders):
        found.state, found.fetched = "partly fetched", fetched

    receipt_path = folders.receipt(package)
    receipt = read_receipt(receipt_path)
    journal = read_journal(receipt_path.with_suffix(".journal"))
    if receipt is not None:
        wrong = damaged_files(receipt.files.values(), root, deep=deep, progress=progress)
        wrong += surplus_files(package, folders, receipt.files)
        found.state = "damaged" if wrong else "complete"
        found.problems += wrong
        found.files, found.size = len(receipt.files), receipt.bytes
        found.notes = count_notes(package, receipt.files)
    elif journal.header is not None:
        found.state = "partly unpacked"
        found.files = len(journal.trusted)
        found.size = sum(entry["size"] for entry in journal.trusted)
    elif paths := [path for folder in package.holds for path in files_below(root, folder)]:
        found.state, found.files, found.notes = "unpacked by hand", len(paths), count_notes(package, paths)
    return found


def _partly_fetched(package: Package, folders: PackageFolders) -> int:
    return max(fetched_intervals(folders.archives / name).total() for name in (package.file, *package.also))


def _archive_problems(package: Package, archive: Path, deep: bool, progress: ByteProgress) -> list[Problem]:
    size = archive.stat().st_size
    if package.size is not None and size != package.size:
        kind: Literal["truncated", "altered"] = "truncated" if size < package.size else "altered"
        return [Problem(kind, archive.name, f"found {size} bytes, wanted {package.size}")]
    if not deep:
        return []
    note = read_archive_note(archive)
    wanted = package.checksum.get("md5") or (note.md5 if note else None)
    progress.start(f"reading {archive.name}", size)
    found = file_md5(archive, progress.advance)
    progress.finish()
    if wanted is None or found == wanted:
        return []
    return [Problem("altered", archive.name, f"found md5 {found}, wanted {wanted}")]
