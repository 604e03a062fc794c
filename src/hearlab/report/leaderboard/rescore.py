"""Pairs of a revision scored again from its own signals, with this HearLab's metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from hearlab.compute.engine import outcomes
from hearlab.compute.units import Unit
from hearlab.datasets.layout import DATA, Workspace
from hearlab.errors import InputError
from hearlab.files import parse_json
from hearlab.params import PARAMS_FILE, Params, load_params
from hearlab.progress import UnitProgress
from hearlab.scoring.metadata import metadata_files
from hearlab.scoring.table import Pair, parse_scores
from hearlab.scoring.tracks import Track
from hearlab.versions.checkout import Checkout
from hearlab.versions.lock import overlap

Cells: TypeAlias = dict[Pair, dict[str, float]]
"""Every score of a table: pair -> column -> value."""

STAGE = "verify"
# From so many pairs on, whole folders are pulled: DVC looks up single files one by one.
MANY = 200


@dataclass(frozen=True)
class Cell:
    """A score that is not what it should be; a value is None where the pair is missing."""

    pair: Pair
    column: str
    found: float | None
    wanted: float | None

    def text(self, how: str) -> str:
        """`how` says where the wanted value comes from."""
        found, wanted = ("nothing" if value is None else f"{value:.8f}" for value in (self.found, self.wanted))
        return f"{' '.join(self.pair)}, {self.column}: found {found}, {how} {wanted}"


@dataclass(frozen=True)
class Rescored:
    """Scores made again, and what could not be made: pair -> why."""

    cells: Cells
    failed: dict[Pair, str] = field(default_factory=dict)


def read_cells(content: bytes, where: str) -> Cells:
    """All columns of a table of scores.

    Raises:
        InputError: it is no such table.
    """
    cells: Cells = {}
    for table in parse_scores(content, where).values():
        for column, values in table.columns.items():
            for pair, value in zip(table.rows, values.tolist(), strict=True):
                cells.setdefault(pair, {})[column] = value
    return cells


def index_cells(content: bytes | None, track: Track) -> Cells:
    """What the index of units remembers of the scores; nothing where it is missing or foreign."""
    try:
        index = parse_json(content or b"{}", track.scoring_stage)
        return dict(_row(track, unit["result"]) for unit in index.get("units", []))
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def differing(found: Cells, wanted: Cells, tolerance: float) -> list[Cell]:
    """Cells of the wanted pairs that are not as wanted, in the order of their names."""
    cells = []
    for pair in sorted(wanted):
        own = found.get(pair, {})
        for column, value in wanted[pair].items():
            cell = own.get(column)
            if cell is None or not abs(cell - value) <= tolerance:
                cells.append(Cell(pair, column, cell, value))
    return cells


def scoring_units(root: Path, track: Track) -> dict[Pair, Unit]:
    """The units that score the enhanced signals of a workspace, by their pairs.

    Raises:
        InputError: the parameters, or the lists of scenes, songs or listeners are missing or wrong.
    """
    from hearlab.stages import stage_units

    params = load_params(root / PARAMS_FILE)
    evaluate = params.evaluate.model_copy(update={"unprocessed": False})
    with contextlib.chdir(root):  # the stages' paths are relative to the workspace
        units = stage_units(track.scoring_stage, params.model_copy(update={"evaluate": evaluate}))
    return {(unit.arguments[track.cluster], unit.arguments["listener"]["name"]): unit for unit in units}


def list_files(track: Track, values: Mapping[str, object]) -> list[str]:
    """Lists of the pairs of a split, to be pulled first."""
    files = Workspace(Path(DATA) / str(values.get("dataset")))
    scenes, listeners = metadata_files(track, values)
    if scenes is not None:
        paths = [listeners, files.clarity.scenes_listeners(str(values.get("evaluate.split"))), scenes]
    else:
        songs = str(values.get("evaluate.song_split"))
        paths = [files.cadenza.songs(songs), listeners]
        paths += [files.cadenza.segments] if songs == "test" else []
    return [path.as_posix() for path in paths]


def rescore(copy: Checkout, track: Track, units: Mapping[Pair, Unit]) -> Rescored:
    """Score pairs again.

    Raises:
        InputError: their signals cannot be had.
    """
    wrong = copy.pull(_targets(load_params(copy.path / PARAMS_FILE), track, list(units.values())))
    failed = {
        pair: f"{altered[0]} is not what dvc.lock says"
        for pair, unit in units.items()
        if (altered := [name for name in unit.inputs if any(overlap(name, one) for one in wrong)])
    }
    pairs = {unit.id: pair for pair, unit in units.items()}
    todo = [unit for pair, unit in units.items() if pair not in failed]
    cells: Cells = {}
    progress = UnitProgress("score again", len(units))
    with contextlib.chdir(copy.path):
        for unit, outcome in outcomes(todo, copy.path, copy.path / ".hearlab" / STAGE, STAGE, idle=lambda: None):
            progress.advance(failed=outcome.failure is not None)
            if outcome.failure is not None:
                failed[pairs[unit.id]] = outcome.failure.cause
            else:
                pair, row = _row(track, outcome.result)
                cells[pair] = row
    progress.finish()
    return Rescored(cells, failed)


def _targets(params: Params, track: Track, units: Sequence[Unit]) -> list[str]:
    if len(units) < MANY:
        return list(dict.fromkeys(name for unit in units for name in unit.inputs))
    files = Workspace(Path(DATA) / params.dataset)
    if track.cluster == "scene":
        folders = [files.rendered(params.evaluate.split), files.enhanced]
    else:
        folders = [files.cadenza.audio.parent, files.enhanced_music]
    return [folder.as_posix() for folder in folders]


def _row(track: Track, result: Mapping[str, object]) -> tuple[Pair, dict[str, float]]:
    """A unit's result as a row of the table of enhanced signals."""
    keys = {metric.column: track.result_key(metric) for metric in track.metrics}
    keys |= {name: name for metric in track.metrics for stem in metric.stems for name in metric.ear_columns(stem)}
    scores = {column: _number(result[key]) for column, key in keys.items() if key in result}
    if track.headline.column not in scores:
        raise KeyError(track.headline.column)
    return (str(result[track.cluster]), str(result["listener"])), scores


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise InputError("score", "is no number", found=repr(value))
    return float(value)
