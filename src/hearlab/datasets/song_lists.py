"""Song lists and segments of the music challenge, and the check of the songs on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from hearlab.audio import opened
from hearlab.datasets.layout import SAMPLE_RATE, STEMS, CadenzaData
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.names import lookalike, safe_name

SPLITS = ("train", "valid", "test")
EVALUATIONS = ("objective_evaluation", "subjective_evaluation")


@dataclass(frozen=True)
class Song:
    """One entry of a song list: its name, which is its folder's, and its split."""

    name: str
    split: str


@dataclass(frozen=True)
class Segments:
    """Which seconds of a test song are evaluated: (start, end) of the objective and the subjective evaluation."""

    objective: tuple[float, float]
    subjective: tuple[float, float]


def read_songs(path: Path) -> list[Song]:
    """Read musdb18.{train,valid,test}.json: a list of objects with `Track Name` and `Split`.

    Raises:
        InputError: the file or an entry is wrong, or a name is listed twice or is not the name of a folder.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(path, "must hold a list of songs", found=type(content).__name__)
    songs: dict[str, Song] = {}
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise InputError(path, "must be an object", field=str(index), found=type(entry).__name__)
        name = safe_name(entry.get("Track Name"), path, f"{index}.Track Name")
        split = entry.get("Split")
        if split not in SPLITS:
            raise InputError(
                path, "song has no split", field=f"{index}.Split", found=split, wanted=f"one of {', '.join(SPLITS)}"
            )
        if name in songs:
            raise InputError(path, "song is listed twice", field=f"{index}.Track Name", found=name)
        songs[name] = Song(name, split)
    return list(songs.values())


def read_segments(path: Path, songs: Sequence[Song]) -> dict[str, Segments]:
    """Read musdb18.segments.test.json for the songs given; start and end are in seconds.

    Raises:
        InputError: a song or a time is missing, or an end is not after its start.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(path, "must map each song to its segments", found=type(content).__name__)
    segments = {}
    for song in songs:
        if song.name not in content:
            raise InputError(path, "lacks a song of the list", found=song.name)
        segments[song.name] = Segments(*(_times(path, song.name, content[song.name], name) for name in EVALUATIONS))
    return segments


def _times(path: Path, song: str, entry: Any, name: str) -> tuple[float, float]:
    part = entry.get(name) if isinstance(entry, dict) else None
    start, end = (part.get(key) if isinstance(part, dict) else None for key in ("start", "end"))
    if not _is_number(start) or not _is_number(end) or not 0 <= start < end:
        wanted = "start and end in seconds, 0 <= start < end"
        raise InputError(path, "wrong segment", field=f"{song}.{name}", found=part, wanted=wanted)
    return float(start), float(end)


def check_segments(path: Path, song: str, segments: Segments, frames: int) -> None:
    """Raise InputError if a song of so many frames ends before one of its segments; `path` names their file."""
    for name, (_, end) in zip(EVALUATIONS, (segments.objective, segments.subjective), strict=True):
        if int(end * SAMPLE_RATE) > frames:
            wanted = f"at most {frames / SAMPLE_RATE:.3f} s, the end of the song"
            raise InputError(path, "ends after the song", field=f"{song}.{name}.end", found=f"{end:g} s", wanted=wanted)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_song(data: CadenzaData, song: Song, signals: Sequence[str] = ("mixture", *STEMS)) -> int:
    """Check by their headers that a song's files are there, stereo, at 44.1 kHz and equally long.

    Returns:
        the number of frames.

    Raises:
        InputError: one line that names the file.
    """
    folder = data.song(song.split, song.name)
    if not folder.is_dir():
        raise InputError(
            folder,
            "no such song",
            wanted=f"the folder of a song that {data.songs(song.split).name} lists",
            advice=lookalike(folder) or "unpack MUSDB18-HQ there, or take the song off the list",
        )
    lengths: dict[str, int] = {}
    for signal in signals:
        path = data.stem(song.split, song.name, signal)
        if not path.is_file():
            raise InputError(path, "no such file", wanted="the mixture and four stems of the song as WAV")
        with opened(path, whole=False) as sound:  # a truncated song stops no other: its own unit fails
            rate, channels, lengths[signal] = sound.samplerate, sound.channels, sound.frames
        if rate != SAMPLE_RATE:
            found, wanted = f"{rate} Hz", f"{SAMPLE_RATE} Hz"
            raise InputError(path, "wrong sample rate", field="sample rate", found=found, wanted=wanted)
        if channels != 2:
            raise InputError(path, "is not stereo", field="channels", found=channels, wanted=2)
    first, length = next(iter(lengths.items()))
    for signal, frames in lengths.items():
        if frames != length:
            path, problem = data.stem(song.split, song.name, signal), f"is not as long as {first}.wav beside it"
            raise InputError(path, problem, found=f"{frames} frames", wanted=f"{length} frames")
    if length == 0:
        raise InputError(folder, "the song is empty", found="0 frames")
    return length
