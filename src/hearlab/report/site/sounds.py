"""Sounds of the site: loudness, spectrogram and (for a portable site) a copy of every version.

What was measured is remembered beside the pictures with the size and time of change of each file, so that a second
site of the same results reads no audio.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearlab.audio import read_audio, resample
from hearlab.cores import usable_cores
from hearlab.errors import InputError
from hearlab.files import atomic_path, md5_of, read_json, write_json, write_text
from hearlab.progress import UnitProgress
from hearlab.report.site.hearing_loss import NO_LOSS, heard_through
from hearlab.report.site.loudness import loudness
from hearlab.report.site.spectrogram import write_spectrogram
from hearlab.report.site.versions import Group, Part, Version

PICTURES, SOUNDS, RECORD = "pictures", "sounds", "sounds.json"
MAKE = 2  # counts up when pictures are made in another way
THREADS = 4  # reading, transforms and PNG all leave Python's lock alone
EXACT_SECONDS = 600.0  # of a group's versions together, which the browser holds decoded: 0.2 GB


@dataclass(frozen=True)
class Sound:
    """A measured version.

    Attributes:
        loudness: in LUFS; None for silence.
        seconds: how long it is.
        picture: file name of its spectrogram.
        peak: largest absolute sample.
        md5: of each part's file.
    """

    loudness: float | None
    seconds: float
    picture: str
    peak: float
    md5: tuple[str, ...] = ()


class Sounds:
    """Measures versions and keeps what was measured in the folder of a site.

    Args:
        root: the workspace that parts are relative to.
        site: the folder of the site.
        portable: copy every version into the site.
    """

    def __init__(self, root: Path, site: Path, *, portable: bool = False) -> None:
        self.root, self.site, self.portable = root, site, portable
        self.measured = 0
        self._found: dict[Version, Sound] = {}
        self._record: dict[str, Any] = {}
        try:
            known = read_json(site / PICTURES / RECORD)
            self._record = known["sounds"] if known.get("make") == MAKE else {}
        except (InputError, KeyError, AttributeError, TypeError):
            pass  # no site yet, or an older one's: everything is measured

    def measure(self, groups: Iterable[Group]) -> list[str]:
        """Measure all versions of `groups`; gives what could not be read, one line each."""
        versions = list(dict.fromkeys(version for group in groups for version in group.versions))
        problems = []
        with ThreadPoolExecutor(min(THREADS, usable_cores())) as pool:
            jobs = {pool.submit(self._measure, version): version for version in versions}
            progress = UnitProgress("report, sounds", len(jobs)) if jobs else None
            for job in as_completed(jobs):
                try:
                    self._found[jobs[job]] = job.result()
                except InputError as error:
                    problems.append(str(error))
                if progress:
                    progress.advance()
            if progress:
                progress.finish()
        self._record = dict(sorted((self._key(version), asdict(sound)) for version, sound in self._found.items()))
        write_json(self.site / PICTURES / RECORD, {"make": MAKE, "sounds": self._record})
        self._sweep()
        return problems

    def of(self, version: Version) -> Sound | None:
        """What was measured; None for a version that could not be read."""
        return self._found.get(version)

    def urls(self, version: Version, page: Path) -> list[dict[str, Any]]:
        """The files of a version for the player: address from `page`, factor, first second, ear."""
        if self.portable or version.loss:
            copy = self._copy_file(version)
            return [{"url": relative_url(copy, page), "name": copy.stem, "factor": 1.0, "start": 0.0, "ear": ""}]
        urls = [relative_url(self.root / part.path, page) for part in version.parts]
        return [
            {"url": url, "factor": part.factor, "start": part.start, "ear": part.ear}
            for url, part in zip(urls, version.parts, strict=True)
        ]

    def embedded(self, group: Group, page: Path) -> list[str] | None:
        """Scripts that hold the copies of a group, so that a page opened from disk can switch at the very sample.

        None if the site is not portable or the group is too long to be held decoded.
        """
        seconds = sum(sound.seconds for version in group.versions if (sound := self.of(version)))
        if not self.portable or seconds > EXACT_SECONDS:
            return None
        scripts = []
        for version in group.versions:
            if self.of(version) is None:
                continue
            copy = self._copy_file(version)
            script = copy.with_suffix(".js")
            if not script.exists():
                content = base64.b64encode(copy.read_bytes()).decode("ascii")
                write_text(script, f"hearlabSound({json.dumps(copy.stem)}, {json.dumps(content)});\n")
            scripts.append(relative_url(script, page))
        return scripts

    def _measure(self, version: Version) -> Sound:
        key = self._key(version)
        known = self._record.get(key)
        name = f"{key}.png"
        if known and (self.site / PICTURES / name).exists() and not self._copy_missing(version):
            return Sound(**{**known, "md5": tuple(known["md5"])})
        samples, rate = self._read(version)
        if version.loss:
            level = loudness(*self._read(replace(version, parts=version.beside, loss=NO_LOSS)))
            samples = heard_through(samples, rate, version.loss)
        else:
            level = loudness(samples, rate)
        if not (self.site / PICTURES / name).exists():
            write_spectrogram(self.site / PICTURES / name, samples, rate, level)
        if self._copy_missing(version):
            self._copy(version, samples, rate)
        self.measured += 1
        if version.loss:
            level = loudness(samples, rate)  # the picture is at that of the unprocessed sound
        peak = float(np.max(np.abs(samples), initial=0.0))
        md5 = tuple(md5_of(self.root / part.path) for part in version.parts)
        return Sound(level if np.isfinite(level) else None, samples.shape[0] / rate, name, peak, md5)

    def _read(self, version: Version) -> tuple[NDArray[np.float64], int]:
        """Samples of shape (n, 2) and their rate; mono files of the two ears are put side by side."""
        ears = [self._read_part(part) for part in version.parts]
        rate = max(rate for _, rate in ears)
        signals = [resample(samples, own, rate) for samples, own in ears]
        if len(signals) > 1:
            length = max(signal.shape[0] for signal in signals)
            signals = [np.pad(signal[:, :1], ((0, length - signal.shape[0]), (0, 0))) for signal in signals]
        joined = np.concatenate(signals, axis=1)
        return (np.repeat(joined, 2, axis=1) if joined.shape[1] == 1 else joined[:, :2]), rate

    def _read_part(self, part: Part) -> tuple[NDArray[np.float64], int]:
        path = self.root / part.path
        if not part.start and part.end is None:
            samples, rate = read_audio(path)
        else:
            try:
                rate = soundfile.info(path).samplerate
            except soundfile.LibsndfileError as error:
                raise InputError(path, "cannot be read as audio", found=error.error_string) from None
            frames = None if part.end is None else round((part.end - part.start) * rate)
            samples, rate = read_audio(path, start=round(part.start * rate), frames=frames)
        return samples * part.factor, rate

    def _copy_file(self, version: Version) -> Path:
        return self.site / SOUNDS / f"{self._key(version)}.flac"

    def _copy_missing(self, version: Version) -> bool:
        return bool(self.portable or version.loss) and not self._copy_file(version).exists()

    def _copy(self, version: Version, samples: NDArray[np.float64], rate: int) -> None:
        with atomic_path(self._copy_file(version)) as temporary:
            # What a loss leaves can be 90 dB down.
            subtype = "PCM_24" if version.loss else "PCM_16"
            soundfile.write(temporary, np.clip(samples, -1, 1), rate, format="FLAC", subtype=subtype)

    def _key(self, version: Version) -> str:
        """Of the version's files as they are now."""
        digest = hashlib.sha256(repr((MAKE, *version.loss)).encode())
        for part in (*version.parts, *version.beside):
            about = (self.root / part.path).stat()
            parts = (
                os.fspath(part.path),
                about.st_size,
                about.st_mtime_ns,
                part.start,
                part.end,
                part.factor,
                part.ear,
            )
            digest.update(repr(parts).encode())
        return digest.hexdigest()[:24]

    def _sweep(self) -> None:
        """Delete pictures and copies that no version of this site has."""
        keep = set(self._record)
        for folder in (PICTURES, SOUNDS):
            for path in (self.site / folder).glob("*"):
                if path.suffix in (".png", ".flac", ".js") and path.stem not in keep:
                    path.unlink(missing_ok=True)


def relative_url(target: Path, page: Path) -> str:
    """The address of a file as seen from a page, with every character quoted that means something in an address."""
    path = os.path.relpath(target, page.parent)
    return "/".join(quote(piece, safe="") for piece in Path(path).parts)
