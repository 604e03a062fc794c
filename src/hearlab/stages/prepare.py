"""Stage prepare: makes the demo data set, or links to the packages of the real one, or to the user's recordings."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hearlab.compute.linking import OutsideFile, link_outputs
from hearlab.compute.memo import FOLDER, Memo
from hearlab.compute.notes import Notes, done_without
from hearlab.compute.process import worker_count
from hearlab.datasets.clarity import SPEECH_FOLDERS
from hearlab.datasets.layout import ClarityData, Workspace
from hearlab.datasets.own.conversion import converted, is_converted, mixture_of, write_converted
from hearlab.datasets.own.description import (
    LISTENERS,
    MUSIC,
    SPEECH,
    SUM,
    SoundFile,
    description_folder,
    read_files,
    scene_list,
)
from hearlab.datasets.packages import PackageFolders, packages_home
from hearlab.datasets.packages.contents import package_files
from hearlab.datasets.required_packages import absent, require
from hearlab.errors import InputError, raise_all
from hearlab.files import md5_of, read_json, write_json, write_text
from hearlab.listeners import load_listeners
from hearlab.params import PACKAGED_SPLITS, Params
from hearlab.progress import ByteProgress
from hearlab.stages.common import workspace
from hearlab.versions.dvc_files import cache_folder, cached_object, is_md5
from hearlab.versions.lock import listing, lock_stages, outs

MAKING = {"": "is being made"}  # the note of a stage that runs, or was killed

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    files = workspace(params)
    with making("prepare", files.clarity.metadata):
        if params.source == "demo":
            _make_demo(files, params)
        elif params.source == "own":
            _link_recordings(files.clarity, params)
        else:
            _link(files.clarity, params)
        _make_empty_folders(files.clarity)


@contextlib.contextmanager
def making(stage: str, folder: Path) -> Iterator[None]:
    """Inside the block a stage makes a folder: it is checked before and noted after.

    Raises:
        InputError: see `check_unedited`.
    """
    noted = _made(stage, folder)
    check_unedited(stage, folder)
    before = _files_in(folder)
    try:
        yield
    except BaseException:
        if _files_in(folder) == before:  # it failed before it made anything: later edits are still edits
            _write_note(stage, folder, noted)
        raise
    _write_note(stage, folder, _files_in(folder))


def check_unedited(stage: str, folder: Path) -> None:
    """What a stage would overwrite in a folder is what it made: an edit by hand is not lost in silence.

    Of other outputs DVC removes what has changed before the stage is started.

    Raises:
        InputError: a file is other than the stage has last made it, by its note of that or by dvc.lock.
    """
    cache = cache_folder(Path())
    noted = _made(stage, folder)
    known = set(noted.values())
    made = outs(lock_stages(Path()).get(stage, {})).get(folder.as_posix(), "")
    if cache is not None and is_md5(made.removesuffix(".dir")):
        with contextlib.suppress(OSError):
            known |= set(listing(cached_object(cache, made).read_bytes()).values())
    # A run that was killed has left new files beside the note of old ones.
    for path in sorted(folder.rglob("*")) if known and noted != MAKING else ():
        if not path.is_file() or (md5 := md5_of(path)) in known:
            continue
        if cache is None or not cached_object(cache, md5).exists():  # one of another revision is not lost
            raise InputError(
                path,
                f"was changed by hand, and {stage} would overwrite it",
                advice=f"move it away (docs/own-data.md), or take the change back: dvc checkout {folder}",
            )
    _write_note(stage, folder, MAKING)


def _files_in(folder: Path) -> dict[str, str]:
    """The md5 of each file, by its path in the folder."""
    return {path.relative_to(folder).as_posix(): md5_of(path) for path in folder.rglob("*") if path.is_file()}


def _write_note(stage: str, folder: Path, files: dict[str, str]) -> None:
    with done_without(_note(stage, folder)):
        write_json(_note(stage, folder), files)


def _made(stage: str, folder: Path) -> dict[str, str]:
    with contextlib.suppress(InputError):
        noted = read_json(_note(stage, folder))
        if isinstance(noted, dict):
            return {str(name): str(md5) for name, md5 in noted.items()}
    return {}


def _note(stage: str, folder: Path) -> Path:
    return Path(FOLDER) / "made" / f"{stage}.{'.'.join(folder.parts[1:2])}.json"


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
        demo.make_demo(
            staging,
            params.data_seed,
            dev_scenes=splits.dev.scenes,
            train_scenes=splits.train.scenes,
            threads=worker_count(),
        )
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


def _link_recordings(data: ClarityData, params: Params) -> None:
    """The user's recordings of speech as scenes of the split dev, heard by each of the listeners."""
    description = description_folder(Path(), params.dataset)
    files = [file for file in read_files(description) if file.track == SPEECH]
    names = {file: f"dev/scenes/{file.file}" for file in files}
    link_own(data.root, SPEECH_FOLDERS, names, params)
    listeners = load_listeners(description / LISTENERS)
    scenes = scene_list(params.dataset, files)
    write_json(data.listeners, {name: listener.as_entry() for name, listener in listeners.items()})
    write_json(data.hrir_metadata, {})  # nothing is rendered
    write_json(data.metadata / "scenes.dev.json", scenes)
    write_json(data.scenes_listeners("dev"), {scene["scene"]: list(listeners) for scene in scenes})


