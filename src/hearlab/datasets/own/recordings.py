"""The user's recordings in their folders: which belong together, and whether they can be used."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hearlab.audio import opened, read_audio, rms
from hearlab.datasets.layout import CHANNELS, SAMPLE_RATE, STEMS
from hearlab.datasets.own.description import MIXTURE, MUSIC, REFERENCE, SPEECH, SUM, TARGET, SoundFile
from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.names import name_fault

SOUNDS = (".wav", ".flac")
# What may stand behind the name of a recording, by its folder; the challenges' files have such endings.
ROLES = {
    "mixtures": ("mix", "mixture", "noisy"),
    "references": ("target_anechoic", "reference", "clean"),
    "targets": ("target",),
}
# The microphone pairs of a file by the number of its channels: left and right of each.
BY_CHANNELS = {1: ("CH1",), 2: ("CH1",), 6: ("CH1", "CH2", "CH3"), 8: CHANNELS}
LOWEST_RATE, HIGHEST_RATE = 8000, 384_000
FRONT = "CH1"  # the pair of the references, and of what is scored as unprocessed


@dataclass
class Found:
    """What was found: files of the data set, faults, and the level of each reference (RMS)."""

    files: list[SoundFile] = field(default_factory=list)
    faults: list[InputError] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)

    def fault(self, where: Path, problem: str, **details: object) -> None:
        self.faults.append(InputError(where, problem, **details))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Sound:
    """A sound file as it is: length in frames, md5, and the RMS of each channel."""

    path: Path
    rate: int
    channels: int
    frames: int
    md5: str
    levels: tuple[float, ...]

    def part(self, track: str, name: str, signal: str, first: int = 1) -> SoundFile:
        source = os.path.abspath(self.path)
        return SoundFile(track, name, signal, source, first, self.channels, self.rate, self.frames, self.md5)

    @property
    def length(self) -> int:
        """In frames at the data set's rate."""
        return round(self.frames * SAMPLE_RATE / self.rate)


def find_speech(
    mixtures: Path, references: Path, targets: Path | None = None, microphones: Sequence[str] | None = None
) -> Found:
    """The recordings of noisy speech: for each mixture its reference, and its target where they are given.

    Args:
        mixtures: a folder of NAME.wav, of one file for each microphone pair (NAME_CH1.wav, ...), or of files that hold
            several pairs. WAV or FLAC.
        references: a folder of the clean signals, with the same names.
        targets: a folder of the clean signals at the front microphones: references are scaled to their level.
        microphones: the pairs in a file of several, such as CH1 and CH3; by default those of `BY_CHANNELS`.

    Returns:
        what was found; files in the order of their names.
    """
    found = Found()
    sounds = {role: _sounds(folder, role, found) for role, folder in _folders(mixtures, references, targets)}
    if not found.faults and not sounds["mixtures"]:
        found.fault(mixtures, "holds no recording", wanted="files of WAV or FLAC")
    for name, pairs in sounds["mixtures"].items():
        parts, mixture = _microphones(name, pairs, microphones, found)
        for role, signal in (("references", REFERENCE), ("targets", TARGET)):
            if role not in sounds:
                continue
            partner = sounds[role].get(name, {})
            path = partner.get(None) or partner.get(FRONT)
            if path is None:
                folder = references if role == "references" else targets
                found.fault(folder or references, f"has no partner of the mixture {name}", wanted=f"{name}.wav")
                continue
            sound = _read(path, found)
            if sound is None:
                continue
            if sound.channels > 2:
                found.fault(path, "wrong number of channels", found=sound.channels, wanted="1 or 2")
            elif mixture is not None and abs(sound.length - mixture.length) > _rounding(sound, mixture):
                difference = sound.length - mixture.length
                problem = f"is {abs(difference)} frames {'longer' if difference > 0 else 'shorter'} than its mixture"
                problem += f" at {SAMPLE_RATE} Hz" if {sound.rate, mixture.rate} != {SAMPLE_RATE} else ""
                both = (f"{one.frames} frames at {one.rate} Hz" for one in (sound, mixture))
                found.fault(path, problem, found=", mixture ".join(both))
            else:
                parts.append(sound.part(SPEECH, name, f"{signal}_{FRONT}"))
                if role == "references":
                    found.levels.append(float(np.sqrt(np.mean(np.square(sound.levels)))))
        found.files += parts
    for role in ("references", "targets"):
        for name in sorted(sounds.get(role, {}).keys() - sounds["mixtures"].keys()):
            found.fault(next(iter(sounds[role][name].values())), "has no mixture of its name", wanted=f"{name}.wav")
    return found


def _folders(mixtures: Path, references: Path, targets: Path | None) -> Iterator[tuple[str, Path]]:
    yield "mixtures", mixtures
    yield "references", references
    if targets is not None:
        yield "targets", targets


