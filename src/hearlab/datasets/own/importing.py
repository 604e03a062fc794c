"""Making a data set of the user's recordings: they are checked, described and named in params.yaml; none is copied."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.own.conversion import is_converted
from hearlab.datasets.own.description import (
    MIXTURE,
    MUSIC,
    SPEECH,
    SUM,
    SoundFile,
    description_folder,
    names_of,
    write_description,
)
from hearlab.datasets.own.recordings import Found, find_songs, find_speech
from hearlab.errors import InputError, ParameterError, raise_all
from hearlab.files import read_text, write_text
from hearlab.listeners import TABLES, TYPED_FREQUENCIES, Listener, load_listeners, typed_listener
from hearlab.names import safe_name
from hearlab.params import PARAMS_FILE, PUBLISHED_WEIGHTS, load_params

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
# What `-S dataset=NAME` or params.yaml would take for another value; the folder of weights in data/.
NO_NAMES = ("null", "true", "false", "nan", "inf", Path(PUBLISHED_WEIGHTS).name)
OWN = "own"
LEVEL = 100.0  # dB SPL of an RMS of 1, the default of evaluate.level


@dataclass(frozen=True)
class Imported:
    """What was imported: the description's folder, its content, and whether it replaced another one."""

    name: str
    folder: Path
    files: tuple[SoundFile, ...]
    listeners: dict[str, Listener]
    about: dict[str, Any]
    replaced: bool


def import_data(
    root: Path,
    name: str,
    *,
    listeners: Path | None = None,
    audiograms: Sequence[str] = (),
    mixtures: Path | None = None,
    references: Path | None = None,
    targets: Path | None = None,
    songs: Path | None = None,
    microphones: Sequence[str] | None = None,
    replace: bool = False,
) -> Imported:
    """Describe a data set in `datasets/NAME`, and name it in params.yaml.

    Args:
        root: the repository.
        name: of the data set: letters, digits, - and _.
        listeners: a file of listeners, or a folder of such files.
        audiograms: or listeners as typed: 'NAME=LEVELS' or 'NAME=LEFT/RIGHT', levels as of `typed_listener`.
        mixtures, references, targets, microphones: of speech, see `find_speech`.
        songs: of music, see `find_songs`.
        replace: whether a data set of that name may be described anew.

    Raises:
        ParameterError: the arguments do not go together, or params.yaml is wrong.
        InputError: the name is taken, or files cannot be used: a line for each of them; nothing is written.
    """
    if not NAME.fullmatch(name):
        raise ParameterError(
            "hearlab data import", "is no name of a data set", found=name, wanted="letters, digits, - _"
        )
    if mixtures is None and songs is None:
        raise ParameterError("hearlab data import", "there is nothing to import", wanted="--mixtures or --songs")
    if (mixtures is None) != (references is None) or (targets is not None and mixtures is None):
        wanted = "--mixtures with --references, and --targets if you have them"
        raise ParameterError("hearlab data import", "speech is not complete", wanted=wanted)
    if (listeners is None) == (not audiograms):
        wanted = "--listeners, or --audiogram for each listener"
        raise ParameterError("hearlab data import", "listeners are needed, in one way", wanted=wanted)
    params = load_params(root / PARAMS_FILE)
    # Some file systems take capitals for small letters.
    if name.lower() in (*NO_NAMES, *type(params.datasets).model_fields):
        raise InputError(name, "is the name of something else", wanted="a name of your own")
    folder = description_folder(root, name)
    taken = folder.exists() or name in (params.datasets.__pydantic_extra__ or {})
    if taken and not replace:
        raise InputError(folder, "there is such a data set", advice="--replace describes it anew; its recordings stay")
    speech, music = Found(), Found()
    if mixtures is not None and references is not None:
        speech = find_speech(mixtures, references, targets, microphones)
    if songs is not None:
        music = find_songs(songs)
    faults = [*speech.faults, *music.faults]
    people: dict[str, Listener] = {}
    try:
        people = _typed(audiograms) if listeners is None else _listeners(listeners)
    except InputError as error:
        faults.append(error)
    raise_all(faults)
    files = (*speech.files, *music.files)
    about = {
        "name": name,
        "listeners": {"from": os.path.abspath(listeners) if listeners else "the command line", "number": len(people)},
        **({"speech": _about_speech(mixtures, references, targets, speech)} if mixtures and references else {}),
        **({"music": _about_music(songs, music)} if songs else {}),
    }
    _name_in_params(root / PARAMS_FILE, name)
    write_description(folder, about, files, people)
    return Imported(name, folder, files, people, about, taken)


def imported_text(done: Imported) -> str:
    """What was imported, in a line."""
    speech, songs = (len(names_of(done.files, track)) for track in (SPEECH, MUSIC))
    parts = [f"{count} {what}{'s' * (count != 1)}" for count, what in ((speech, "recording"), (songs, "song")) if count]
    count = len(done.listeners)
    made = sum(map(is_converted, done.files))
    text = f"{' and '.join(parts)}, {count} listener{'s' * (count != 1)}"
    return text + (f"; {made} of {len(done.files)} files will be converted to stereo WAV at 44.1 kHz" if made else "")


