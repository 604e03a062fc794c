"""Sounds of the site: loudness, spectrogram and (for a portable site) a copy of every version.

What was measured is remembered beside the pictures with the size and time of change of each file, so that a second
site of the same results reads no audio.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hearlab.errors import InputError
from hearlab.files import read_json, write_json, write_text
from hearlab.progress import UnitProgress
from hearlab.report.site.measuring import measured_sound, plain
from hearlab.report.site.versions import Group, Version
from hearlab.versions.scratch import scratch_folder

if TYPE_CHECKING:  # `hearlab show` measures nothing: what runs units is imported where it is used
    from hearlab.compute.units import Unit

PICTURES, SOUNDS, RECORD = "pictures", "sounds", "sounds.json"
MEASURED = re.compile(rf"(?:{PICTURES}|{SOUNDS})/[0-9a-f]{{24}}\.(?:png|flac|js)|{PICTURES}/{RECORD}")
MAKE = 3  # counts up when pictures are made in another way
STAGE = "report, sounds"
STAGING = ".measuring-"
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
        self._keys: dict[Version, str] = {}  # of versions as their files were when they were first asked for
        self._record: dict[str, Any] = {}
        try:
            known = read_json(site / PICTURES / RECORD)
            self._record = known["sounds"] if known.get("make") == MAKE else {}
        except (InputError, KeyError, AttributeError, TypeError):
            pass  # no site yet, or an older one's: everything is measured

    def measure(self, groups: Iterable[Group]) -> list[str]:
        """Measure all versions of `groups`, here, by workers or on Ray; gives what could not be read, one line each."""
        from hearlab.compute.engine import outcomes
        from hearlab.compute.execution import execute, unit_folder

        versions = list(dict.fromkeys(version for group in groups for version in group.versions))
        waiting: dict[str, list[Version]] = {}  # two listeners can have the same hearing loss
        for version in versions:
            known = self._known(version)
            if known is None:
                waiting.setdefault(self._key(version), []).append(version)
            else:
                self._found[version] = known
        problems = []
        units: list[Unit] = []
        far: list[Unit] = []
        for own in waiting.values():
            # The copies that are compared with may lie where another machine does not see them.
            absolute = any(part.path.is_absolute() for part in own[0].parts)
            (far if absolute and os.environ.get("RAY_ADDRESS") else units).append(self._unit(own[0]))
        progress = UnitProgress(STAGE, len(waiting)) if waiting else None
        for folder in (PICTURES, *([SOUNDS] if any(len(unit.outputs) > 1 for unit in (*units, *far)) else [])):
            (self.site / folder).mkdir(parents=True, exist_ok=True)
        # An interrupted run keeps what it has measured.
        with self._recorded(), scratch_folder(self.site.absolute(), STAGING) as staging:
            # Workers have other working folders.
            code = units[0].code_identity() if units else ""
            arriving = outcomes(
                units, self.root, staging, STAGE, idle=lambda: None, code=lambda unit: code, progress=progress
            )
            here = ((unit, execute(unit, self.root, unit_folder(staging, unit.id))) for unit in far)
            for unit, outcome in itertools.chain(arriving, here):
                if outcome.failure is not None:
                    problems.append(outcome.failure.cause)
                else:
                    self._take(unit, unit_folder(staging, unit.id))
                    found = {**outcome.result, "picture": f"{unit.id}.png", "md5": tuple(outcome.result["md5"])}
                    self._found |= dict.fromkeys(waiting[unit.id], Sound(**found))
                    self.measured += 1
                if progress:
                    progress.advance(failed=outcome.failure is not None)
        if progress:
            progress.finish()
        self._sweep()
        return problems

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        """Note what was measured, however it ends."""
        try:
            yield
        finally:
            # As JSON has it: a record that is the same is not written again.
            record = {
                self._key(version): {**vars(sound), "md5": list(sound.md5)} for version, sound in self._found.items()
            }
            self._record, before = dict(sorted(record.items())), self._record
            if self._record != before or not (self.site / PICTURES / RECORD).exists():
                write_json(self.site / PICTURES / RECORD, {"make": MAKE, "sounds": self._record})

    def _take(self, unit: Unit, made: Path) -> None:
        for name in unit.outputs:
            folder = PICTURES if name.endswith(".png") else SOUNDS
            os.replace(made / name, self.site / folder / name)

    def of(self, version: Version) -> Sound | None:
        """What was measured; None for a version that could not be read."""
        return self._found.get(version)

    def urls(self, version: Version, page: Path) -> list[dict[str, Any]]:
        """The files of a version for the player: address from `page`, factor, first second, ear."""
        if self.portable or version.loss:
            copy = self._copy_file(version)
            return [{"url": relative_url(copy, page), "name": copy.stem, "factor": 1.0, "start": 0.0, "ear": ""}]
        urls = [relative_url(os.path.join(self.root, part.path), page) for part in version.parts]
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

    def _unit(self, version: Version) -> Unit:
        """The work of measuring a version; its files are then put into the site."""
        key = self._key(version)
        copied = self.portable or bool(version.loss)
        arguments = {
            "parts": [plain(part) for part in version.parts],
            "beside": [plain(part) for part in version.beside],
            "loss": [[list(pair) for pair in ear] for ear in version.loss],
            "picture": f"{key}.png",
            "copy": f"{key}.flac" if copied else None,
        }
        from hearlab.compute.units import Unit

        inputs = tuple(dict.fromkeys(os.fspath(part.path) for part in (*version.parts, *version.beside)))
        outputs = (f"{key}.png", *([f"{key}.flac"] if copied else []))
        return Unit(key, measured_sound, arguments, inputs, outputs)

    def _known(self, version: Version) -> Sound | None:
        """What is known of a version whose files are in the site."""
        key = self._key(version)
        known = self._record.get(key)
        if not known or not os.path.exists(self.site / PICTURES / f"{key}.png") or self._copy_missing(version):
            return None
        return Sound(**{**known, "md5": tuple(known["md5"])})

    def _copy_file(self, version: Version) -> Path:
        return self.site / SOUNDS / f"{self._key(version)}.flac"

    def _copy_missing(self, version: Version) -> bool:
        return bool(self.portable or version.loss) and not self._copy_file(version).exists()

    def _key(self, version: Version) -> str:
        """Of the version's files as they were when it was first asked for."""
        key = self._keys.get(version)
        if key is None:
            key = self._keys[version] = self._key_now(version)
        return key

    def _key_now(self, version: Version) -> str:
        digest = hashlib.sha256(repr((MAKE, *version.loss)).encode())
        for part in (*version.parts, *version.beside):
            about = os.stat(self.root / part.path)
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
                if path.name != RECORD and path.stem not in keep and MEASURED.fullmatch(f"{folder}/{path.name}"):
                    path.unlink(missing_ok=True)


def relative_url(target: str | os.PathLike[str], page: Path) -> str:
    """The address of a file as seen from a page, with every character quoted that means something in an address."""
    folder, name = os.path.split(os.fspath(target))
    return _folder_url(folder, os.path.dirname(page), os.getcwd()) + quote(name, safe="")


@functools.lru_cache(maxsize=1024)
def _folder_url(folder: str, start: str, here: str) -> str:
    """Of a folder as seen from another one; `here` is what relative names begin from."""
    pieces = Path(os.path.relpath(os.path.join(here, folder), os.path.join(here, start))).parts
    return "".join(f"{quote(piece, safe='')}/" for piece in pieces)
