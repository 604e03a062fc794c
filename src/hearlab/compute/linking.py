"""The package's rendered scenes as a stage's output: links, with their identities in the stage's index.

Nothing is computed or copied. Where DVC has the package's files in its cache already (`prepare` put them there), no
byte is read either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hearlab.compute.engine import unit_folder
from hearlab.compute.identity import Identities
from hearlab.compute.listing import list_only
from hearlab.compute.memo import Entry, Memo, StoredFile
from hearlab.compute.units import Unit
from hearlab.errors import InputError
from hearlab.progress import UnitProgress

NAMED = 3  # missing files that the error names
RESULT = {"source": "packaged"}  # in the versioned index, where a rendered scene has none


def link_scenes(stage: str, scenes: Mapping[str, Sequence[str]], package: Path, out: Path, index: Path) -> None:
    """Link the files of scenes into a stage's output folder and write the stage's index.

    Args:
        stage: name for progress and messages, such as 'render_scenes dev'.
        scenes: the file names of each scene.
        package: the folder that holds them.
        out: the stage's output folder; it holds these files and nothing else afterwards.
        index: file of the versioned index. All paths are relative to the current folder, the workspace.

    Raises:
        InputError: files are missing; the line tells how many, of how many scenes, and names the first.
    """
    _check_complete(scenes, package)
    list_only(stage, (), index)
    memo = Memo(Path.cwd())
    with memo.locked(stage) as staging:
        memo.load_index(index)
        progress = UnitProgress(stage, len(scenes))
        progress.message(f"{stage}: linked from {package}")
        _clear_surplus(out, {name for names in scenes.values() for name in names})
        identities = memo.identities()
        keys = {}
        try:
            for scene, names in scenes.items():
                entry = _entry(stage, scene, names, package, out, identities)
                keys[scene] = entry.key
                remembered = memo.find(entry.key) is not None
                if remembered:
                    memo.place(entry, out)
                else:
                    memo.keep(entry, _staged(memo, entry, package, staging))
                progress.advance(remembered=remembered)
                if memo.commit_due:
                    _commit(memo, out)
        finally:
            _commit(memo, out)
            progress.finish()
            identities.save()
        memo.write_index(index, keys)
        memo.finish(stage)


def _check_complete(scenes: Mapping[str, Sequence[str]], package: Path) -> None:
    there = set(os.listdir(package)) if package.is_dir() else set()
    missing = {scene: [name for name in names if name not in there] for scene, names in scenes.items()}
    missing = {scene: names for scene, names in missing.items() if names}
    if missing:
        names = [name for absent in missing.values() for name in absent]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise InputError(
            package,
            f"the package lacks files of {len(missing)} of {len(scenes)} scenes",
            found=f"no {', no '.join(names[:NAMED])}{more}",
            advice="hearlab data check tells which are missing; render.source: rendered renders the scenes",
        )


def _entry(stage: str, scene: str, names: Sequence[str], package: Path, out: Path, identities: Identities) -> Entry:
    files = []
    for name in names:
        path = os.path.join(package, name)
        files.append(StoredFile(name, identities.of(path), os.stat(path).st_size))
    parts = {"source": RESULT["source"], "scene": scene, "files": {file.name: file.md5 for file in files}}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return Entry(key, stage, scene, out.as_posix(), tuple(file.md5 for file in files), tuple(files), RESULT)


def _staged(memo: Memo, entry: Entry, package: Path, staging: Path) -> Path:
    """A folder with links to those of the files that the store does not hold yet."""
    folder = unit_folder(staging, Unit(entry.id, _entry))
    for file in entry.files:
        if not memo.object_path(file.md5).exists():
            folder.mkdir(exist_ok=True)
            source = os.path.realpath(package / file.name)
            try:
                os.link(source, folder / file.name)
            except OSError:
                shutil.copyfile(source, folder / file.name)  # the package lies on another disk
    return folder


def _commit(memo: Memo, out: Path) -> None:
    for entry, staged in memo.commit():
        with contextlib.suppress(OSError):
            os.rmdir(staged)
        memo.place(entry, out)


def _clear_surplus(out: Path, wanted: set[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for entry in list(os.scandir(out)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name not in wanted:
            os.unlink(entry.path)
