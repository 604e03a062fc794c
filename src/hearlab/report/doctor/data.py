"""What the doctor says of the data set: how far its packages are, and whether the disks can hold what is to come."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.layout import SAMPLE_RATE, Workspace
from hearlab.datasets.packages import PackageFolders, load_catalogue, status
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.space import Need, device, disks, fetching_needs, unpacking_needs
from hearlab.datasets.packages.status import Status
from hearlab.errors import InputError
from hearlab.params import Params
from hearlab.report.doctor.finding import Finding
from hearlab.text import size_text
from hearlab.versions.dvc_files import cache_folder, link_types

DATA = "data"  # as in hearlab.stages.common, which takes long to import
LEAST_FREE = 5 << 30
# For the room that the stages' outputs take, about.
STEREO = 2 * 2  # bytes of a sample of both channels with 16 bits
SIGNALS_PER_SCENE = 15  # as many stereo signals as a scene's files weigh: 3 x 4 channels, reference, head track
TARGET_SECONDS = 3.0
LISTENERS_PER_SCENE = 3
SONG_SECONDS = 240.0
SEPARATED = 4 * 2 * 4 * SAMPLE_RATE  # bytes a second of a song: four stems of 32-bit floats
ENHANCED_MUSIC = 362_000  # bytes a second of a song and listener: eight stems and the remix in FLAC, as in the demo


@dataclass(frozen=True)
class Standing:
    """How far the packages of the data set are; of packages that hold the same, the one that is furthest.

    Attributes:
        found: status of each, or the line why it cannot be told.
    """

    places: PackageFolders
    found: tuple[tuple[Package, Status | InputError], ...]


def standing(root: Path) -> Standing:
    """Look at the packages that the stages need; unpacked files are compared by size."""
    files = Workspace(root / DATA / "clarity")
    places = PackageFolders.of(files, cache=cache_folder(root), link_types=link_types(root))
    catalogue = load_catalogue()
    found: dict[str, tuple[Package, Status | InputError]] = {}
    for package in catalogue.values():
        if package.optional:
            continue
        try:
            state: Status | InputError = status(package, places)
        except InputError as error:
            state = error
        other = next((name for name in package.instead if name in found), None)
        if other is None:
            found[package.name] = (package, state)
        elif isinstance(state, Status) and state.state != "absent" and not _usable(found[other][1]):
            found[other] = (package, state)
    return Standing(places, tuple(found.values()))


def package_findings(standing: Standing) -> Iterator[Finding]:
    """A line for each package."""
    for package, state in standing.found:
        subject = f"{package.track} data"
        if isinstance(state, InputError):
            yield Finding(subject, "error", f"{package.name}: {state}", f"hearlab data check {package.name}")
        elif state.usable:
            yield Finding(subject, "ok", str(state))
        elif state.problems or state.notes:
            wrong = str(state.problems[0]) if state.problems else state.notes[0]
            advice = f"hearlab data check {package.name}, then hearlab data unpack --repair {package.name}"
            yield Finding(subject, "error", f"{state}: {wrong}", advice)
        else:
            fetched = state.state in ("fetched", "partly unpacked")
            address = "" if package.address else " ADDRESS"
            advice = f"hearlab data unpack {package.name}" if fetched else f"hearlab data fetch {package.name}{address}"
            needed = f"needed for {', '.join(package.needed_for)}"
            yield Finding(subject, "warning", f"{state}; {needed}", f"{advice}, see docs/full-data.md")


def demo_findings(root: Path) -> Iterator[Finding]:
    """The demo is made on the spot."""
    files = Workspace(root / DATA / "demo")
    for subject, place in (("speech data", files.clarity.metadata), ("music data", files.cadenza.metadata)):
        if place.is_dir():
            yield Finding(subject, "ok", f"{place.relative_to(root)} is there")
        else:
            yield Finding(subject, "warning", f"no {place.relative_to(root)}", "make demo makes it")


def disk_findings(root: Path, params: Params | None, standing: Standing | None) -> Iterator[Finding]:
    """Free room against what the packages that are missing and the stages' outputs will take."""
    needs = [] if params is None else [*_package_needs(standing), *_stage_needs(root, params)]
    by_disk = {device(disk.folder): disk for disk in disks([need for need in needs if need.bytes])}
    cache = cache_folder(root)
    for name, place in {"workspace": root, **({"DVC cache": cache} if cache else {})}.items():
        subject = f"disk of the {name}"
        disk = by_disk.pop(device(place), None)
        if disk is None:
            free = shutil.disk_usage(place).free
            advice = "hearlab memo gc and dvc gc make room" if free < LEAST_FREE else None
            yield Finding(subject, "warning" if advice else "ok", f"{size_text(free)} free", advice)
            continue
        sizes: dict[str, int] = {}
        for need in disk.needs:
            sizes[need.what] = sizes.get(need.what, 0) + need.bytes
        parts = ", ".join(f"{what} {size_text(size)}" for what, size in sizes.items() if size > disk.needed // 1000)
        text = f"{size_text(disk.free)} free, about {size_text(disk.needed)} needed ({parts})"
        if disk.enough and disk.free - disk.needed >= min(LEAST_FREE, disk.reserve):
            yield Finding(subject, "ok", text)
        else:
            short = size_text(disk.needed + disk.reserve - disk.free)
            yield Finding(subject, "warning", text, f"{short} short: free some, or put data/ on another disk")


def _package_needs(standing: Standing | None) -> Iterator[Need]:
    for package, state in standing.found if standing else ():
        if isinstance(state, InputError) or state.usable or state.state == "damaged":
            continue
        if state.archive is None and state.state != "partly unpacked":
            needs = fetching_needs(package, standing.places, None, state.fetched)  # type: ignore[union-attr]
        else:
            needs = unpacking_needs(package, standing.places, state.size)  # type: ignore[union-attr]
        yield from (Need(package.name, need.folder, need.bytes, need.about) for need in needs)


def _stage_needs(root: Path, params: Params) -> Iterator[Need]:
    """What the stages have still to write; links to the cache take nothing."""
    files = Workspace(root / DATA / params.dataset)
    data = params.data
    margins = (sum(data.pre_samples_range) + sum(data.post_samples_range)) / 2
    signal = (TARGET_SECONDS * SAMPLE_RATE + margins) * STEREO
    for split in ("train", "dev"):
        if not _holds_files(files.rendered(split)):
            scenes = getattr(data.splits, split).scenes
            yield Need(f"rendered {split} scenes", files.root, round(scenes * SIGNALS_PER_SCENE * signal), True)
    if not _holds_files(files.enhanced):
        scenes = getattr(data.splits, params.evaluate.split).scenes
        yield Need("enhanced speech", files.root, round(scenes * LISTENERS_PER_SCENE * signal), True)
    songs, listeners = (
        _length(path)
        for path in (
            files.cadenza.songs(params.evaluate.song_split),
            files.cadenza.listeners(params.evaluate.song_listeners),
        )
    )
    if params.dataset == "clarity" and songs and listeners:  # before, their numbers are not known
        if not _holds_files(files.separated):
            yield Need("separated songs", files.root, round(songs * SONG_SECONDS * SEPARATED), True)
        if not _holds_files(files.enhanced_music):
            size = round(songs * listeners * SONG_SECONDS * ENHANCED_MUSIC)
            yield Need("enhanced music", files.root, size, True)


def _usable(state: Status | InputError) -> bool:
    return isinstance(state, Status) and state.usable


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _length(path: Path) -> int:
    try:
        return len(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0
