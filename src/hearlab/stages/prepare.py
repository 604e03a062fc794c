"""Stage prepare: makes the demo data set, or checks which packages of the real one are there."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hearlab.datasets.clarity import PARTS
from hearlab.datasets.layout import ClarityData, Workspace
from hearlab.errors import InputError
from hearlab.files import write_text
from hearlab.params import PACKAGED_SPLITS, Params
from hearlab.stages.common import workspace
from hearlab.stages.required_packages import absent, require

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    files = workspace(params)
    if params.dataset == "demo":
        _make_demo(files, params)
    else:
        _check(files.clarity, params)
    _make_empty_folders(files.clarity)


def _make_demo(files: Workspace, params: Params) -> None:
    from hearlab.datasets import demo

    splits = params.data.splits
    for split, most, counts in (("train", demo.TRAIN_ROOMS, splits.train), ("dev", demo.DEV_ROOMS, splits.dev)):
        most = min(most, counts.scenes)
        if counts.rooms > most:
            raise InputError(
                "params.yaml",
                "the demo world has fewer rooms",
                field=f"datasets.demo.splits.{split}.rooms",
                found=counts.rooms,
                wanted=f"at most {most} for {counts.scenes} scenes",
            )
    with made_beside(files.clarity.root) as staging:
        demo.make_demo(staging, params.data_seed, dev_scenes=splits.dev.scenes, train_scenes=splits.train.scenes)
        for split in PACKAGED_SPLITS:
            # DVC warns of every empty folder, and the demo's never hold anything.
            write_text(
                ClarityData(staging).scenes(split) / "README.txt", f"No package: see data/demo/rendered/{split}\n"
            )


@contextlib.contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `target`: an interrupted run leaves the old one, or none, never half of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        yield staging
        os.chmod(staging, 0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(data: ClarityData, params: Params) -> None:
    """Raise where the metadata or the heads are not there, which all need; warn of packages that only some need."""
    require(params, "prepare")
    lacking = [path for path in (data.listeners, data.hrir_metadata) if not path.exists()]
    if lacking:
        names = ", no ".join(str(path.relative_to(data.root)) for path in lacking)
        raise InputError(
            data.root, "the metadata are not complete", found=f"no {names}", advice="hearlab data check cec2-core"
        )
    for package in absent(data.root):
        log.warning("prepare: the package %s is not here: %s cannot run", package.name, ", ".join(package.needed_for))


def _make_empty_folders(data: ClarityData) -> None:
    """What a package that is not here would hold is an empty folder: dvc.yaml names all of them."""
    for split in PACKAGED_SPLITS:
        for part in PARTS:
            (data.root / split / part).mkdir(parents=True, exist_ok=True)
