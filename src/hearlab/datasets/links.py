"""Links between files: which of DVC's link types work between two folders."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FICLONE = 0x40049409  # ioctl of Linux that makes a file share the blocks of another


def reflink(source: Path, target: Path) -> None:
    """Make `target` a copy that shares the blocks of `source`. Raises OSError where the file system cannot."""
    with source.open("rb") as original, target.open("wb") as clone:
        fcntl.ioctl(clone.fileno(), FICLONE, original.fileno())


_LINKS: dict[str, Callable[[Path, Path], object]] = {
    "reflink": reflink,
    "hardlink": os.link,
    "symlink": os.symlink,
    "copy": shutil.copyfile,
}


def working_link(folder: Path, cache: Path, types: Sequence[str]) -> str | None:
    """The first of DVC's link types that works from the cache to the folder, tried with a small file.

    Gives None if none works, or if a folder cannot be written to.
    """
    with contextlib.suppress(OSError), _scratch(cache) as source_folder, _scratch(folder) as target_folder:
        source = source_folder / "source"
        source.write_bytes(b"link?")
        for kind in types:
            with contextlib.suppress(OSError, KeyError):
                _LINKS[kind](source, target_folder / kind)
                if (target_folder / kind).read_bytes() == b"link?":
                    return kind
    return None


def commit_copies(folder: Path, cache: Path, types: Sequence[str]) -> bool:
    """Whether DVC, when it commits a stage's plain files, leaves the bytes twice.

    It links them only if the first of its link types works: where that is 'reflink' and fails, DVC takes the plain
    file for one and keeps it beside the copy in the cache.
    """
    return types[0] == "copy" or working_link(folder, cache, types[:1]) is None


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".hearlab.part-", dir=existing(folder)) as name:
        yield Path(name)
