"""The hearing aid's outputs of the experiment that is compared with, as far as DVC's cache has them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import SIDES, STEMS, enhanced_file, music_file
from hearlab.datasets.stem_files import factor_file, factor_from
from hearlab.files import atomic_path, parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.report.site.results import Results
from hearlab.report.site.shown_result import system_name
from hearlab.report.site.versions import Part, Version
from hearlab.scoring.tracks import Track
from hearlab.versions.revisions import RevisionFiles

FOLDER = "against"
SHORT = 12  # digits of a commit that name its folder
COMMIT = re.compile(rf"[0-9a-f]{{{SHORT}}}")
COPIED = re.compile(rf"{FOLDER}/{COMMIT.pattern}/[^/]+")


class OtherSounds:
    """Brings the sounds of the other result into a site.

    Nothing comes of bare tables of scores, nor of another data set.

    Args:
        results: what the site shows.
        out: the folder of the site.

    Attributes:
        absent: how many sounds DVC's cache has not; a remote is not asked: that could be a long download.
    """

    def __init__(self, results: Results, out: Path) -> None:
        self.results, self.out, self.absent = results, out, 0
        self._source = results.against
        self._files: RevisionFiles | None = None
        self._about = ""
        if self._source is not None and isinstance(self._source.files, RevisionFiles):
            values: Mapping[str, Any] = flat(parse_yaml(self._source.files.read(PARAMS_FILE)))
            if values.get("dataset") == results.params.dataset:
                self._files = self._source.files
                self._about = f"{system_name(str(values.get('enhance.system', '')))} in {self._source.label}"

    def versions(self, track: Track, unit: str, listeners: Sequence[str]) -> dict[str, list[Version]]:
        """The scene or song as the other experiment gave it to these listeners, by the group that it belongs to."""
        found: dict[str, list[Version]] = {}
        for listener in listeners if self._files is not None else ():
            made: dict[str, tuple[Part | None, ...]]
            if track.cluster == "scene":
                path = enhanced_file(self.results.files.enhanced, unit, listener)
                made = {"Scene": (self._part(path),)}
            else:
                made = {"Song": (self._part(self._music(listener, unit, "remix")),)}
                for stem in STEMS:
                    parts = (self._part(self._music(listener, unit, f"{side}_{stem}"), side) for side in SIDES)
                    made[stem.capitalize()] = tuple(parts)
            for group, whole in made.items():
                parts_here = tuple(part for part in whole if part is not None)
                if len(parts_here) < len(whole):
                    self.absent += 1
                    continue
                label = f"{self._source.name if self._source else ''}, {listener}"
                found.setdefault(group, []).append(Version(label, self._about, "other", parts_here, listener))
        return found

    def sweep(self) -> None:
        """Delete the copies of other experiments than the one that is compared with now."""
        kept = self._files.commit[:SHORT] if self._files is not None else None
        for folder in (self.out / FOLDER).glob("*"):
            if folder.name != kept and COMMIT.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)

    def _music(self, listener: str, song: str, signal: str) -> Path:
        return music_file(self.results.files.enhanced_music, listener, song, signal)

    def _part(self, path: Path, ear: str = "") -> Part | None:
        """A file of the other experiment, in the site, with the factor of a stem; None if it is not here."""
        files = self._files
        assert files is not None
        copy = self.out / FOLDER / files.commit[:SHORT] / path.name
        if not copy.exists():
            found = files.cached_file(path.as_posix())
            if found is None:
                return None
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(found, copy)  # a song has nine files for each listener
            except OSError:
                with atomic_path(copy) as temporary:
                    shutil.copyfile(found, temporary)
        text = files.cached(factor_file(path).as_posix()) if ear else None
        factor = factor_from(text) if text is not None else None
        return Part(copy.absolute(), factor=1.0 if factor is None else factor, ear=ear)
