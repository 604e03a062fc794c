"""What the doctor says of the data set: the state of its packages, and whether the disks can hold what is to come."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from hearlab.datasets.layout import DATA, SAMPLE_RATE, Workspace
from hearlab.datasets.packages import (
    Package,
    PackageFolders,
    Status,
    disks,
    fetching_needs,
    load_catalogue,
    packages_home,
    status,
    unpacking_needs,
)
from hearlab.datasets.packages.file_checks import holds_files
from hearlab.datasets.packages.space import Need, device
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.params import Params
from hearlab.report.doctor.finding import Finding
from hearlab.text import size_text
from hearlab.versions.dvc_files import cache_folder, link_types

LEAST_FREE = 5 << 30
# For the room that the stages' outputs take, about.
STEREO = 2 * 2  # bytes of a sample of both channels with 16 bits
SIGNALS_PER_SCENE = 15  # as many stereo signals as a scene's files weigh: 3 x 4 channels, reference, head track
TARGET_SECONDS = 3.0
LISTENERS_PER_SCENE = 3
SONG_SECONDS = 240.0
SEPARATED = 4 * 2 * 4 * SAMPLE_RATE  # bytes a second of a song: four stems of 32-bit floats
ENHANCED_MUSIC = 362_000  # bytes a second of a song and listener: eight stems and the remix in FLAC, as in the demo

State = tuple[Package, Status | InputError]  # a package, and its state or why that cannot be read


def data_findings(root: Path, params: Params | None) -> Iterator[Finding]:
    """The state of the chosen data set, and free space against what is still to be fetched, unpacked and made."""
    needs: list[Need] = []
    if params is not None:
        if params.source != "packages":
            yield from _made_here(root, params.dataset)
        else:
            needs += yield from _packages(root, params.dataset)
        needs += _stage_needs(root, params)
    yield from _disks(root, needs)


def _packages(root: Path, dataset: str) -> Generator[Finding, None, list[Need]]:
    """Where the packages are, and what of them is there; returns what they still need."""
    try:
        home = packages_home(root, dataset)
    except InputError as error:
        yield Finding("packages", "error", str(error))
        return []
    yield Finding("packages", "warning" if home.warning else "ok", str(home), home.warning)
    folders = PackageFolders.of(home.folder, cache=cache_folder(root), link_types=link_types(root))
    states = _package_states(folders)
    yield from (_package_finding(package, state) for package, state in states)
    return list(_package_needs(states, folders))


def _made_here(root: Path, dataset: str) -> Iterator[Finding]:
    """Of the demo and of own data sets, whose recordings prepare links to."""
    files = Workspace(root / DATA / dataset)
    advice = "make demo makes it" if dataset == "demo" else "dvc repro links to the recordings"
    for subject, folder in (("speech data", files.clarity.metadata), ("music data", files.cadenza.metadata)):
        if folder.is_dir():
            yield Finding(subject, "ok", f"{folder.relative_to(root)} is there")
        else:
            yield Finding(subject, "warning", f"no {folder.relative_to(root)}", advice)


def _package_states(folders: PackageFolders) -> list[State]:
    """The packages that the stages need; of those that hold the same, one that is usable, or else there at all."""
    found: dict[str, State] = {}
    for package in load_catalogue().values():
        if package.optional:
            continue
        try:
            state: Status | InputError = status(package, folders)
        except InputError as error:
            state = error
        other = next((name for name in package.instead if name in found), None)
        if other is None:
            found[package.name] = (package, state)
        elif isinstance(state, Status) and state.state != "absent":
            before = found[other][1]
            if isinstance(before, InputError) or not before.usable:
                found[other] = (package, state)
    return list(found.values())


def _package_finding(package: Package, state: Status | InputError) -> Finding:
    subject = f"{package.track} data"
    if isinstance(state, InputError):
        return Finding(subject, "error", f"{package.name}: {state}", f"hearlab data check {package.name}")
    if state.usable:
        return Finding(subject, "ok", str(state))
    if state.problems or state.notes:
        wrong = str(state.problems[0]) if state.problems else state.notes[0]
        advice = f"hearlab data check {package.name}, then hearlab data unpack --repair {package.name}"
        return Finding(subject, "error", f"{state}: {wrong}", advice)
    advice = f"hearlab data fetch {package.name}{'' if package.address else ' ADDRESS'}"
    if state.state in ("fetched", "partly unpacked"):
        advice = f"hearlab data unpack {package.name}"
    text = f"{state}; needed for {', '.join(package.needed_for)}"
    return Finding(subject, "warning", text, f"{advice}, see docs/full-data.md")


def _package_needs(states: Sequence[State], folders: PackageFolders) -> Iterator[Need]:
    for package, state in states:
        if isinstance(state, InputError) or state.usable or state.state == "damaged":
            continue
        if state.archive is None and state.state != "partly unpacked":
            needs = fetching_needs(package, folders, None, state.fetched)
        else:
            needs = unpacking_needs(package, folders, state.size)
        yield from (Need(package.name, need.folder, need.bytes, need.about) for need in needs)


def _stage_needs(root: Path, params: Params) -> Iterator[Need]:
    """What the stages have still to write; links to the cache take nothing."""
    files = Workspace(root / DATA / params.dataset)
    evaluate, data = params.evaluate, params.data
    margins = (sum(data.pre_samples_range) + sum(data.post_samples_range)) / 2
    signal = (TARGET_SECONDS * SAMPLE_RATE + margins) * STEREO
    outputs = [
        (f"rendered {split} scenes", files.rendered(split), params.scene_count(split) * SIGNALS_PER_SCENE * signal)
        for split in ("train", "dev")
    ]
    pairs = params.scene_count(evaluate.split) * LISTENERS_PER_SCENE
    outputs.append(("enhanced speech", files.enhanced, pairs * signal))
    songs = _length(files.cadenza.songs(evaluate.song_split))
    listeners = _length(files.cadenza.listeners(evaluate.song_listeners))
    if params.dataset == "clarity" and songs and listeners:  # before, their numbers are not known
        outputs.append(("separated songs", files.separated, songs * SONG_SECONDS * SEPARATED))
        outputs.append(("enhanced music", files.enhanced_music, songs * listeners * SONG_SECONDS * ENHANCED_MUSIC))
    for what, folder, size in outputs:
        if not holds_files(folder):
            yield Need(what, files.root, round(size), about=True)


def _length(path: Path) -> int:
    try:
        return len(read_json(path))
    except (InputError, TypeError):
        return 0


def _disks(root: Path, needs: Sequence[Need]) -> Iterator[Finding]:
    by_disk = {device(disk.folder): disk for disk in disks([need for need in needs if need.bytes])}
    cache = cache_folder(root)
    for name, folder in {"workspace": root, **({"DVC cache": cache} if cache else {})}.items():
        subject = f"disk of the {name}"
        disk = by_disk.pop(device(folder), None)
        if disk is None:
            free = shutil.disk_usage(folder).free
            advice = "hearlab memo gc and dvc gc make room" if free < LEAST_FREE else None
            yield Finding(subject, "warning" if advice else "ok", f"{size_text(free)} free", advice)
            continue
        sizes: Counter[str] = Counter()
        for need in disk.needs:
            sizes[need.what] += need.bytes
        parts = ", ".join(f"{what} {size_text(size)}" for what, size in sizes.items() if size > disk.needed // 1000)
        text = f"{size_text(disk.free)} free, about {size_text(disk.needed)} needed ({parts})"
        if disk.enough and disk.free - disk.needed >= min(LEAST_FREE, disk.reserve):
            yield Finding(subject, "ok", text)
        else:
            short = size_text(disk.needed + disk.reserve - disk.free)
            yield Finding(subject, "warning", text, f"{short} short: free some, or put data/ on another disk")
