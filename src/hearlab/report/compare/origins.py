"""Whether two results were made on the same scenes with the same metric: what differs, and which scenes do."""

from __future__ import annotations

import json
from typing import Any

from hearlab.datasets.scene_lists import scenes_by_name
from hearlab.errors import InputError
from hearlab.files import parse_json, parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.scoring.metadata import metadata_files
from hearlab.scoring.tracks import Track
from hearlab.text import few
from hearlab.versions.lock import deps
from hearlab.versions.revisions import Files

SHOWN = 6  # parameters in a line
DIFFER = "parameters that differ"


def difference(track: Track, first: Files | None, second: Files | None) -> tuple[frozenset[str] | None, list[str]]:
    """Compare the makings of two results; nothing can be said where one of them is a bare table.

    Returns:
        Names that stand for different scenes in A and B (None if the results share no data set), and what must be said,
        one line each.
    """
    if first is None or second is None:
        return frozenset(), []
    one, two = map(parameters, (first, second))
    notes = []
    if found := changes(one, two):
        notes.append(f"{DIFFER}: {few(found, SHOWN)}")
    sets = one.get("dataset"), two.get("dataset")
    if sets[0] != sets[1]:
        return None, [*notes, f"A was scored on the data set {sets[0]}, B on {sets[1]}"]
    inputs = [_inputs(track, files) for files in (first, second)]
    other = sorted(name for name in inputs[0].keys() & inputs[1].keys() if inputs[0][name] != inputs[1][name])
    scenes: frozenset[str] = frozenset()
    scene_list, _ = metadata_files(track, one)
    if scene_list is not None and scene_list.as_posix() in other:
        other.remove(scene_list.as_posix())
        scenes, more_notes = _differing_scenes(scene_list.as_posix(), first, second)
        notes += more_notes
    if other:
        notes.append(f"scored with other data or code in A than in B: {', '.join(other)}")
    return scenes, notes


def parameters(files: Files) -> dict[str, Any]:
    """All of params.yaml, flat."""
    return flat(parse_yaml(files.read(PARAMS_FILE)))


def changes(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """What differs between two flat sets of parameters, such as 'enhance.gain 0 -> 6'."""
    names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    return [f"{name} {_text(one.get(name))} -> {_text(two.get(name))}" for name in names]


def _inputs(track: Track, files: Files) -> dict[str, str]:
    """Identities of what the scores were made from, but for the signals that are compared."""
    inputs = deps(files.lock.get(track.scoring_stage, {}))
    signals = ("/enhanced", "/enhanced_music")
    return {path: identity for path, identity in inputs.items() if identity and not path.endswith(signals)}


def _differing_scenes(path: str, first: Files, second: Files) -> tuple[frozenset[str], list[str]]:
    lists = []
    for side, files in (("A", first), ("B", second)):
        try:
            content = files.read(path)
            entries = parse_json(content, path) if content is not None else None
            scenes = scenes_by_name(entries, path)
        except InputError:
            entries = None
        if not isinstance(entries, list):
            return frozenset(), [f"the scene lists of A and B differ, and {side}'s cannot be read: names may mislead"]
        lists.append(scenes)
    names = lists[0].keys() & lists[1].keys()
    return frozenset(name for name in names if lists[0][name] != lists[1][name]), []


def _text(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:40]
