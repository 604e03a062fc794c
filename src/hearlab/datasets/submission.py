"""The music challenge's submission: packing the enhanced test songs, and checking a package against the rules.

Rules of CAD1 task 1 (submission page and recipe of the challenge): for every test song and listener eight mono stems of
the song's objective segment as 16-bit FLAC at 24 kHz and a stereo remix of its subjective segment as 16-bit FLAC at
32 kHz, in a zip file that holds the folder `evaluation`.
"""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import soundfile

from hearlab.audio import BLOCK, sound_in
from hearlab.datasets.layout import REMIX_RATE, SIDES, STEM_RATE, STEMS, music_file
from hearlab.datasets.song_lists import Segments
from hearlab.datasets.stem_files import FACTOR_BYTES, factor_file, factor_from
from hearlab.errors import InputError
from hearlab.files import atomic_path

FOLDER = "evaluation"
TEAM = re.compile(r"[A-Za-z0-9_-]{1,40}")
# Resamplers may round the last sample up or down.
FRAMES_TOLERANCE = 2
HEADERS = 1 << 18  # bytes of a FLAC file that are no samples, at most: tags, pictures
# FLAC is compressed already; a fixed date gives the same bytes for the same files.
DATE = (1980, 1, 1, 0, 0, 0)


def pack_submission(enhanced: Path, pairs: Sequence[tuple[str, str]], team: str, target_folder: Path) -> Path:
    """Pack `submission_{team}.zip` from the files of all pairs of song and listener; gives its path.

    Raises:
        InputError: the team's name cannot be a file's, or a file is missing.
    """
    if not TEAM.fullmatch(team):
        raise InputError("team", "cannot be part of a file name", found=team, wanted="letters, digits, _ and -")
    target = target_folder / f"submission_{team}.zip"
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in wanted_files(pairs):
            path = enhanced / name
            if not path.is_file():
                raise InputError(
                    path,
                    "no such file",
                    wanted="an enhanced test song",
                    advice="dvc exp run -S evaluate.song_split=test",
                )
            with path.open("rb") as source, archive.open(zipfile.ZipInfo(f"{FOLDER}/{name}", DATE), "w") as member:
                shutil.copyfileobj(source, member, 1 << 20)
    return target


def wanted_files(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names of all files of a submission: stems, their factors and remixes of pairs of song and listener."""
    for song, listener in pairs:
        for path in _stems(song, listener):
            yield path.as_posix()
            yield factor_file(path).as_posix()
        yield music_file(Path(), listener, song, "remix").as_posix()


def _stems(song: str, listener: str) -> list[Path]:
    return [music_file(Path(), listener, song, f"{side}_{stem}") for stem in STEMS for side in SIDES]


def check_submission(
    package: Path, pairs: Sequence[tuple[str, str]], segments: Mapping[str, Segments]
) -> tuple[int, list[str]]:
    """Check a submission, a zip file or its unpacked folder, against the published rules.

    Args:
        package: the zip file, or a folder that holds `evaluation` or is it.
        pairs: every test song with every listener.
        segments: of every song.

    Returns:
        the number of audio files that are right, and one line for each fault.

    Raises:
        InputError: the package cannot be read at all.
    """
    if package.is_dir():
        root = package / FOLDER if (package / FOLDER).is_dir() else package
        names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        return _check(root, names, pairs, segments)
    try:
        archive = zipfile.ZipFile(package)
    except FileNotFoundError:
        raise InputError(package, "no such file", wanted="submission_<team>.zip or its folder") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(package, "cannot be read as a zip file", found=str(error)) from None
    with archive:
        members = [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]
        outside = [str(path) for path in members if path.parts[:1] != (FOLDER,) or ".." in path.parts]
        names = {path.relative_to(FOLDER).as_posix() for path in members if str(path) not in outside}
        right, faults = _check(zipfile.Path(archive, f"{FOLDER}/"), names, pairs, segments)
    return right, [*(f"{name}: lies outside of the folder {FOLDER}" for name in outside), *faults]


def _check(
    root: Path | zipfile.Path,
    names: set[str],
    pairs: Sequence[tuple[str, str]],
    segments: Mapping[str, Segments],
) -> tuple[int, list[str]]:
    right, faults = 0, []
    known = set(wanted_files(pairs))
    decomposed = {unicodedata.normalize("NFC", name): name for name in names - known}
    for song, listener in pairs:
        cut = segments[song]
        checks = [(path.as_posix(), 1, STEM_RATE, cut.objective) for path in _stems(song, listener)]
        checks.append((music_file(Path(), listener, song, "remix").as_posix(), 2, REMIX_RATE, cut.subjective))
        for name, channels, rate, (start, end) in checks:
            if name not in names:
                faults += [] if name in decomposed else [f"{name}: is missing"]
                continue
            fault = _fault(root / name, channels, rate, end - start)
            if fault:
                faults.append(f"{name}: {fault}")
            right += not fault
        for path in _stems(song, listener):
            # A factor is only needed to hear a stem in its scale: its file may be left out.
            factor = factor_file(path).as_posix()
            if factor in names and not _is_factor(root / factor):
                faults.append(f"{factor}: is not a number, 0 or more")
    for name, found in sorted(decomposed.items()):
        fault = "its name is not in Unicode's form NFC, as that of the song: rename it" if name in known else None
        faults.append(f"{found}: {fault or 'is no file of a submission'}")
    return right, faults


def _fault(path: Path | zipfile.Path, channels: int, rate: int, seconds: float) -> str | None:
    """What is wrong with an audio file, all of it decoded; None if nothing is."""
    wanted = ("FLAC", "PCM_16", rate, channels)
    try:
        # A zip file can hold any number of bytes in a few: not more are read than samples take.
        frames_wanted = round(seconds * rate)
        size = 2 * channels * frames_wanted + HEADERS
        with path.open("rb") as file:
            content = file.read(size + 1)
        if len(content) > size:
            return f"is larger than {seconds:.3f} s of samples"
        with sound_in(io.BytesIO(content)) as sound:  # half a minute; libsndfile wants to seek
            found = (sound.format, sound.subtype, sound.samplerate, sound.channels)
            frames, most = 0, frames_wanted + BLOCK
            for block in sound.blocks(BLOCK, frames=sound.frames, dtype="int16") if found == wanted else ():
                frames += len(block)
                if frames > most:  # a few bytes of FLAC can hold hours of silence
                    break
    except (soundfile.LibsndfileError, zipfile.BadZipFile, RuntimeError) as error:
        return f"cannot be read as audio ({error})"
    for what, is_, should in zip(("format", "bits", "sample rate", "channels"), found, wanted, strict=True):
        if is_ != should:
            return f"{what}: found {is_}, wanted {should}"
    if abs(frames - seconds * rate) > FRAMES_TOLERANCE:
        more = "more than " if frames > most else ""
        return f"duration: found {more}{frames / rate:.3f} s, wanted {seconds:.3f} s"
    return None


def _is_factor(path: Path | zipfile.Path) -> bool:
    with path.open("rb") as file:
        return factor_from(file.read(FACTOR_BYTES)) is not None
