"""Disk space: how much a package needs on which disk, checked before the first byte is fetched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.links import existing, working_link
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.errors import InputError
from hearlab.text import size_text

# Left free, because a full disk breaks more than a download: at most this much, on small disks a share of them.
RESERVE = 1_000_000_000
RESERVE_SHARE = 0.01


@dataclass(frozen=True)
class Need:
    """Bytes that are needed in a folder; `about` if they rest on rounded figures."""

    what: str
    folder: Path
    bytes: int
    about: bool = False

    def __str__(self) -> str:
        return f"{'about ' if self.about else ''}{size_text(self.bytes)} for {self.what}"


@dataclass(frozen=True)
class Disk:
    """The needs of one file system."""

    folder: Path
    free: int
    reserve: int
    needs: tuple[Need, ...]

    @property
    def needed(self) -> int:
        return sum(need.bytes for need in self.needs)

    @property
    def enough(self) -> bool:
        return not self.needed or self.needed + self.reserve <= self.free

    def __str__(self) -> str:
        parts = ", ".join(str(need) for need in self.needs)
        return f"{self.folder}: needs {size_text(self.needed)} ({parts}), {size_text(self.free)} free"


def fetching_needs(
    package: Package, folders: PackageFolders, archive_bytes: int | None, there: int = 0, *, then_unpack: bool = True
) -> list[Need]:
    """What fetching a package needs, and what follows: unpacking it (unless it is unpacked) and DVC's cache.

    Args:
        archive_bytes: size of the archive, if the server gives it; by default the table's figure.
        there: bytes of the archive that are there already.
    """
    size = archive_bytes or package.size_or_about or 0
    about = archive_bytes is None and package.size is None
    needs = [Need("the package", folders.archives, max(size - there, 0), about)]
    if then_unpack and not folders.receipt(package).exists():
        needs += unpacking_needs(package, folders, archive_bytes=size)
    return needs


def unpacking_needs(
    package: Package,
    folders: PackageFolders,
    there: int = 0,
    unpacked: int | None = None,
    *,
    archive_bytes: int | None = None,
) -> list[Need]:
    """What unpacking a package and putting its files under DVC needs: links take no space.

    Args:
        there: bytes that are unpacked already.
        unpacked: bytes of the unpacked files, if they are known; else the table's figure, else the archive's size.
        archive_bytes: size of an archive that is not there yet.
    """
    if unpacked is None and archive_bytes is None:
        with contextlib.suppress(OSError):
            archive_bytes = folders.archive(package).stat().st_size
    size = unpacked if unpacked is not None else package.unpacked or archive_bytes or 0
    about = unpacked is None
    root = folders.root(package)
    needs = [Need("the unpacked files", root, max(size - there, 0), about)]
    if folders.cache is not None:
        link = working_link(root, folders.cache, folders.link_types)
        if link == "copy" or link is None:
            needs.append(Need("their copies in DVC's cache", folders.cache, size, about))
    return needs


def disks(needs: Sequence[Need]) -> list[Disk]:
    """The needs, gathered for each file system."""
    gathered: dict[int, list[Need]] = {}
    for need in needs:
        gathered.setdefault(device(need.folder), []).append(need)
    found = []
    for group in gathered.values():
        folder = existing(group[0].folder)
        status = os.statvfs(folder)
        total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        found.append(Disk(group[0].folder, free, min(RESERVE, round(total * RESERVE_SHARE)), tuple(group)))
    return found


def require_space(needs: Sequence[Need]) -> None:
    """Check that all needs fit.

    Raises:
        InputError: a disk is too small; the line says what is needed, for what, and what is free.
    """
    for disk in disks(needs):
        if not disk.enough:
            parts = ", ".join(str(need) for need in disk.needs)
            raise InputError(
                disk.folder,
                "not enough disk space",
                found=f"{size_text(disk.free)} free",
                wanted=f"{size_text(disk.needed)}: {parts}; and {size_text(disk.reserve)} left over",
                advice=f"free {size_text(disk.needed + disk.reserve - disk.free)} or use another disk",
            )


def device(folder: Path) -> int:
    """The file system of a folder, which need not exist yet."""
    return existing(folder).stat().st_dev