def _listeners(place: Path) -> dict[str, Listener]:
    """Of a file, or of all files in a folder: a listener may be in one of them only.

    Their levels must reach as far as the metrics need: else each pair would fail after the sounds were made.
    """
    found = _in_folder(place) if place.is_dir() else load_listeners(place)
    faults = []
    for name, listener in found.items():
        try:
            for ear in (listener.left, listener.right):
                ear.at(TYPED_FREQUENCIES[6])
        except InputError as error:
            faults.append(InputError(place, error.problem, field=name, found=error.found, wanted=error.wanted))
    raise_all(faults)
    return found


def _typed(audiograms: Sequence[str]) -> dict[str, Listener]:
    """Of 'NAME=LEVELS' or 'NAME=LEFT/RIGHT' each."""
    found: dict[str, Listener] = {}
    faults: list[InputError] = []
    for text in audiograms:
        name, equals, levels = text.rpartition("=")
        left, slash, right = levels.partition("/")
        try:
            if not equals:
                wanted = "NAME=LEVELS, such as A=20,20,30,40,50,60"
                raise InputError("--audiogram", "names no listener", found=text, wanted=wanted)
            safe_name(name, "--audiogram")
            if name in found:
                raise InputError("--audiogram", "is there twice", found=name)
            found[name] = dataclasses.replace(typed_listener(left, right if slash else None), id=name)
        except InputError as error:
            faults.append(error)
    raise_all(faults)
    return found


def _in_folder(place: Path) -> dict[str, Listener]:
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in (".json", *TABLES))
    if not files:
        raise InputError(place, "holds no file of listeners", wanted=f"files of .json, {', '.join(TABLES)}")
    found: dict[str, Listener] = {}
    origin: dict[str, Path] = {}
    faults: list[InputError] = []
    for path in files:
        try:
            for name, listener in load_listeners(path).items():
                if name in found:
                    faults.append(InputError(path, f"holds a listener of {origin[name].name}, too", found=name))
                found[name], origin[name] = listener, path
        except InputError as error:
            faults.append(error)
    raise_all(faults)
    return found


def _about_speech(mixtures: Path, references: Path, targets: Path | None, found: Found) -> dict[str, Any]:
    levels = [LEVEL + 20 * math.log10(level) for level in found.levels]
    microphones = sorted({file.signal.removeprefix("mix_") for file in found.files if file.signal.startswith("mix_")})
    return {
        "mixtures": os.path.abspath(mixtures),
        "references": os.path.abspath(references),
        "targets": os.path.abspath(targets) if targets else None,
        "recordings": len(names_of(found.files, SPEECH)),
        "microphones": microphones,
        "reference": "scaled to the RMS of the target in each ear" if targets else "as it is",
        "level": f"references of {min(levels):.1f} to {max(levels):.1f} dB SPL where RMS 1 is {LEVEL:g} dB SPL",
        "converted": _converted(found.files),
    }


def _about_music(songs: Path, found: Found) -> dict[str, Any]:
    summed = [file.name for file in found.files if file.signal == MIXTURE and file.source == SUM]
    return {
        "songs": os.path.abspath(songs),
        "number": len(names_of(found.files, MUSIC)),
        "mixture": f"the sum of the stems in {len(summed)} of the songs" if summed else "as it is",
        "converted": _converted([file for file in found.files if file.source != SUM]),
    }


def _converted(files: Sequence[SoundFile]) -> str:
    count = sum(map(is_converted, files))
    return f"{count} of {len(files)} files: to 44.1 kHz, to two channels, or from FLAC" if count else "none"


def _name_in_params(path: Path, name: str) -> None:
    """Add the data set to the section `datasets`, in the form in which DVC writes it; the rest stays as it is."""
    if name in (load_params(path).datasets.__pydantic_extra__ or {}):
        return
    lines = read_text(path).splitlines(keepends=True)
    start = next((k for k, line in enumerate(lines) if re.match(r"datasets:\s*(#.*)?$", line)), None)
    inside = []
    for k in range(len(lines) if start is None else start + 1, len(lines)):
        if re.match(r"[^\s#]", lines[k]):
            break
        inside += [k] if re.match(r" +[^\s#]", lines[k]) else []
    if not inside:
        advice = f"write it as lines below 'datasets:', or add {name}: {{source: {OWN}}}"
        raise ParameterError(path, "is not in the form that DVC writes", field="datasets", advice=advice)
    last, indent = inside[-1], re.match(" +", lines[inside[0]])[0]  # type: ignore[index]
    if not lines[last].endswith("\n"):
        lines[last] += "\n"
    lines.insert(last + 1, f"{indent}{name}:\n{indent}  source: {OWN}\n")
    write_text(path, "".join(lines))
    load_params(path)
