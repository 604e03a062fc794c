"""How many units a stage has, how many of them are done, and what the others cost."""

from __future__ import annotations

import json
import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hearlab.compute.identity import Identities
from hearlab.compute.memo import Memo
from hearlab.compute.timings import unit_seconds
from hearlab.compute.units import Unit
from hearlab.datasets.song_lists import read_songs
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.listeners import load_listeners
from hearlab.params import TRAINED, Params
from hearlab.separators import SEPARATORS
from hearlab.stages import has_units, stage_units
from hearlab.stages.common import SMALL_TEST, workspace

COSTS = "unit_costs.toml"
MUSIC_STAGES = ("separate_music", "enhance_music", "score_music")


@dataclass(frozen=True)
class Work:
    """The units of a stage.

    Attributes:
        units: how many; None if the stage is one piece.
        done: how many the memo has already; None if that cannot be known before other stages have run.
        seconds: of one core, for those that are to do.
        bytes: that they write.
        measured: whether the seconds rest on the units' own times, here.
        source: of the seconds, if they do not.
    """

    units: int | None = None
    done: int | None = None
    seconds: float = 0.0
    bytes: float = 0.0
    measured: bool = False
    source: str = ""


class _NotRead(Exception):
    """A file's identity is not known without reading it."""


class _KnownIdentities(Identities):
    def _read(self, path: Path) -> str:
        raise _NotRead(path)


class Workload:
    """What the stages have to do, by the parameters, the memo and the reference costs.

    Args:
        root: the workspace; the current folder.
        params: the parameters of the planned run.
    """

    def __init__(self, root: Path, params: Params) -> None:
        self.root, self.params = root, params
        self.memo = Memo(root)
        self._times = unit_seconds(self.memo.folder)
        self._identities = self._known_identities()
        self.costs: dict[str, Any] = tomllib.loads(
            resources.files("hearlab.report.plan").joinpath(COSTS).read_text(encoding="utf-8")
        )

    def of(self, stage: str, runs: str) -> Work:
        """The work of a stage.

        Args:
            stage: its name in dvc.yaml.
            runs: 'yes', 'no' or 'perhaps', see `PlannedStage`.
        """
        name, _, split = stage.partition("@")
        units = self._count(name, split)
        if runs == "no":
            return Work(units, units)
        if units is None:
            made = self.costs.get(name, {}) if self.params.dataset == "demo" else {}
            return Work(seconds=made.get("seconds", 0.0), bytes=made.get("bytes", 0.0), source=made.get("source", ""))
        index = self._index(name, split)
        cost_name = self._cost_name(name, split)
        done = self._done(stage, index) if runs == "yes" else None
        to_do = units - (done or 0)
        seconds, size, source = self._reference(name, cost_name)
        measured = None
        if cost_name == name:  # links cost the same wherever they are made
            measured, size = self._times.get(index.as_posix()), self._measured_bytes(index) or size
        return Work(units, done, to_do * (measured or seconds), to_do * size, measured is not None, source)

    # --- how many ---------------------------------------------------------------------------------------------

    def _count(self, name: str, split: str) -> int | None:
        params = self.params
        if name in ("build_scenes", "render_scenes"):
            return params.scene_count(split)
        if name == "build_additional_scenes":
            return params.scene_count("train_additional")
        if name in ("enhance_speech", "score_speech"):
            return self._scene_listener_pairs()
        if name == "train_separator":
            return 5 if params.separator_weights == TRAINED else 0
        if name == "separate_music":
            return self._songs()
        if name in ("enhance_music", "score_music"):
            pairs = self._songs() * self._listeners()
            return -(-pairs // SMALL_TEST) if params.evaluate.small_test else pairs
        return None

    def _scene_listener_pairs(self) -> int:
        split = self.params.evaluate.split
        scenes = self.params.scene_count(split)
        path = self.root / workspace(self.params).clarity.scenes_listeners(split)
        try:
            return sum(len(names) for names in read_json(path).values())
        except (InputError, AttributeError, TypeError):
            return round(scenes * float(self.costs["pairs"]["listeners_per_scene"]))

    def _songs(self) -> int:
        split = self.params.evaluate.song_split
        try:
            return len(read_songs(self.root / workspace(self.params).cadenza.songs(split)))
        except InputError:
            counts = self.params.data.songs
            return int(getattr(counts, split)) if counts else int(self.costs["songs"][split])

    def _listeners(self) -> int:
        path = self.root / workspace(self.params).cadenza.listeners(self.params.evaluate.song_listeners)
        try:
            return len(load_listeners(path))
        except InputError:
            return int(self.costs["songs"]["listeners"])

    # --- how many are done ------------------------------------------------------------------------------------

    def _done(self, stage: str, index: Path) -> int | None:
        """How many units the memo has; None if a unit's inputs are not all there, or would have to be read."""
        units = self._list(stage)
        if units is None:
            return None
        self.memo.load_index(self.root / index)
        try:
            return sum(self.memo.find(unit.key(self._identities)[0]) is not None for unit in units)
        except (InputError, _NotRead):
            return None

    def _list(self, stage: str) -> list[Unit] | None:
        name, *arguments = stage.split("@")
        if not has_units(name):
            return None
        try:
            return stage_units(name, self.params, *arguments)
        except (InputError, OSError, ImportError):
            return None  # what it reads is still to be made

    def _known_identities(self) -> Identities:
        from hearlab.versions.lock import lock_records

        memo = self.memo
        return _KnownIdentities(
            memo.root, memo.folder / "identities.json", memo.cache, lock_records(memo.root, memo.cache)
        )

    # --- what they cost ---------------------------------------------------------------------------------------

    def _cost_name(self, name: str, split: str) -> str:
        linked = name == "render_scenes" and self.params.scene_source(split) == "packaged"
        return "link_scenes" if linked else name

    def _index(self, name: str, split: str) -> Path:
        return workspace(self.params).index(f"{name}.{split}" if split else name)

    def _reference(self, name: str, cost_name: str) -> tuple[float, float, str]:
        """Seconds of one core and bytes of a unit, and where they come from."""
        cost = self.costs[cost_name]
        if name == "separate_music":
            cost = {**cost, "seconds_per_second": SEPARATORS[self.params.separate.model].seconds_per_second}
        factor = self._song_seconds() if name in MUSIC_STAGES else 1.0
        seconds = cost.get("seconds", 0.0) + factor * cost.get("seconds_per_second", 0.0)
        if name == "score_speech" and self.params.evaluate.unprocessed:
            seconds *= 2
        return seconds, cost.get("bytes", 0.0) + factor * cost.get("bytes_per_second", 0.0), str(cost["source"])

    def _song_seconds(self) -> float:
        import soundfile

        data = workspace(self.params).cadenza
        try:
            songs = read_songs(self.root / data.songs(self.params.evaluate.song_split))
            files = [self.root / data.stem(song.split, song.name, "mixture") for song in songs]
            return statistics.fmean(soundfile.info(file).duration for file in files)
        except (InputError, soundfile.SoundFileError, statistics.StatisticsError):
            return float(self.costs["songs"]["seconds"])

    def _measured_bytes(self, index: Path) -> float | None:
        """Mean bytes of the units of the stage's last result."""
        try:
            units: Sequence[Any] = json.loads((self.root / index).read_text(encoding="utf-8"))["units"]
            linked = [unit for unit in units if unit["result"] == {"source": "packaged"}]
            if not units or linked:
                return None
            return statistics.fmean(sum(file["size"] for file in unit["files"]) for unit in units)
        except (OSError, ValueError, KeyError, TypeError):
            return None
