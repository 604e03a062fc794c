"""How many units a stage has, how many of them are done, and what the others cost.

A stage is asked for its units. Where what it reads to list them is still to be made, their number is estimated from the
parameters. Costs are those of the units that ran here; where none did, those of the reference costs beside this module.
"""

from __future__ import annotations

import contextlib
import statistics
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from hearlab.compute.identity import NotRead
from hearlab.compute.memo import Memo
from hearlab.compute.timings import unit_seconds
from hearlab.compute.unchanged import CodeWatch
from hearlab.compute.units import Unit
from hearlab.datasets.layout import STEMS
from hearlab.datasets.own.description import LISTENERS, MUSIC, SPEECH, description_folder, names_of, read_files
from hearlab.datasets.song_lists import read_songs
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.listeners import load_listeners
from hearlab.params import TRAINED, Params
from hearlab.params.subsets import Draw, selected
from hearlab.scoring.tracks import TRACKS
from hearlab.separators import SEPARATORS
from hearlab.stages import has_units, index_file, stage_units
from hearlab.stages.common import SMALL_TEST, workspace
from hearlab.systems.base import is_fitted

COSTS = "unit_costs.toml"
SCORING = TRACKS["speech"].scoring_stage


@dataclass(frozen=True)
class Work:
    """The units of a stage.

    Attributes:
        units: how many; None if the stage is one piece.
        done: how many the memo has already; None if that cannot be known before other stages have run.
        seconds: of one core, for those that are to do.
        bytes: that they write.
        measured: whether the seconds are those of units that ran here.
        source: of the seconds, if they are not.
    """

    units: int | None = None
    done: int | None = None
    seconds: float = 0.0
    bytes: float = 0.0
    measured: bool = False
    source: str = ""


