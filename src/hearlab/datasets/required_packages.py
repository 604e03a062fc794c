"""Which packages of the challenge a stage lacks, said in one line before the stage starts."""

from __future__ import annotations

from pathlib import Path

from hearlab.datasets.layout import DATA, SOURCE_SPLIT, ClarityData, Workspace
from hearlab.datasets.packages import Package, load_catalogue, packages_home
from hearlab.datasets.packages.file_checks import holds_files
from hearlab.errors import InputError
from hearlab.params import EVAL, PREPARING, Params


def require(params: Params, stage: str) -> None:
    """Check that each folder that a stage needs of the challenge's packages holds something.

    Raises:
        InputError: one line that names the stage, the empty folders and the packages that hold them.
    """
    # The demo is made, own data are linked by `prepare`: the unit that needs a file says that it is missing.
    if params.source != "packages":
        return
    root, folders = _needed_folders(params, stage)
    home = packages_home(Path(), params.dataset)
    place = home.folder / root.name if stage in PREPARING else root
    missing = {folder: _package_of(root.name, folder) for folder in folders if not holds_files(place / folder)}
    if not missing:
        return
    names = list(dict.fromkeys(package.name for package in missing.values() if package))
    if names:
        advice = f"hearlab data fetch {names[0]}, then hearlab data unpack {names[0]} (docs/full-data.md)"
    else:
        advice = f"put the files there, below {home.folder / root.name} (docs/full-data.md)"
    if all(holds_files(home.folder / root.name / folder) for folder in missing):
        linking = "prepare" if root.name == "clarity_data" else "prepare_music"
        advice = f"it was unpacked after {linking} ran: dvc repro --force --single-item {linking}, then again"
    raise InputError(
        place,
        f"{stage} needs the package{'s' * (len(names) > 1)} {' and '.join(names) or 'of its split'}",
        found=f"no {', no '.join(missing)}",
        advice=advice,
    )


def check_split(params: Params) -> None:
    """The metadata of the packages name the pairs of `evaluate.split`, where they are here.

    Raises:
        InputError: they do not, so that there is nothing to evaluate.
    """
    if params.source != "packages":
        return
    metadata = ClarityData(packages_home(Path(), params.dataset).folder / "clarity_data").metadata
    pairs = ClarityData(metadata.parent).scenes_listeners(params.evaluate.split)
    if holds_files(metadata) and not pairs.exists():
        found, advice = (
            f"no {pairs.name}",
            f"unpack the package of {params.evaluate.split}, or set another evaluate.split",
        )
        raise InputError(metadata, "names no pairs of evaluate.split", found=found, advice=advice)


def lacking(params: Params, stage: str) -> dict[str, Package | None]:
    """The folders that a stage needs of the challenge's packages and that hold nothing, each with its package.

    None of the demo's and of own data sets. What is unpacked in the packages' home counts as there, since `prepare`
    links to it.

    Args:
        params: the parameters.
        stage: its name in dvc.yaml, such as 'render_scenes@train'.
    """
    if params.source != "packages":
        return {}
    root, folders = _needed_folders(params, stage)
    places = [packages_home(Path(), params.dataset).folder / root.name, *([] if stage in PREPARING else [root])]
    return {
        folder: _package_of(root.name, folder)
        for folder in folders
        if not any(holds_files(place / folder) for place in places)
    }


def _needed_folders(params: Params, stage: str) -> tuple[Path, tuple[str, ...]]:
    """What a stage reads of the packages: the data root, and the folders below it, with '/'."""
    files = Workspace(Path(DATA) / params.dataset)
    name, _, split = stage.partition("@")
    source = SOURCE_SPLIT.get(split, split)
    if name == "prepare":
        return files.clarity.root, ("metadata", "hrir")
    if name == "prepare_music":
        return files.cadenza.root, ("task1/metadata/musdb18hq", "task1/audio/musdb18hq")
    if name == "build_scenes" and split != EVAL and getattr(params.data.splits, split).rooms:
        return files.clarity.root, (f"{source}/rooms/rpf",)
    if name == "render_scenes" and (split == EVAL or params.scene_count(split)):
        if params.scene_source(split) == "packaged":
            return files.clarity.root, (f"{split}/scenes",)
        parts = ("rooms/HOA_IRs", "targets", "interferers")
        return files.clarity.root, ("hrir", *(f"{source}/{part}" for part in parts))
    return files.clarity.root, ()


def absent(root: Path) -> list[Package]:
    """The packages of a data root of which no folder holds anything; those that may be left out are not counted."""
    return [
        package
        for package in load_catalogue().values()
        if package.root == root.name
        and not package.optional
        and not any(holds_files(root / folder) for folder in package.holds)
    ]


def _package_of(root: str, folder: str) -> Package | None:
    """The package that holds a folder of the data root `clarity_data` or `cadenza_data`."""
    for package in load_catalogue().values():
        if package.root != root or package.optional:
            continue
        if any(f"{held}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{held}/") for held in package.holds):
            return package
    return None
