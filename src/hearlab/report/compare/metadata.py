"""Groups of scenes and listeners that scores are compared in: SNR bands, interferers, grades of hearing loss."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hearlab.datasets.layout import Workspace
from hearlab.errors import InputError
from hearlab.listeners import Listener, listener_from_entry
from hearlab.params import flat
from hearlab.report.compare.origins import DATA, PARAMS_FILE
from hearlab.scores.groups import GRADES, SNR_BANDS, UNKNOWN, grade, snr_band
from hearlab.scores.table import Metric
from hearlab.versions.revisions import Files, WorkspaceFiles, read_yaml

INTERFERERS = ("speech", "noise", "music")

__all__ = [
    "GRADES",
    "INTERFERERS",
    "INTERFERER_ROWS",
    "SNR_BANDS",
    "UNKNOWN",
    "Metadata",
    "find_metadata",
    "grade",
    "interferer_types",
    "snr_band",
]

Readers: TypeAlias = dict[str, Callable[[], bytes | None]]


@dataclass(frozen=True)
class Metadata:
    """What is known of the scenes and listeners of a comparison.

    Attributes:
        scenes: scene -> its entry in the scene list; empty if unknown.
        listeners: id -> listener; empty if unknown.
        sources: the files that say so.
        missing: tables that cannot be made, and why.
    """

    scenes: dict[str, dict[str, Any]]
    listeners: dict[str, Listener]
    sources: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


def find_metadata(
    root: Path,
    metric: Metric,
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
        metric: with scenes, or with songs (which have no scene list).
        clusters, listeners: names that must all be known.
        files: of a result; if given, only its own data set and scenes are looked at.
        folder: look only here, for scenes.*.json and listeners.json.
    """
    places = _places(root, files, folder)
    missing = []
    scenes: dict[str, dict[str, Any]] = {}
    scene_list = None
    if metric.cluster == "scene":
        scenes, scene_list, problem = _first("scene list", [p.scenes for p in places], _scenes, set(clusters))
        if problem:
            missing += [("snr", f"no table by SNR: {problem}"), ("interferers", f"no table by interferers: {problem}")]
    lists = [place.scene_listeners if metric.cluster == "scene" else place.song_listeners for place in places]
    people, audiograms, problem = _first("listeners file", lists, _listeners, set(listeners))
    if problem:
        missing.append(("severity", f"no table by hearing loss: {problem}"))
    return Metadata(scenes, people, tuple(name for name in (scene_list, audiograms) if name), tuple(missing))


def interferer_types(scene: dict[str, Any]) -> str:
    """Types of a scene's interferers, such as 'noise' or 'speech + music'."""
    entries = scene.get("interferers")
    types = {entry.get("type") for entry in entries if isinstance(entry, dict)} if isinstance(entries, list) else set()
    return " + ".join(kind for kind in INTERFERERS if kind in types) or UNKNOWN


INTERFERER_ROWS = (
    *INTERFERERS,
    *("speech + noise", "speech + music", "noise + music", "speech + noise + music"),
    UNKNOWN,
)


@dataclass(frozen=True)
class _Place:
    """Where metadata may lie: name of a file -> how to read it, by what it tells."""

    scenes: Readers
    scene_listeners: Readers
    song_listeners: Readers


def _places(root: Path, files: Files | None, folder: Path | None) -> list[_Place]:
    if folder is not None:
        listeners = _found(folder, "listeners*.json")
        return [_Place(_found(folder, "scenes.*.json"), listeners, listeners)]
    if files is None:
        return [_workspace_place(Workspace(path), root) for path in _data_sets(root)]
    params = flat(read_yaml(files.read(PARAMS_FILE)))
    data = Workspace(Path(DATA) / str(params.get("dataset")))

    def one(path: Path) -> Readers:
        return {path.as_posix(): partial(files.read, path.as_posix())}

    scenes = one(data.scenes(str(params.get("evaluate.split"))))
    song_listeners = one(data.cadenza.listeners(str(params.get("evaluate.song_listeners"))))
    return [_Place(scenes, one(data.clarity.listeners), song_listeners)]


def _workspace_place(data: Workspace, root: Path) -> _Place:
    scenes = {**_found(data.root / "scene_lists", "scenes.*.json", root)}
    scenes |= _found(data.clarity.metadata, "scenes.*.json", root)
    own = _found(data.clarity.metadata, data.clarity.listeners.name, root)
    return _Place(scenes, own, _found(data.cadenza.metadata, "listeners.*.json", root))


def _found(folder: Path, pattern: str, root: Path | None = None) -> Readers:
    paths = sorted(folder.glob(pattern))
    return {(path.relative_to(root) if root else path).as_posix(): path.read_bytes for path in paths}


def _data_sets(root: Path) -> list[Path]:
    """Folders of data sets, the one that params.yaml names first."""
    params = read_yaml(WorkspaceFiles(root).read(PARAMS_FILE))
    chosen = params.get("dataset") if isinstance(params, dict) else None
    folders = sorted(path for path in (root / DATA).glob("*") if path.is_dir())
    return sorted(folders, key=lambda path: path.name != chosen)


def _scenes(content: Any) -> dict[str, Any]:
    return {entry["scene"]: entry for entry in content if isinstance(entry, dict) and "scene" in entry}


def _listeners(content: Any) -> dict[str, Any]:
    return {identity: listener_from_entry(identity, entry) for identity, entry in content.items()}


def _first(
    kind: str, places: Iterable[Readers], parse: Callable[[Any], dict[str, Any]], names: set[str]
) -> tuple[dict[str, Any], str | None, str]:
    """The first file that knows all names: its content, its name, and (if there is none) why in words."""
    best, known = None, 0
    for name, read in (item for place in places for item in place.items()):
        try:
            content = parse(json.loads(read() or b"null"))
        except (InputError, OSError, ValueError, TypeError, AttributeError):
            continue  # not there or damaged: another one may do, and that nothing was found is said
        found = len(names & content.keys())
        if found == len(names):
            return {name: content[name] for name in names}, name, ""
        if found > known:
            best, known = name, found
    if best is None:
        return {}, None, f"no {kind} knows its names (--metadata FOLDER says where one is)"
    return {}, None, f"no {kind} knows all names ({best} knows {known} of {len(names)})"
