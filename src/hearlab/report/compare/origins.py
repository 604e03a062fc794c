"""Whether two results were made on the same scenes with the same metric: what differs, and which scenes do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import Workspace
from hearlab.errors import InputError
from hearlab.params import flat
from hearlab.scores.table import Metric
from hearlab.versions.revisions import Files, read_yaml

STAGES = {"haspi": "score_speech", "haaqi": "score_music"}
DATA = "data"  # as in hearlab.stages.common, which takes long to import
PARAMS_FILE = "params.yaml"
SHOWN = 6  # parameters in a line


@dataclass(frozen=True)
class Difference:
    """How the makings of two results differ.

    Attributes:
        parameters: name -> values in A and B, of params.yaml.
        scenes: names that stand for different scenes in A and B; None if the results share no data set.
        notes: what must be said, one line each.
    """

    parameters: dict[str, tuple[Any, Any]]
    scenes: frozenset[str] | None
    notes: tuple[str, ...]


def difference(metric: Metric, first: Files | None, second: Files | None) -> Difference:
    """Compare the makings of two results; nothing can be said where one of them is a bare table."""
    if first is None or second is None:
        return Difference({}, frozenset(), ())
    values = [flat(read_yaml(files.read(PARAMS_FILE))) for files in (first, second)]
    names = list(dict.fromkeys([*values[0], *values[1]]))
    parameters = {
        name: (values[0].get(name), values[1].get(name)) for name in names if values[0].get(name) != values[1].get(name)
    }
    notes = []
    if parameters:
        changes = [f"{name} {_text(one)} -> {_text(two)}" for name, (one, two) in parameters.items()]
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        notes.append(f"parameters that differ: {', '.join(changes[:SHOWN])}{more}")
    sets = [value.get("dataset") for value in values]
    if sets[0] != sets[1]:
        return Difference(parameters, None, (*notes, f"A was scored on the data set {sets[0]}, B on {sets[1]}"))
    inputs = [_inputs(metric, files) for files in (first, second)]
    other = sorted(name for name in inputs[0].keys() & inputs[1].keys() if inputs[0][name] != inputs[1][name])
    scenes: frozenset[str] = frozenset()
    if metric.cluster == "scene":
        path = Workspace(Path(DATA) / str(sets[0])).scenes(str(values[0].get("evaluate.split"))).as_posix()
        if path in other:
            other.remove(path)
            scenes, note = _differing_scenes(path, first, second)
            notes += note
    if other:
        notes.append(f"scored with other data or code in A than in B: {', '.join(other)}")
    return Difference(parameters, scenes, tuple(notes))


def _inputs(metric: Metric, files: Files) -> dict[str, str]:
    """Identities of what the scores were made from, but for the signals that are compared."""
    deps = files.lock.get(STAGES[metric.name], {}).get("deps", [])
    return {
        str(dep["path"]): str(dep["md5"])
        for dep in deps
        if "md5" in dep and not str(dep["path"]).endswith(("/enhanced", "/enhanced_music"))
    }


def _differing_scenes(path: str, first: Files, second: Files) -> tuple[frozenset[str], list[str]]:
    lists = []
    for side, files in (("A", first), ("B", second)):
        try:
            content = files.read(path)
            entries = json.loads(content) if content is not None else None
        except (InputError, ValueError):
            entries = None
        if not isinstance(entries, list):
            return frozenset(), [f"the scene lists of A and B differ, and {side}'s cannot be read: names may mislead"]
        lists.append({entry.get("scene"): entry for entry in entries if isinstance(entry, dict)})
    names = lists[0].keys() & lists[1].keys()
    return frozenset(str(name) for name in names if lists[0][name] != lists[1][name]), []


def _text(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:40]
