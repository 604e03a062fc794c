"""The description of an own data set, in `datasets/NAME`: what is what, and which files it is made of.

    dataset.yaml    for people: folders, microphones, the rule for the reference, levels
    files.csv       a row for each file of the data set: where it comes from, and what it was when it was imported
    listeners.json  the listeners, in the challenges' format

All three are in git, so that a clone knows the data set; the sounds themselves are in DVC's cache, like all others.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hearlab.datasets.layout import CHANNELS, STEMS
from hearlab.errors import InputError
from hearlab.files import parse_csv, read_bytes, write_json, write_text
from hearlab.listeners import Listener
from hearlab.names import safe_name

FOLDER = "datasets"  # of the descriptions, in the repository
ABOUT, FILES, LISTENERS = "dataset.yaml", "files.csv", "listeners.json"
SPEECH, MUSIC = "speech", "music"
MIXTURE = "mixture"
REFERENCE, TARGET = "target_anechoic", "target"  # names of the signals in rendered scenes
SUM = "sum"  # of the stems: a song without a mixture
HEAD = "# Written by `hearlab data import {name}`; to change it, import again with --replace.\n"


@dataclass(frozen=True)
class SoundFile:
    """A file of the data set.

    Attributes:
        track: 'speech' or 'music'.
        name: of the scene or song.
        signal: of a scene 'mix_CH1' (any microphone pair), 'target_anechoic_CH1' (the reference) or 'target_CH1';
            of a song 'mixture' or a stem.
        source: the recording, an absolute path; 'sum' of a mixture that is the sum of the stems.
        first: the first channel that is used, from 1.
        channels: how many channels the recording has.
        rate: its sample rate in Hz.
        frames: its length.
        md5: of its bytes.
    """

    track: str
    name: str
    signal: str
    source: str
    first: int
    channels: int
    rate: int
    frames: int
    md5: str

    @property
    def file(self) -> str:
        """The name of its file: of a scene in the folder of the scenes, of a song in its own folder."""
        return f"{self.name}_{self.signal}.wav" if self.track == SPEECH else f"{self.signal}.wav"


HEADER = tuple(field.name for field in fields(SoundFile))
NUMBERS = ("first", "channels", "rate", "frames")
_MICROPHONES = tuple(f"mix_{channel}" for channel in CHANNELS)
SIGNALS = {SPEECH: (*_MICROPHONES, f"{REFERENCE}_CH1", f"{TARGET}_CH1"), MUSIC: (MIXTURE, *STEMS)}


def description_folder(root: Path, name: str) -> Path:
    """Where the description of a data set is."""
    return root / FOLDER / name


def write_description(
    folder: Path, about: dict[str, Any], files: Sequence[SoundFile], listeners: dict[str, Listener]
) -> None:
    """Write the three files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(astuple(file) for file in files)
    write_text(folder / FILES, table.getvalue())
    write_json(folder / LISTENERS, {name: listener.as_entry() for name, listener in listeners.items()})
    text = io.StringIO()
    yaml = YAML()
    yaml.allow_unicode, yaml.width = True, 4096
    yaml.dump(about, text)
    write_text(folder / ABOUT, HEAD.format(name=about["name"]) + text.getvalue())


def read_files(folder: Path) -> list[SoundFile]:
    """The rows of files.csv.

    Raises:
        InputError: it is missing, or a row is not as `hearlab data import` writes it.
    """
    path = folder / FILES
    advice = f"hearlab data import {folder.name} ... makes the data set"
    rows = parse_csv(read_bytes(path, wanted="the files of an own data set", advice=advice), path)
    header = next(rows, (0, []))[1]
    if tuple(header) != HEADER:
        raise InputError(path, "wrong columns", found=", ".join(header)[:80], wanted=", ".join(HEADER))
    files: dict[tuple[str, str, str], SoundFile] = {}
    for line, row in rows:
        file = _sound_file(path, f"line {line}", row)
        key = file.track, file.name, file.signal
        if key in files:
            raise InputError(path, "names a signal twice", field=f"line {line}", found=" ".join(key))
        files[key] = file
    return list(files.values())


def _sound_file(path: Path, where: str, row: list[str]) -> SoundFile:
    if len(row) != len(HEADER):
        raise InputError(path, "row is incomplete", field=where, found=f"{len(row)} cells", wanted=len(HEADER))
    values: dict[str, Any] = dict(zip(HEADER, row, strict=True))
    for name in NUMBERS:
        if not (values[name].isascii() and values[name].isdigit() and len(values[name]) < 12):
            raise InputError(path, "is no number", field=f"{where}, {name}", found=values[name])
        values[name] = int(values[name])
    file = SoundFile(**values)
    safe_name(file.name, path, f"{where}, name")
    if file.signal not in SIGNALS.get(file.track, ()):
        raise InputError(path, "unknown signal", field=where, found=f"{file.track} {file.signal}")
    if file.source != SUM and not os.path.isabs(file.source):
        raise InputError(path, "is no absolute path", field=f"{where}, source", found=file.source)
    if not 1 <= file.first <= max(file.channels, 1):
        raise InputError(path, "is no channel of the file", field=f"{where}, first", found=file.first)
    return file


def names_of(files: Sequence[SoundFile], track: str) -> list[str]:
    """Scenes or songs of a data set, in the order of its table."""
    return list(dict.fromkeys(file.name for file in files if file.track == track))


def scene_list(name: str, files: Sequence[SoundFile]) -> list[dict[str, Any]]:
    """Content of scenes.dev.json: each scene with the names of its files."""
    own: dict[str, list[str]] = {scene: [] for scene in names_of(files, SPEECH)}
    for file in files:
        if file.track == SPEECH:
            own[file.name].append(file.file)
    return [{"dataset": name, "scene": scene, "files": sorted(names)} for scene, names in own.items()]


def song_list(files: Sequence[SoundFile]) -> list[dict[str, str]]:
    """Content of musdb18.valid.json."""
    return [{"Track Name": song, "Split": "valid"} for song in names_of(files, MUSIC)]
