"""Stage prepare: makes the demo data set, or links to the packages of the real one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hearlab.compute.linking import OutsideFile, link_outputs
from hearlab.compute.notes import Notes
from hearlab.datasets.clarity import SPEECH_FOLDERS
from hearlab.datasets.layout import ClarityData, Workspace
from hearlab.datasets.packages import PackageFolders, packages_home
from hearlab.datasets.packages.contents import package_files
from hearlab.datasets.required_packages import absent, require
from hearlab.errors import InputError
from hearlab.files import write_text
from hearlab.params import PACKAGED_SPLITS, Params
from hearlab.progress import ByteProgress
from hearlab.stages.common import workspace

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    files = workspace(params)
    if params.dataset == "demo":
        _make_demo(files, params)
    else:
        _link(files.clarity, params)
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


def link_home(data: Path, folders: Sequence[str], params: Params) -> None:
    """Link to the packages' files in their home.

    Args:
        data: the data root, such as data/clarity/inputs/clarity_data.
        folders: of that data root; those of packages that are not here become empty.
        params: the parameters.
    """
    home = packages_home(Path(), params.dataset)
    if home.warning:
        log.warning("%s", home.warning)
    found = list(package_files(PackageFolders.of(home.folder), data.name, folders))
    # Notes in the home serve all clones, and experiments in folders of their own.
    notes = Notes(home.folder / "identities.txt")
    md5 = {file.name: file.md5 or notes.md5(f"{data.name}/{file.name}", file.status) or "" for file in found}
    unread = [file for file in found if not md5[file.name]]
    progress = ByteProgress()
    if unread:
        progress.start("reading files without a receipt", sum(file.status.st_size for file in unread))
    for file in unread:
        md5[file.name] = notes.read(f"{data.name}/{file.name}", file.path)
        progress.advance(file.status.st_size)
    progress.finish()
    notes.save()
    link_outputs(
        Path(), data, folders, (OutsideFile(file.name, file.path, file.status, md5[file.name]) for file in found)
    )
    progress.message(f"{data}: {len(found)} files linked from {home}")


def _link(data: ClarityData, params: Params) -> None:
    """Raise where the metadata or the heads are not there, which all need; warn of packages that only some need."""
    require(params, "prepare")
    link_home(data.root, SPEECH_FOLDERS, params)
    lacking = [path for path in (data.listeners, data.hrir_metadata) if not path.exists()]
    if lacking:
        names = ", no ".join(str(path.relative_to(data.root)) for path in lacking)
        raise InputError(
            data.root, "the metadata are not complete", found=f"no {names}", advice="hearlab data check cec2-core"
        )
    for package in absent(data.root):
        log.warning("prepare: the package %s is not here: %s cannot run", package.name, ", ".join(package.needed_for))


def _make_empty_folders(data: ClarityData) -> None:
    """dvc.yaml names the folders of all packages."""
    for folder in SPEECH_FOLDERS:
        (data.root / folder).mkdir(parents=True, exist_ok=True)