class Workload:
    """What the stages have to do.

    Args:
        params: the parameters of the planned run; the workspace is the current folder.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self.memo = Memo(Path.cwd())
        self._measured_seconds = unit_seconds(self.memo.folder)
        self._identities = self.memo.identities(may_read=False)
        text = resources.files("hearlab.report.plan").joinpath(COSTS).read_text(encoding="utf-8")
        self.costs: dict[str, Any] = tomllib.loads(text)

    def of(self, stage: str, runs: str) -> Work:
        """The work of a stage.

        Args:
            stage: its name in dvc.yaml.
            runs: 'yes', 'no' or 'perhaps', see `PlannedStage`.
        """
        name, *arguments = stage.split("@")
        listed = self._listed(name, *arguments) if runs == "yes" else None
        units = self._estimated_units(name, *arguments) if listed is None else len(listed)
        if runs == "no":
            return Work(units, units)
        index = index_file(name, self.params, *arguments)
        linked = name == "render_scenes" and self.params.scene_source(*arguments) == "packaged"
        seconds, size, source = self._reference("link_scenes" if linked else name)
        measured = None
        if not linked:  # links cost the same wherever they are made
            measured, size = self._measured_seconds.get(index.as_posix()), self._measured_bytes(index) or size
        if measured and name == SCORING:
            measured *= self._scores_of_a_pair / (self._scores_then(index) or self._scores_of_a_pair)
        if units is None:  # one piece; of real data it only looks at what is there
            return Work(seconds=seconds, bytes=size, source=source) if self.params.dataset == "demo" else Work()
        done = None if listed is None else self._done(listed, index)
        to_do = units - (done or 0)
        return Work(units, done, to_do * (measured or seconds), to_do * size, measured is not None, source)

    def _listed(self, name: str, *arguments: str) -> list[Unit] | None:
        """The units of a stage; None if it has none, or what it reads to list them is not there."""
        try:
            return stage_units(name, self.params, *arguments) if has_units(name) else None
        except (InputError, OSError, ImportError):
            return None

    def _done(self, units: list[Unit], index: Path) -> int | None:
        """How many units the memo has; None if a unit's inputs are not all there, or would have to be read."""
        self.memo.load_index(index)
        try:
            code = CodeWatch()  # looks at the code once for all units
            keys = (unit.key(self._identities, code.identity(unit))[0] for unit in units)
            return sum(self.memo.find(key, may_read=False) is not None for key in keys)
        except (InputError, NotRead):
            return None

    # --- estimated numbers ------------------------------------------------------------------------------------

    def _estimated_units(self, name: str, split: str = "train_additional") -> int | None:
        """By what a unit is, as the table of costs says; None of a stage that is one piece, or not in the table."""
        match self.costs.get(name, {}).get("unit"):
            case "scene":
                return self._scenes(split)
            case "scene and listener":
                return self._scene_listener_pairs()
            case "network":
                return len(STEMS) + 1 if self.params.separator_weights == TRAINED else 0
            case "listener and stem":
                return len(STEMS) * self._listeners() if is_fitted(self.params.enhance.system) else 0
            case "room for learning":
                return self.params.learn.rooms if self.params.trains_enhancer and self.params.source == "demo" else 0
            case "hearing aid":
                return int(self.params.trains_enhancer)
            case "song":
                return self._songs()
            case "song and listener":
                pairs = self._songs() * self._listeners()
                return -(-pairs // SMALL_TEST) if self.params.evaluate.small_test else pairs
        return None

    def _scenes(self, split: str) -> int:
        if self.params.source == "own":
            return self._own(SPEECH) if split == "dev" else 0
        return self.params.scene_count(split)

    def _scene_listener_pairs(self) -> int:
        evaluate = self.params.evaluate
        try:
            pairs = read_json(workspace(self.params).clarity.scenes_listeners(evaluate.split))
            chosen = selected(list(pairs), evaluate.scenes, "evaluate.scenes")
            return sum(self._heard_by(len(names)) for scene, names in pairs.items() if scene in chosen)
        except (InputError, AttributeError, TypeError):
            own = self.params.source == "own"
            each = self._own_listeners() if own else int(self.costs["pairs"]["listeners_per_scene"])
            return _chosen(self._scenes(evaluate.split), evaluate.scenes) * self._heard_by(each)

    def _songs(self) -> int:
        split = self.params.evaluate.song_split
        try:
            songs = len(read_songs(workspace(self.params).cadenza.songs(split)))
        except InputError:
            if self.params.source == "own":
                songs = self._own(MUSIC)
            else:
                counts = self.params.data.songs
                songs = int(getattr(counts, split)) if counts else int(self.costs["songs"][split])
        return _chosen(songs, self.params.evaluate.songs)

    def _listeners(self) -> int:
        try:
            number = len(load_listeners(workspace(self.params).cadenza.listeners(self.params.evaluate.song_listeners)))
        except InputError:
            number = self._own_listeners() if self.params.source == "own" else int(self.costs["songs"]["listeners"])
        return self._heard_by(number)

    def _heard_by(self, listeners: int) -> int:
        """How many listeners are left of those of a scene or song; names may be of the other track, so at most."""
        chosen = self.params.evaluate.listeners
        if isinstance(chosen, str):
            with contextlib.suppress(InputError):  # the stage tells what is wrong with the file
                return len(load_listeners(chosen))
        return min(listeners, len(chosen)) if isinstance(chosen, tuple) else listeners

    def _own(self, track: str) -> int:
        """Scenes or songs of an own data set, by its description."""
        try:
            return len(names_of(read_files(description_folder(Path(), self.params.dataset)), track))
        except InputError:  # the plan names what is missing
            return 0

    def _own_listeners(self) -> int:
        try:
            return len(load_listeners(description_folder(Path(), self.params.dataset) / LISTENERS))
        except InputError:
            return 0

    # --- costs ------------------------------------------------------------------------------------------------

    def _reference(self, name: str) -> tuple[float, float, str]:
        """Seconds of one core and bytes of a unit by the table of costs, and where they come from."""
        cost = dict(self.costs.get(name, {}))
        if name == "separate_music":
            cost["seconds_per_second"] = SEPARATORS[self.params.separate.model].seconds_per_second

        def total(what: str) -> float:
            rate = cost.get(f"{what}_per_second")
            return float(cost.get(what, 0.0)) + (rate * self._song_seconds if rate else 0.0)

        times = self._scores_of_a_pair if name == SCORING else 1
        return times * total("seconds"), total("bytes"), cost.get("source", "")

    @property
    def _scores_of_a_pair(self) -> int:
        """Scores of speech for each pair: HASQI with HASPI's ear takes as long as HASPI (`make bench`)."""
        return len(self.params.evaluate.speech_metrics) * (2 if self.params.evaluate.unprocessed else 1)

    def _scores_then(self, index: Path) -> int | None:
        """How many scores each pair of the last result has, whose time was measured."""
        try:
            result = read_json(index)["units"][0]["result"]
            return len(result.keys() - {"scene", "listener"})
        except (InputError, KeyError, TypeError, IndexError, AttributeError):
            return None

    @cached_property
    def _song_seconds(self) -> float:
        """Mean length of the songs to evaluate."""
        from hearlab.audio import opened

        def seconds(file: Path) -> float:
            with opened(file) as sound:
                return sound.frames / sound.samplerate

        data = workspace(self.params).cadenza
        try:
            songs = read_songs(data.songs(self.params.evaluate.song_split))
            files = [data.stem(song.split, song.name, "mixture") for song in songs]
            return statistics.fmean(map(seconds, files))
        except (InputError, statistics.StatisticsError):
            return float(self.costs["songs"]["seconds"])

    def _measured_bytes(self, index: Path) -> float | None:
        """Mean bytes of the units of the stage's last result."""
        try:
            units = read_json(index)["units"]
            if any(unit["result"] == {"source": "packaged"} for unit in units):
                return None
            return statistics.fmean(sum(file["size"] for file in unit["files"]) for unit in units)
        except (InputError, ValueError, KeyError, TypeError):  # a StatisticsError, of no units, is a ValueError
            return None


def _chosen(number: int, choice: Draw | tuple[str, ...] | None) -> int:
    """How many scenes or songs a subset has, at most."""
    if choice is None:
        return number
    return min(number, choice.draw if isinstance(choice, Draw) else len(choice))
