"""Where archives, receipts and unpacked files of the packages lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.layout import Workspace
from hearlab.datasets.packages.catalogue import Package
from hearlab.versions.dvc_files import DEFAULT_LINK_TYPES


@dataclass(frozen=True)
class PackageFolders:
    """The folders of one data set.

    Attributes:
        archives: where fetched archives wait to be unpacked.
        receipts: what was unpacked, one file for each package. Not inside a data root, which belongs to DVC.
        roots: the data roots, `clarity_data` and `cadenza_data`.
        cache: DVC's cache, if its disk is to be counted; and the links it may use, in order.
    """

    archives: Path
    receipts: Path
    roots: Mapping[str, Path]
    cache: Path | None = None
    link_types: tuple[str, ...] = DEFAULT_LINK_TYPES

    @classmethod
    def of(
        cls,
        files: Workspace,
        *,
        archives: Path | None = None,
        cache: Path | None = None,
        link_types: tuple[str, ...] = DEFAULT_LINK_TYPES,
    ) -> PackageFolders:
        """The usual folders of a workspace: `packages/` beside the data roots."""
        folder = files.root / "packages"
        roots = {"clarity_data": files.clarity.root, "cadenza_data": files.cadenza.root}
        return cls(archives or folder, folder / "receipts", roots, cache, link_types)

    def archive(self, package: Package) -> Path:
        """The archive, under the name of its latest issue that is there, else under its published name."""
        for name in reversed((package.file, *package.also)):
            if (self.archives / name).exists():
                return self.archives / name
        return self.archives / package.file

    def root(self, package: Package) -> Path:
        return self.roots[package.root]

    def receipt(self, package: Package) -> Path:
        return self.receipts / f"{package.name}.jsonl"