def _microphones(
    name: str, pairs: dict[str | None, Path], microphones: Sequence[str] | None, found: Found
) -> tuple[list[SoundFile], _Sound | None]:
    """The microphone signals of a mixture; and the first of its files."""
    parts, sounds = [], []
    for channel, path in sorted(pairs.items(), key=lambda pair: pair[0] or ""):
        sound = _read(path, found)
        if sound is None:
            continue
        if channel is not None:
            wanted: Sequence[str] | None = (channel,)
        else:
            wanted = BY_CHANNELS.get(sound.channels) if microphones is None else microphones
        most = 2 * len(wanted or ())
        if wanted is None or not (sound.channels == most or (most == 2 and sound.channels == 1)):
            advice = "--microphones says which pairs a file holds, such as CH1,CH3 of one with four channels"
            found.fault(path, "wrong number of channels", found=sound.channels, wanted=most or "2", advice=advice)
            continue
        parts += [sound.part(SPEECH, name, f"mix_{pair}", 2 * k + 1) for k, pair in enumerate(wanted)]
        sounds.append(sound)
    if len({sound.length for sound in sounds}) > 1:
        found.fault(sounds[-1].path, f"is not as long as {sounds[0].path.name}")
    if parts and not any(part.signal == f"mix_{FRONT}" for part in parts):
        found.fault(next(iter(pairs.values())), f"has no front microphones ({FRONT})")
    return parts, sounds[0] if sounds else None


def _rounding(one: _Sound, other: _Sound) -> int:
    """By how many frames signals as long as each other may differ at the data set's rate."""
    if one.rate == other.rate:
        return 0 if one.rate == SAMPLE_RATE else 1
    # Each was cut to whole frames of its own rate.
    return math.ceil(max(SAMPLE_RATE / one.rate, SAMPLE_RATE / other.rate, 1))


def find_songs(folder: Path) -> Found:
    """Songs: a folder of each, with its stems vocals, drums, bass and other, and its mixture if there is one."""
    found = Found()
    if not folder.is_dir():
        found.fault(folder, "is no folder", wanted="a folder with a folder for each song")
        return found
    songs = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not songs:
        found.fault(folder, "holds no song", wanted="a folder for each song")
    for song in songs:
        name = unicodedata.normalize("NFC", song.name)
        if fault := name_fault(name):
            found.fault(song, f"is not a name: {fault}")
            continue
        if name in (file.name for file in found.files):  # in another form of Unicode
            found.fault(song, "is there twice", found=name)
            continue
        sounds = {}
        for signal in (*STEMS, MIXTURE):
            paths = [song / f"{signal}{ending}" for ending in SOUNDS if (song / f"{signal}{ending}").is_file()]
            if len(paths) > 1:
                found.fault(paths[1], f"is there beside {paths[0].name}", wanted="one of them")
            elif paths:
                sound = _read(paths[0], found, silence=True)
                if sound is not None and sound.channels > 2:
                    found.fault(paths[0], "wrong number of channels", found=sound.channels, wanted="1 or 2")
                elif sound is not None:
                    sounds[signal] = sound
            elif signal != MIXTURE:
                found.fault(song, "lacks a stem", wanted=f"{signal}.wav or {signal}.flac")
        lengths = {sound.length for sound in sounds.values()}
        if len(lengths) > 1:
            first = next(iter(sounds.values()))
            other = next(sound for sound in sounds.values() if sound.length != first.length)
            text = f"is not as long as {first.path.name} beside it"
            found.fault(other.path, text, found=f"{other.length} frames", wanted=f"{first.length} frames")
        elif lengths == {0}:
            found.fault(song, "the song is empty", found="0 frames")
        found.files += [sound.part(MUSIC, name, signal) for signal, sound in sounds.items()]
        if MIXTURE not in sounds and sounds:
            one = next(iter(sounds.values()))
            found.files.append(SoundFile(MUSIC, name, MIXTURE, SUM, 1, 2, SAMPLE_RATE, one.length, ""))
    return found


def _sounds(folder: Path, role: str, found: Found) -> dict[str, dict[str | None, Path]]:
    """The sound files of a folder: name -> microphone pair, or None -> path."""
    if not folder.is_dir():
        found.fault(folder, "is no folder", wanted="a folder of recordings")
        return {}
    ending = re.compile(rf"(?P<name>.+?)(?:_(?:{'|'.join(ROLES[role])}))?(?:_(?P<channel>CH[0-3]))?")
    sounds: dict[str, dict[str | None, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SOUNDS or path.name.startswith(".") or not path.is_file():
            continue
        match = ending.fullmatch(unicodedata.normalize("NFC", path.stem))
        name = match["name"] if match else ""
        if fault := name_fault(name):
            found.fault(path, f"is not a name: {fault}")
            continue
        own = sounds.setdefault(name, {})
        channel = match["channel"] if match else None
        if channel in own or (own and (channel is None or None in own)):
            found.fault(path, f"is the same recording as {next(iter(own.values())).name}", wanted="one of them")
            continue
        own[channel] = path
    return sounds


def _read(path: Path, found: Found, *, silence: bool = False) -> _Sound | None:
    """Read a file to its end; None, and a fault, if it cannot be used."""
    try:
        with opened(path) as sound:
            if not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
                wanted = f"from {LOWEST_RATE} to {HIGHEST_RATE} Hz"
                raise InputError(path, "wrong sample rate", found=f"{sound.samplerate} Hz", wanted=wanted)
        samples, rate = read_audio(path, silence=silence)
        if not silence and samples.shape[0] == 0:
            raise InputError(path, "is empty", found="0 frames")
        levels = tuple(rms(samples[:, k]) for k in range(samples.shape[1]))
        if not silence and 0.0 in levels:
            raise InputError(path, "is silent", field=f"channel {levels.index(0.0) + 1}")
        return _Sound(path, rate, samples.shape[1], samples.shape[0], md5_of(path), levels)
    except InputError as error:
        found.faults.append(error)
        return None
