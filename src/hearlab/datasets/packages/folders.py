"""The folders of archives, receipts and unpacked files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.packages.catalogue import Package


@dataclass(frozen=True)
class PackageFolders:
    """The folders of one data set.

    Attributes:
        archives: where fetched archives wait to be unpacked.
        receipts: what was unpacked, one file for each package.
        roots: the data roots, `clarity_data` and `cadenza_data`.
        cache, link_types: DVC's cache, if its disk is to be counted, and the links that DVC tries, in order.
    """

    archives: Path
    receipts: Path
    roots: Mapping[str, Path]
    cache: Path | None = None
    link_types: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        home: Path,
        *,
        archives: Path | None = None,
        cache: Path | None = None,
        link_types: Sequence[str] = (),
    ) -> PackageFolders:
        """The folders of a data set's home: `packages/` beside the data roots."""
        folder = home / "packages"
        roots = {name: home / name for name in ("clarity_data", "cadenza_data")}
        return cls(archives or folder, folder / "receipts", roots, cache, tuple(link_types))

    def archive(self, package: Package) -> Path:
        """The archive of the latest issue that is there, else the path under its published name."""
        for name in reversed((package.file, *package.also)):
            if (self.archives / name).exists():
                return self.archives / name
        return self.archives / package.file

    def root(self, package: Package) -> Path:
        return self.roots[package.root]

    def receipt(self, package: Package) -> Path:
        return self.receipts / f"{package.name}.jsonl"
