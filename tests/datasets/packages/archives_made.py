"""Archives made for the tests: small packages, right ones and hostile ones."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hearlab.datasets.packages import Package, PackageFolders

PLAIN = "package.tar"


def test_package(**changes: Any) -> Package:
    """A package whose archive has clarity_data/ at its top."""
    fields: dict[str, Any] = {
        "name": "small",
        "title": "made for a test",
        "track": "speech",
        "root": "clarity_data",
        "file": "small.tgz",
        "place": [{"from": "clarity_data", "to": ""}],
    }
    return Package.model_validate({**fields, **changes})


test_package.__test__ = False  # type: ignore[attr-defined]


def folders_in(folder: Path) -> PackageFolders:
    roots = {name: folder / name for name in ("clarity_data", "cadenza_data")}
    return PackageFolders(folder / "packages", folder / "receipts", roots)


def some_bytes(count: int, seed: int = 0) -> bytes:
    """Bytes that hardly pack."""
    return random.Random(seed).randbytes(count)


def some_files(count: int, seed: int = 0, most: int = 40_000) -> dict[str, bytes]:
    """Files in a few folders, some of them empty."""
    draw = random.Random(seed)
    folders = ("metadata", "dev/rooms/rpf", "dev/scenes")
    return {
        f"{draw.choice(folders)}/file{k:04d}.wav": draw.randbytes(draw.choice((0, 1, 700, draw.randrange(most))))
        for k in range(count)
    }


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar archive; fields of TarInfo may be set."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_bytes(members: Iterable[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return buffer.getvalue()


def tree_archive(files: dict[str, bytes], top: str = "clarity_data") -> bytes:
    """A .tgz of files below a top folder."""
    return gzip.compress(tar_bytes(member(f"{top}/{name}", content) for name, content in files.items()), 1, mtime=0)


def zip_bytes(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, content in members:
            packed.writestr(name, content, method)
    return buffer.getvalue()


def tree_content(root: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
