"""Which package of the challenge a stage lacks, told in one line before the stage starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hearlab.datasets.packages.catalogue import Package, load_catalogue
from hearlab.errors import InputError


def require(stage: str, root: Path, folders: Iterable[str]) -> None:
    """Check that each folder holds something.

    Args:
        stage: as the user knows it, such as 'render_scenes@train'.
        root: the data root, clarity_data or cadenza_data.
        folders: below the root, told with '/'.

    Raises:
        InputError: one line that names the stage, the empty folders and the packages that hold them.
    """
    empty = [folder for folder in folders if not holds_files(root / folder)]
    if not empty:
        return
    packages = {
        package.name: package for package in map(lambda folder: package_of(root.name, folder), empty) if package
    }
    if root.parent.name == "demo" or not packages:
        raise InputError(
            root, f"{stage} finds no {' and no '.join(empty)}", advice="dvc repro prepare makes the demo's"
        )
    names = list(packages)
    raise InputError(
        root,
        f"{stage} needs the package{'s' * (len(names) > 1)} {' and '.join(names)}",
        found=f"no {', no '.join(empty)}",
        advice=f"hearlab data fetch {names[0]}, then hearlab data unpack {names[0]} (docs/full-data.md)",
    )


def absent(root: Path) -> list[Package]:
    """The packages of a data root of which no folder holds anything; those that may be left out are not counted."""
    return [
        package
        for package in load_catalogue().values()
        if package.root == root.name
        and not package.optional
        and not any(holds_files(root / folder) for folder in package.holds)
    ]


def package_of(root: str, folder: str) -> Package | None:
    """The package that holds a folder of the data root `clarity_data` or `cadenza_data`."""
    for package in load_catalogue().values():
        if package.root != root or package.optional:
            continue
        if any(f"{held}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{held}/") for held in package.holds):
            return package
    return None


def holds_files(folder: Path) -> bool:
    """Whether a folder, or one below it, holds a file. Reads as little of it as possible."""
    try:
        with os.scandir(folder) as entries:
            return any(not entry.is_dir() or holds_files(Path(entry.path)) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
