"""The lists of target and interferer recordings in a data set's metadata folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.audio import MOST_SAMPLES
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.names import safe_name


@dataclass(frozen=True)
class Recording:
    """A recording: the name that a scene file uses, its length in samples, and the part of the data it belongs to."""

    name: str
    samples: int
    dataset: str


# The field that names a recording, and what its name lacks.
NAMES = {"target": ("wavfile", ""), "speech": ("speaker", ".wav"), "noise": ("ID", ".wav"), "music": ("file", "")}


def read_targets(path: Path) -> list[Recording]:
    """Read a target_speech_list.json. Raises as `read_recordings`."""
    return [recording for group in read_recordings(path, "target") for recording in group]


def read_recordings(path: Path, kind: str) -> list[list[Recording]]:
    """Read a list of "target", "speech", "noise" or "music" recordings, in groups.

    Noises have a group for each class, in the order in which the classes appear; of the others there is one group. A
    group is drawn first, so that each class is equally likely, whatever the number of its recordings.

    Raises:
        InputError: the file or a field of it is missing or wrong; the line names file, entry and field.
    """
    field, suffix = NAMES[kind]
    texts = (field, "class", "dataset") if kind == "noise" else (field, "dataset")
    groups: dict[str, list[Recording]] = {}
    for entry in _entries(path, texts):
        group = groups.setdefault(entry["class"] if kind == "noise" else kind, [])
        group.append(Recording(entry[field] + suffix, entry["nsamples"], entry["dataset"]))
    return list(groups.values())


def _entries(path: Path, texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """The entries of a list; their fields `texts` and `nsamples` are checked."""
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(path, "must hold a list of recordings", found=type(content).__name__)
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise InputError(path, "must be an object", field=f"[{index}]", found=type(entry).__name__)
        for field in (*texts, "nsamples"):
            place, value = f"[{index}].{field}", entry.get(field)
            if field not in entry:
                raise InputError(path, "field is missing", field=place)
            if field in texts:
                safe_name(value, path, place, folders=True)  # music is named 48/948.low.mp3
            if field == "nsamples" and not (type(value) is int and 0 < value <= MOST_SAMPLES):
                wanted = f"a number of samples above 0, at most {MOST_SAMPLES}"
                raise InputError(path, "is not a length", field=place, found=repr(value)[:80], wanted=wanted)
    return content
