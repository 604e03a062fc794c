"""The lists of target and interferer recordings in a data set's metadata folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import read_json


@dataclass(frozen=True)
class Recording:
    """A recording: the name that a scene file uses, its length in samples, and the part of the data it belongs to."""

    name: str
    samples: int
    dataset: str


def read_targets(path: Path) -> list[Recording]:
    """Read a target_speech_list.json.

    Raises:
        InputError: the file or a field of it is missing or wrong; the line names file, entry and field.
    """
    return [_recording(entry, "wavfile") for entry in _entries(path, ("wavfile",))]


def read_speech(path: Path) -> list[list[Recording]]:
    """Read a masker_speech_list.json: one group. Raises as `read_targets`."""
    return [[_recording(entry, "speaker", ".wav") for entry in _entries(path, ("speaker",))]]


def read_noise(path: Path) -> list[list[Recording]]:
    """Read a masker_nonspeech_list.json: a group for each class, in the order in which the classes appear.

    Classes are drawn first, so that each is equally likely, whatever the number of its recordings.
    Raises as `read_targets`.
    """
    groups: dict[str, list[Recording]] = {}
    for entry in _entries(path, ("ID", "class")):
        groups.setdefault(entry["class"], []).append(_recording(entry, "ID", ".wav"))
    return list(groups.values())


def read_music(path: Path) -> list[list[Recording]]:
    """Read a masker_music_list.json: one group. Raises as `read_targets`."""
    return [[_recording(entry, "file") for entry in _entries(path, ("file",))]]


def _recording(entry: dict[str, Any], name: str, suffix: str = "") -> Recording:
    return Recording(entry[name] + suffix, entry["nsamples"], entry["dataset"])


def _entries(path: Path, texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """The entries of a list, with the fields that are used checked."""
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(path, "must hold a list of recordings", found=type(content).__name__)
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise InputError(path, "must be an object", field=f"[{index}]", found=type(entry).__name__)
        for field in (*texts, "dataset", "nsamples"):
            place = f"[{index}].{field}"
            if field not in entry:
                raise InputError(path, "field is missing", field=place)
            value = entry[field]
            if field == "nsamples":
                if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                    raise InputError(
                        path, "is not a length", field=place, found=repr(value), wanted="a number of samples above 0"
                    )
            elif not isinstance(value, str) or not value:
                raise InputError(path, "is not a text", field=place, found=repr(value), wanted="a text")
    return content
