"""What is known of the scenes and listeners that were scored: scene lists and audiograms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hearlab.datasets.layout import DATA, Workspace
from hearlab.datasets.scene_lists import scenes_by_name
from hearlab.errors import InputError
from hearlab.files import parse_json, parse_yaml, read_bytes
from hearlab.listeners import Listener, parse_listeners
from hearlab.params import PARAMS_FILE, flat
from hearlab.scoring.tracks import Track
from hearlab.versions.revisions import Files, WorkspaceFiles

Readers: TypeAlias = list[tuple[str, Callable[[], bytes | None]]]
"""Files that may hold metadata: name, and how to read it."""


@dataclass(frozen=True)
class Metadata:
    """What is known of the scenes and listeners of a comparison.

    Attributes:
        scenes: scene -> its entry in the scene list; empty if unknown.
        listeners: id -> listener; empty if unknown.
        sources: the files that say so.
        missing: (grouping, why its table cannot be made).
    """

    scenes: dict[str, dict[str, Any]]
    listeners: dict[str, Listener]
    sources: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


def metadata_files(track: Track, values: Mapping[str, Any]) -> tuple[Path | None, Path]:
    """The scene list (none for songs) and the listeners file of a result, relative to the root.

    Args:
        track: what was scored.
        values: the parameters that the result was made with, with dotted names.
    """
    data = Workspace(Path(DATA) / str(values.get("dataset")))
    own = values.get("evaluate.listeners")
    people = Path(own) if isinstance(own, str) else None
    if track.cluster == "scene":
        return data.scenes(str(values.get("evaluate.split"))), people or data.clarity.listeners
    return None, people or data.cadenza.listeners(str(values.get("evaluate.song_listeners")))


def find_metadata(
    root: Path,
    track: Track,
    clusters: Iterable[str],
    listeners: Iterable[str],
    *,
    files: Files | None = None,
    folder: Path | None = None,
) -> Metadata:
    """Scene list and audiograms of a comparison, from the first place that knows all of its scenes or listeners.

    Names such as S06001 stand for other scenes in another data set, so a list that knows only some of them is not used.

    Args:
        root: the workspace; data sets lie in its folder `data`, that of params.yaml first.
        track: with scenes, or with songs (which have no scene list).
        clusters, listeners: names that must all be known.
        files: of a result; if given, only its own data set and scenes are looked at.
        folder: look only here, for scenes.*.json and listeners.json.
    """
    missing = []
    scenes: dict[str, dict[str, Any]] = {}
    scene_list = None
    scene_lists, listener_files = _places(root, track, files, folder)
    if track.cluster == "scene":
        scenes, scene_list, problem = _first("scene list", scene_lists, _parse_scenes, set(clusters))
        if problem:
            missing += [("snr", f"no table by SNR: {problem}"), ("interferers", f"no table by interferers: {problem}")]
    people, audiograms, problem = _first("listeners file", listener_files, parse_listeners, set(listeners))
    if problem:
        missing.append(("severity", f"no table by hearing loss: {problem}"))
    return Metadata(scenes, people, tuple(name for name in (scene_list, audiograms) if name), tuple(missing))


def _places(root: Path, track: Track, files: Files | None, folder: Path | None) -> tuple[Readers, Readers]:
    """Where scene lists and listeners files may be, the most likely ones first."""
    if folder is not None:
        return _found(folder, "scenes.*.json"), _found(folder, "listeners*.json")
    if files is not None:
        values = flat(parse_yaml(files.read(PARAMS_FILE)))
        names = [path.as_posix() for path in metadata_files(track, values) if path is not None]
        readers: Readers = [(name, partial(files.read, name)) for name in names]
        return readers[:-1], readers[-1:]
    scenes: Readers = []
    listeners: Readers = []
    for data in map(Workspace, _data_sets(root)):
        scenes += _found(data.root / "scene_lists", "scenes.*.json", root)
        scenes += _found(data.clarity.metadata, "scenes.*.json", root)
        if track.cluster == "scene":
            listeners += _found(data.clarity.metadata, data.clarity.listeners.name, root)
        else:
            listeners += _found(data.cadenza.metadata, "listeners.*.json", root)
    return scenes, listeners


def _found(folder: Path, pattern: str, root: Path | None = None) -> Readers:
    paths = sorted(folder.glob(pattern))
    return [((path.relative_to(root) if root else path).as_posix(), partial(read_bytes, path)) for path in paths]


def _data_sets(root: Path) -> list[Path]:
    """Folders of data sets, the one that params.yaml names first."""
    chosen = flat(parse_yaml(WorkspaceFiles(root).read(PARAMS_FILE))).get("dataset")
    folders = sorted(path for path in (root / DATA).glob("*") if path.is_dir())
    return sorted(folders, key=lambda path: path.name != chosen)


def _parse_scenes(content: bytes, where: str) -> dict[str, dict[str, Any]]:
    return scenes_by_name(parse_json(content, where), where)


def _first(
    kind: str, places: Readers, parse: Callable[[Any, str], dict[str, Any]], names: set[str]
) -> tuple[dict[str, Any], str | None, str]:
    """The first file that knows all names: its content, its name, and (if there is none) why in words."""
    best, known = None, 0
    reason = "--metadata FOLDER says where one is"
    for name, read in places:
        try:
            bytes_found = read()
            content = parse(bytes_found, name) if bytes_found else {}
        except InputError as error:
            reason = str(error)
            continue  # another one may do
        except OSError:
            continue
        found = len(names & content.keys())
        if found == len(names):
            return {name: content[name] for name in names}, name, ""
        if found > known:
            best, known = name, found
    if best is None:
        return {}, None, f"no {kind} knows its names ({reason})"
    return {}, None, f"no {kind} knows all names ({best} knows {known} of {len(names)})"
