"""Miniatures of the challenges' packages: the demo world in archives with the same names and the same folders inside.

With them the full-size path (fetch, check, unpack, run with `dataset=clarity`) takes a minute from a local server. The
same world gives the same bytes: members are sorted and have no times and no owners.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from hearlab.datasets.download.checksums import file_md5
from hearlab.datasets.packages.catalogue import Package, load_catalogue
from hearlab.datasets.packages.file_checks import files_below
from hearlab.errors import InputError
from hearlab.files import atomic_path, write_text

TABLE = "packages.toml"
TOP_FOLDERS = {"clarity_data": "clarity_CEC2_data/clarity_data", "cadenza_data": "cadenza_data"}
# Which files of a data root each package holds.
CONTENTS = {
    "cec2-core": (
        "metadata/",
        "hrir/",
        "dev/rooms/ac/",
        "dev/rooms/rpf/",
        "dev/interferers/",
        "dev/scenes/",
        "dev/targets/",
    ),
    "cec2-train": ("train/rooms/ac/", "train/rooms/rpf/", "train/interferers/", "train/scenes/", "train/targets/"),
    "cec2-hoairs": ("train/rooms/HOA_IRs/", "dev/rooms/HOA_IRs/"),
    "musdb18hq": ("task1/audio/musdb18hq/",),
    "cad1-metadata": ("task1/metadata/",),
}
# The packages of later challenges carry a list of their files beside clarity_data; so do these.
MANIFEST = "clarity_CEC2_data/manifest"
PACKING = 1  # the fastest: noise-like sound hardly packs better with more work

Member = tuple[str, Path | bytes]


def make_miniatures(
    out: Path, seed: int = 0, *, dev_scenes: int = 12, train_scenes: int = 4, music: bool = True
) -> Path:
    """Make the demo world and pack it; gives the table of the packages, as `pack_miniatures` does.

    Args:
        out: the folder for the archives and the table.
        seed, dev_scenes, train_scenes: as for `make_demo`.
        music: pack songs too.
    """
    from hearlab.datasets import demo

    with tempfile.TemporaryDirectory(prefix=".world.part-", dir=_made(out)) as name:
        clarity, cadenza = Path(name) / "clarity_data", Path(name) / "cadenza_data"
        demo.make_demo(clarity, seed, dev_scenes=dev_scenes, train_scenes=train_scenes)
        if music:
            demo.make_demo_music(cadenza, seed)
        return pack_miniatures(out, clarity, cadenza if music else None)


def pack_miniatures(
    out: Path,
    clarity: Path | None,
    cadenza: Path | None = None,
    *,
    scenes: Mapping[str, Path] | None = None,
    lists: Path | None = None,
) -> Path:
    """Pack data roots as the challenges' packages.

    Args:
        out: the folder for the archives.
        clarity, cadenza: the data roots to pack (hrir/, dev/, ... and task1/).
        scenes: folders of rendered scenes of 'train' and 'dev', packed as `<split>/scenes` like the real ones.
        lists: the folder with their rooms.*.json and scenes.*.json, packed among the metadata like the real ones.

    Returns:
        `packages.toml` among the archives: their sizes, check sums and counts, for `load_catalogue(extra=...)`.

    Raises:
        InputError: a data root has none of a package's files.
    """
    catalogue = load_catalogue()
    tables = []
    for name, contents in CONTENTS.items():
        package = catalogue[name]
        root = {"clarity_data": clarity, "cadenza_data": cadenza}[package.root]
        if root is None:
            continue
        members = [(path, root / path) for path in files_below(root) if path.startswith(contents) and not _note(path)]
        for split, folder in (scenes or {}).items():
            if f"{split}/scenes/" in contents:
                members += [(f"{split}/scenes/{path}", folder / path) for path in files_below(folder)]
        if lists is not None and "metadata/" in contents:
            names = [f"{kind}.{split}.json" for split in scenes or () for kind in ("rooms", "scenes")]
            members += [(f"metadata/{name}", lists / name) for name in names]
        if not members:
            raise InputError(root, f"has no files of the package {name}", wanted=" or ".join(contents))
        archive = _made(out) / package.file
        if archive.suffix == ".zip":
            _write_zip(archive, [(path.removeprefix("task1/audio/musdb18hq/"), file) for path, file in members])
        else:
            _write_tar(archive, _with_top(package, members))
        tables.append(_table(package, archive, members))
    write_text(out / TABLE, "\n".join(tables))
    return out / TABLE


def _note(path: str) -> bool:
    """Whether a file only says that the demo has no packaged scenes."""
    return path.endswith("/scenes/README.txt")


def _with_top(package: Package, members: list[tuple[str, Path]]) -> list[Member]:
    packed: list[Member] = [(f"{TOP_FOLDERS[package.root]}/{path}", file) for path, file in members]
    if package.root == "clarity_data":
        listed = "".join(f"{path}\n" for path, _ in packed)
        packed.append((f"{MANIFEST}/{package.name}.txt", listed.encode()))
    return packed


def _write_tar(archive: Path, members: list[Member]) -> None:
    with (
        atomic_path(archive) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", PACKING, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for folder in _folders(members):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, content in sorted(members, key=lambda member: member[0]):
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(info, file)


def _write_zip(archive: Path, members: list[tuple[str, Path]]) -> None:
    with atomic_path(archive) as temporary, _open_zip(temporary) as packed:
        for folder in _folders(members):
            packed.writestr(_zip_info(folder + "/", 0o40755), b"")
        for name, file in sorted(members):
            packed.writestr(_zip_info(name, 0o100644), file.read_bytes())


def _open_zip(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=PACKING)


def _zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # of 1980, the first moment that zip knows
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, so that the mode counts
    info.external_attr = mode << 16
    return info


def _folders(members: Iterable[tuple[str, object]]) -> list[str]:
    """Every folder above a member."""
    return sorted({str(above) for name, _ in members for above in PurePosixPath(name).parents} - {"."})


def _table(package: Package, archive: Path, members: list[tuple[str, Path]]) -> str:
    """The package's lines of the table: what differs from the full size."""
    counts = {folder: sum(path.startswith(f"{folder}/") for path, _ in members) for folder in package.holds}
    lines = [
        f"[{package.name}]",
        f"title = {json.dumps(f'{package.title} (miniature)')}",
        f"size = {archive.stat().st_size}",
        f"unpacked = {sum(file.stat().st_size for _, file in members)}",
        f'checksum = {{ md5 = "{file_md5(archive)}" }}',
        f"[{package.name}.holds]",
    ]
    lines += [f"{json.dumps(folder)} = {{ count = {count} }}" for folder, count in counts.items() if count]
    return "\n".join(lines) + "\n"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
