"""What the workspace's outputs should be: the same stages in an empty folder, without memo, without DVC."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from small_workspace import HOME, INPUTS, LAB, SPLIT, command, read_yaml

from hearlab.scoring.machines import FILE as MACHINES

CLARITY, CADENZA = INPUTS
MADE = ("data", "metrics")
# The record of machines keeps that of stages which are not run again.
NOT_MADE = (*INPUTS, *HOME, "data/clarity/identities.txt", "data/weights", MACHINES)
# Groups of stages, what each reads besides HearLab's source, and sections of params.yaml that it surely does not read:
# where only those change, the group's outputs are not made again. Later groups go on from the files of earlier ones.
GROUPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "scenes": (
        ("check_params", "prepare", f"build_scenes {SPLIT}", f"render_scenes {SPLIT}"),
        (CLARITY,),
        ("enhance", "separate"),
    ),
    "songs": (
        ("prepare_music", "train_separator", "separate_music"),
        (CADENZA, "data/weights"),
        ("enhance", "scenes", "render"),
    ),
    "speech": (
        ("system", "learning_scenes", "train_enhancer", "enhance_speech", "score_speech"),
        (CLARITY, LAB),
        ("separate",),
    ),
    "music": (
        ("system", "fit_music", "enhance_music", "score_music"),
        (CADENZA, "data/weights", LAB),
        ("scenes", "render"),
    ),
}
BEFORE = {"speech": "scenes", "music": "songs"}
OF_MUSIC = re.compile("music|separat|haaqi")  # in the names of the music track's outputs


class RunFailed(Exception):
    """A run from nothing failed: the inputs are not good."""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def made(folder: Path) -> dict[str, str]:
    """md5 of every file that the stages made, by its path."""
    files = {}
    for top in MADE:
        for path in sorted((folder / top).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not name.startswith(NOT_MADE) and path.name != ".gitignore" and path.is_file():
                files[name] = md5(path)
    return files


def content(folder: Path, names: tuple[str, ...]) -> str:
    """Hash of the names and bytes of all files below some folders."""
    digest = hashlib.sha256()
    for name in names:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(folder)} {md5(path)}\n".encode())
    return digest.hexdigest()


class FromNothing:
    """Runs from nothing in folders of their own, each kept under the identity of all that it depends on."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.runs = 0

    def expected(self, workspace: Path, *, music: bool) -> dict[str, Path]:
        """The right outputs for what the workspace holds now: path there -> file that holds the right bytes.

        Args:
            workspace: the repository.
            music: whether those of the music track are wanted, too.

        Raises:
            RunFailed: a stage failed.
        """
        files: dict[str, Path] = {}
        kept: dict[str, Path] = {}
        for group in GROUPS if music else ("scenes", "speech"):
            kept[group] = self._group(workspace, group, kept)
            files |= {path.relative_to(kept[group]).as_posix(): path for path in kept[group].rglob("*")}
        return {name: path for name, path in files.items() if path.is_file()}

    def _group(self, workspace: Path, group: str, kept: Mapping[str, Path]) -> Path:
        stages, inputs, ignored = GROUPS[group]
        params = read_yaml(workspace / "params.yaml")
        values = json.dumps({name: value for name, value in params.items() if name not in ignored})
        identity = hashlib.sha256((content(workspace, ("src", *inputs)) + values).encode()).hexdigest()
        target = self.store / f"{group}-{identity[:16]}"
        if target.exists():
            return target
        folder = self.store / "running"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("src", LAB, "params.yaml", "dvc.yaml", *inputs):
            source = workspace / name
            if source.is_dir():
                shutil.copytree(source, folder / name, dirs_exist_ok=True)
                if name in INPUTS:  # `prepare` links to them again
                    shutil.copytree(source, folder / HOME[INPUTS.index(name)])
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / name)
        before = BEFORE.get(group)
        if before is not None:
            shutil.copytree(kept[before], folder, dirs_exist_ok=True)
        for stage in stages:
            code, output = command(folder, "hearlab", "stage", *stage.split())
            if code:
                raise RunFailed(f"hearlab stage {stage} exited with {code}:\n{output}")
        self.runs += 1
        for name in made(folder):
            if before is None or not (kept[before] / name).exists():
                place = target.with_suffix(".part") / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(folder / name, place)
        target.with_suffix(".part").rename(target)
        return target


def differences(workspace: Path, expected: Mapping[str, Path], *, music: bool) -> list[str]:
    """One line for each output that is missing, too many, or of other bytes; without `music`, of the speech track."""
    found = {name: value for name, value in made(workspace).items() if music or not OF_MUSIC.search(name)}
    wanted = {name: md5(path) for name, path in expected.items()}
    lines = [f"missing: {name}" for name in wanted.keys() - found.keys()]
    lines += [f"too many: {name}" for name in found.keys() - wanted.keys()]
    lines += [f"differs: {name}" for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    return sorted(lines)
