"""`hearlab data`: the challenges' packages, fetched, unpacked and checked, and data sets of one's own recordings."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearlab.commands import Commands
    from hearlab.datasets.own.importing import Imported
    from hearlab.datasets.packages import Package, PackageFolders

DATASET = "clarity"
SHOWN = 20  # wrong files that are named


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "data", help="your own recordings: import; the challenges' packages: fetch, unpack, check; status"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    fetch = actions.add_parser(
        "fetch",
        help="download a package, or go on where a download was cut",
        description="The secret of a private link can be put into HEARLAB_HTTP_HEADERS (lines of 'Name: value').",
    )
    fetch.add_argument("package", metavar="PACKAGE", help="its name in `hearlab data status`, or its file name")
    fetch.add_argument(
        "address", metavar="ADDRESS", nargs="?", help="http(s)://, file:// or a path; ends in / if a folder"
    )
    fetch.add_argument("--checksum", help="md5:... or sha256:..., instead of the published one")
    fetch.add_argument("--any-size", action="store_true", help="take it even if its size is not the published one")
    fetch.add_argument("--connections", type=int, default=4, help="ranges fetched side by side (default: 4)")
    fetch.set_defaults(run=_fetch)

    unpack = actions.add_parser("unpack", help="unpack fetched packages, or go on where that was cut")
    unpack.add_argument("packages", metavar="PACKAGE", nargs="+")
    unpack.add_argument("--archive", type=Path, help="the archive, if it is not where fetch puts it")
    unpack.add_argument("--repair", action="store_true", help="write missing and altered files again")
    unpack.add_argument("--overwrite", action="store_true", help="replace files that are there and differ")
    unpack.set_defaults(run=_unpack)

    check = actions.add_parser(
        "check", help="compare unpacked files with their receipt: missing, truncated, altered, surplus"
    )
    check.add_argument("packages", metavar="PACKAGE", nargs="*", help="default: all that are there")
    check.add_argument("--deep", action="store_true", help="read every byte")
    check.set_defaults(run=_check)

    compare = actions.add_parser(
        "compare",
        help="the packages' rendered scenes beside our own rendering, sample by sample",
        description="Needs scenes that were rendered here: dvc exp run -S dataset=clarity -S render.source=rendered "
        "render_scenes@dev.",
    )
    compare.add_argument("--split", choices=("train", "dev"), default="dev", help="default: dev")
    compare.add_argument("--scenes", type=int, metavar="N", help="compare N scenes, evenly chosen (default: all)")
    compare.add_argument("--packaged", type=Path, metavar="FOLDER", help="default: clarity_data/SPLIT/scenes")
    compare.add_argument("--rendered", type=Path, metavar="FOLDER", help="default: rendered/SPLIT")
    compare.add_argument("--json", action="store_true", help="print it as JSON")
    compare.set_defaults(run=_compare)

    own = actions.add_parser(
        "import",
        help="make a data set of your own recordings",
        description="Checks the files, describes the data set in datasets/NAME and names it in params.yaml; the "
        "recordings are linked, not copied. Then -S dataset=NAME works everywhere (docs/own-data.md).",
    )
    own.add_argument("name", metavar="NAME", help="of the data set: letters, digits, - and _")
    own.add_argument(
        "--mixtures", type=Path, metavar="DIR", help="noisy speech: NAME.wav or NAME_CH1.wav, ...; or FLAC"
    )
    own.add_argument("--references", type=Path, metavar="DIR", help="clean speech, with the same names")
    own.add_argument(
        "--targets", type=Path, metavar="DIR", help="clean speech at the front microphones, whose level references get"
    )
    own.add_argument("--songs", type=Path, metavar="DIR", help="folders of vocals, drums, bass, other (and mixture)")
    people = own.add_mutually_exclusive_group(required=True)
    people.add_argument("--listeners", type=Path, metavar="FILE", help="listeners.json, a table, or a folder of such")
    people.add_argument(
        "--audiogram",
        action="append",
        default=[],
        metavar="NAME=LEVELS",
        help="a listener: levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz of both ears, such as "
        "A=20,20,30,40,50,60, or of left/right; once for each",
    )
    own.add_argument("--microphones", metavar="LIST", help="pairs in a file of several, such as CH1,CH3")
    own.add_argument("--replace", action="store_true", help="describe a data set of that name anew")
    own.set_defaults(run=_import)

    status = actions.add_parser("status", help="what is here of each package, and the data sets of your own")
    status.set_defaults(run=_status)
    for action in (fetch, unpack, check, status):
        action.add_argument("--catalogue", type=Path, help="a packages.toml of your own, read on top of HearLab's")
        action.add_argument(
            "--archives", type=Path, help="the folder of the archives (default: packages/ in the packages' home)"
        )


def _catalogue(options: argparse.Namespace, *, written: bool = False) -> tuple[dict[str, Package], PackageFolders]:
    """The packages and their folders; says where these are."""
    from hearlab.datasets.packages import PackageFolders, load_catalogue, packages_home
    from hearlab.versions.dvc_files import cache_folder, link_types

    root = Path.cwd()
    catalogue, home = load_catalogue(options.catalogue), packages_home(root, DATASET)
    if written:
        home.make()
    print(f"packages: {home}")
    if home.warning:
        print(f"WARNING: {home.warning}", file=sys.stderr)
    folders = PackageFolders.of(
        home.folder, archives=options.archives, cache=cache_folder(root), link_types=link_types(root)
    )
    return catalogue, folders


def _fetch(options: argparse.Namespace) -> None:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.datasets.packages import Connection, fetch, find_package, parse_checksum
    from hearlab.progress import ByteProgress
    from hearlab.text import size_text

    catalogue, folders = _catalogue(options, written=True)
    with sigterm_interrupts():
        fetched = fetch(
            find_package(catalogue, options.package),
            folders,
            options.address,
            checksum=parse_checksum(options.checksum) if options.checksum else None,
            any_size=options.any_size,
            connection=Connection(headers=_headers(), parallel=options.connections),
            progress=ByteProgress(),
        )
    how = "checksum as published" if fetched.verified else f"md5 {fetched.md5}, no published checksum to compare with"
    print(f"{fetched.path}: {size_text(fetched.size)}, {how}")


def _headers() -> dict[str, str]:
    lines = os.environ.get("HEARLAB_HTTP_HEADERS", "").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines if ":" in line)}


def _unpack(options: argparse.Namespace) -> None:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.datasets.packages import find_package, unpack
    from hearlab.progress import ByteProgress
    from hearlab.text import size_text

    catalogue, folders = _catalogue(options, written=True)
    for name in options.packages:
        with sigterm_interrupts():
            done = unpack(
                package := find_package(catalogue, name),
                folders,
                archive=options.archive,
                repair=options.repair,
                overwrite=options.overwrite,
                progress=ByteProgress(),
            )
        print(f"{done.package}: {done.files} files, {size_text(done.size)} in {done.root}; {done.written} written now")
        _notes(done.notes)
        _link_again(package, done.written)


def _link_again(package: Package, written: int) -> None:
    """DVC does not look at the packages: the stage that links to them has to run after each that is unpacked."""
    from hearlab.datasets.layout import DATA, Workspace
    from hearlab.datasets.packages.file_checks import holds_files
    from hearlab.versions.lock import forget_stage

    files = Workspace(Path(DATA) / DATASET)
    stage, data = {
        "clarity_data": ("prepare", files.clarity.root),
        "cadenza_data": ("prepare_music", files.cadenza.root),
    }[package.root]
    linked = all(holds_files(data / folder) for folder in package.holds)
    if (written or not linked) and forget_stage(Path.cwd(), stage, data.as_posix()):
        print(f"{stage} runs again with the next dvc repro or dvc exp run, and links to the files")


def _check(options: argparse.Namespace) -> int:
    from hearlab.datasets.packages import check, find_package
    from hearlab.progress import ByteProgress

    catalogue, folders = _catalogue(options)
    packages = [find_package(catalogue, name) for name in options.packages] or list(catalogue.values())
    wrong = False
    for package in packages:
        state = check(package, folders, deep=options.deep, progress=ByteProgress())
        if state.state == "absent" and not options.packages:
            continue
        print(state)
        for problem in state.problems[:SHOWN]:
            print(f"  {problem}")
        if len(state.problems) > SHOWN:
            print(f"  and {len(state.problems) - SHOWN} more")
        _notes(state.notes)
        wrong |= not state.usable
    return 1 if wrong else 0


def _notes(notes: list[Any]) -> None:
    for note in notes:
        print(f"  note: {note}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    from hearlab.compute.process import worker_count
    from hearlab.datasets.layout import Workspace
    from hearlab.report.compare.scenes import compare_scenes, comparison_text

    files = Workspace(Path("data") / DATASET)
    found = compare_scenes(
        options.packaged or files.clarity.scenes(options.split),
        options.rendered or files.rendered(options.split),
        count=options.scenes,
        workers=worker_count(),
    )
    print(json.dumps(asdict(found), indent=1) if options.json else comparison_text(found))


def _import(options: argparse.Namespace) -> None:
    from hearlab.datasets.layout import CHANNELS
    from hearlab.datasets.own.importing import import_data
    from hearlab.errors import ParameterError
    from hearlab.versions.dvc_state import keep_linked

    pairs = options.microphones.split(",") if options.microphones else None
    if pairs is not None and (len(set(pairs)) < len(pairs) or not set(pairs) <= set(CHANNELS)):
        wanted = f"some of {','.join(CHANNELS)}"
        raise ParameterError(
            "--microphones", "is no list of microphone pairs", found=options.microphones, wanted=wanted
        )
    done = import_data(
        Path.cwd(),
        options.name,
        listeners=options.listeners,
        audiograms=options.audiogram,
        mixtures=options.mixtures,
        references=options.references,
        targets=options.targets,
        songs=options.songs,
        microphones=pairs,
        replace=options.replace,
    )
    # With another data set DVC would remove what it has linked of the one before, the demo's trained networks too.
    keep_linked(Path.cwd(), "data")
    print(f"{done.folder.relative_to(Path.cwd())}: {_own_text(done)}")
    print(
        "prepare makes the recordings read-only: DVC's cache links to them. To change one, replace it and import again."
    )
    print(f"next: git add {done.folder.relative_to(Path.cwd())} params.yaml, and dvc exp run -S dataset={done.name}")


def _own_text(own: Imported) -> str:
    """What a data set of one's own is made of, in a line; a mixture that is a sum of stems is no file of the user's."""
    from hearlab.datasets.own.description import SUM
    from hearlab.datasets.own.importing import imported_text

    recorded = tuple(file for file in own.files if file.source != SUM)
    summed = len(own.files) - len(recorded)
    text = imported_text(replace(own, files=recorded))
    return text + (
        f"; the mixture of {summed} song{'s' * (summed != 1)} will be the sum of the stems" if summed else ""
    )


def _status(options: argparse.Namespace) -> None:
    from hearlab.datasets.own.description import FILES, FOLDER
    from hearlab.datasets.packages import status

    catalogue, folders = _catalogue(options)
    for package in catalogue.values():
        print(status(package, folders))
    for path in sorted(Path(FOLDER).glob(f"*/{FILES}")):
        print(f"your own: {_own_status(path.parent)}")


def _own_status(folder: Path) -> str:
    """A data set of one's own: what it is made of, and whether the recordings are there."""
    from hearlab.datasets.own.description import LISTENERS, SUM, read_files
    from hearlab.datasets.own.importing import Imported
    from hearlab.errors import InputError
    from hearlab.listeners import load_listeners

    try:
        files, people = read_files(folder), load_listeners(folder / LISTENERS)
    except InputError as error:
        return str(error)
    text = _own_text(Imported(folder.name, folder, tuple(files), people, {}, replaced=False))
    recorded = {file.source for file in files if file.source != SUM}
    if gone := sum(not Path(source).is_file() for source in recorded):
        is_or_are = "is not where it was" if gone == 1 else "are not where they were"
        text += f"; {gone} of {len(recorded)} recordings {is_or_are} imported from"
    return f"{folder}: {text}"