def link_own(data: Path, folders: Sequence[str], names: Mapping[SoundFile, str], params: Params) -> None:
    """Link to recordings, and make those that are in another form than the stages read.

    Args:
        data: the data root.
        folders: of that data root, which are made anew.
        names: of the files, below it.
        params: the parameters.

    Raises:
        InputError: recordings are missing, or have changed since they were imported: a line for each.
    """
    notes, faults, linked = Notes(Path(FOLDER) / "recordings.txt"), [], []
    progress = ByteProgress()
    recordings = {file.source: file for file in names if file.source != SUM}
    for source, file in recordings.items():
        advice = f"import it again: hearlab data import {params.dataset} ... --replace"
        elsewhere = "in a clone without the recordings `dvc checkout` brings what was made of them (docs/own-data.md); "
        try:
            status = os.stat(source)
            md5 = notes.md5(source, status) or notes.read(source, source)
        except OSError as error:
            found = error.strerror
            faults.append(InputError(source, "the recording cannot be read", found=found, advice=elsewhere + advice))
            continue
        if md5 != file.md5:
            faults.append(InputError(source, "the recording has changed since it was imported", advice=advice))
    notes.save()
    raise_all(faults)
    for file, name in names.items():
        if not is_converted(file):
            place = _on_this_disk(file.source, data, name, params)
            linked.append(OutsideFile(name, place, os.stat(place), file.md5))
    link_outputs(Path(), data, folders, linked)
    stems = {(file.name, file.signal): file for file in names if file.track == MUSIC}
    for file, name in names.items():
        if file.source == SUM:
            own = {signal: stem for (song, signal), stem in stems.items() if song == file.name}
            write_converted(data / name, mixture_of(own))
        elif is_converted(file):
            write_converted(data / name, converted(file))
    made = len(names) - len(linked)
    progress.message(f"{data}: {len(linked)} recordings linked, {made} files made of others")


def _on_this_disk(source: str, data: Path, name: str, params: Params) -> str:
    """The recording; or a link to it in the packages' home, as DVC's cache may have it, if it is on another disk."""
    folder = Memo(Path(), journal=False).store.folder
    cache = next(place for place in (folder, *folder.parents) if place.is_dir())
    if os.stat(source).st_dev == os.stat(cache).st_dev:
        return os.path.realpath(source)
    place = packages_home(Path(), params.dataset).folder / data.name / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        place.unlink()
    place.symlink_to(os.path.realpath(source))
    return os.fspath(place)


def _make_empty_folders(data: ClarityData) -> None:
    """dvc.yaml names the folders of all packages."""
    for folder in SPEECH_FOLDERS:
        (data.root / folder).mkdir(parents=True, exist_ok=True)
