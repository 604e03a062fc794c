"""Pairs of a revision scored again from its own signals, with this HearLab's metrics."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from hearlab.compute.engine import outcomes
from hearlab.compute.units import Unit
from hearlab.datasets.layout import SIDES, STEMS, Workspace
from hearlab.errors import InputError
from hearlab.params import PARAMS_FILE, Params, load_params
from hearlab.progress import UnitProgress
from hearlab.report.compare.origins import DATA
from hearlab.scores.table import Pair, parse_scores
from hearlab.scores.tracks import TRACKS
from hearlab.versions.checkout import Checkout

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
    metric = parse_scores(content, where).metric
    cells: Cells = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
        own = {name.strip(): text for name, text in row.items()}
        pair = (own.pop(metric.cluster), own.pop("listener"))
        cells[pair] = {name: float(text) for name, text in own.items() if name == metric.column or _is_stem(name)}
    return cells


def index_cells(content: bytes | None, track: str) -> Cells:
    """What the index of units remembers of the scores; nothing where it is missing or foreign."""
    cells: Cells = {}
    try:
        for unit in json.loads(content or b"{}").get("units", []):
            pair, row = _row(track, unit["result"])
            cells[pair] = row
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return cells


def differing(found: Cells, wanted: Cells, tolerance: float) -> list[Cell]:
    """Cells of the wanted pairs that are not as wanted, in the order of their names."""
    cells = []
    for pair in sorted(wanted):
        own = found.get(pair)
        for column, value in wanted[pair].items():
            cell = None if own is None else own.get(column)
            if cell is None or not abs(cell - value) <= tolerance:
                cells.append(Cell(pair, column, cell, value))
    return cells


def metadata_files(track: str, dataset: str, values: Mapping[str, object]) -> list[str]:
    """Lists of the pairs of a split, to be pulled first."""
    files = Workspace(Path(DATA) / dataset)
    if track == "speech":
        split = str(values.get("evaluate.split"))
        paths = [files.clarity.listeners, files.clarity.scenes_listeners(split), files.scenes(split)]
    else:
        songs, listeners = (str(values.get(f"evaluate.{name}")) for name in ("song_split", "song_listeners"))
        paths = [files.cadenza.songs(songs), files.cadenza.listeners(listeners)]
        paths += [files.cadenza.segments] if songs == "test" else []
    return [path.as_posix() for path in paths]


def rescore(copy: Checkout, track: str, pairs: Sequence[Pair]) -> Rescored | str:
    """Score pairs again; gives DVC's complaint if their signals cannot be had.

    Raises:
        InputError: the revision's parameters or lists cannot be read by this HearLab.
    """
    params = load_params(copy.path / PARAMS_FILE)
    with contextlib.chdir(copy.path):  # the stages' paths are relative to the workspace
        units = _units(params, track, set(pairs))
        complaint = copy.pull(_targets(params, track, units))
        if complaint:
            return complaint
        altered = set(copy.damaged([name for unit, _ in units for name in unit.inputs]))
        failed = {
            pair: f"{wrong[0]} is not what dvc.lock says"
            for unit, pair in units
            if (wrong := [name for name in unit.inputs if name in altered])
        }
        pair_of = {unit.id: pair for unit, pair in units}
        staging = copy.path / ".hearlab" / STAGE
        cells: Cells = {}
        progress = UnitProgress("score again", len(units))
        todo = [unit for unit, pair in units if pair not in failed]
        for unit, outcome in outcomes(todo, copy.path, staging, STAGE, idle=lambda: None):
            progress.advance(failed=outcome.failure is not None)
            if outcome.failure is not None:
                failed[pair_of[unit.id]] = outcome.failure.cause
            else:
                pair, row = _row(track, outcome.result)
                cells[pair] = row
        progress.finish()
    return Rescored(cells, failed)


def _units(params: Params, track: str, wanted: set[Pair]) -> list[tuple[Unit, Pair]]:
    """The work of the scoring stage, for some pairs; of speech, the enhanced condition alone."""
    from hearlab.stages import stage_units

    chosen = TRACKS[track]
    evaluate = params.evaluate.model_copy(update={"unprocessed": False})
    units = stage_units(chosen.scoring_stage, params.model_copy(update={"evaluate": evaluate}))
    pairs = ((unit, (unit.arguments[chosen.cluster], unit.arguments["listener"]["name"])) for unit in units)
    return [(unit, pair) for unit, pair in pairs if pair in wanted]


def _targets(params: Params, track: str, units: Sequence[tuple[Unit, Pair]]) -> list[str]:
    if len(units) < MANY:
        return list(dict.fromkeys(name for unit, _ in units for name in unit.inputs))
    files = Workspace(Path(DATA) / params.dataset)
    if track == "speech":
        folders = [files.rendered(params.evaluate.split), files.enhanced]
    else:
        folders = [files.cadenza.audio.parent, files.enhanced_music]
    return [folder.as_posix() for folder in folders]


def _row(track: str, result: Mapping[str, object]) -> tuple[Pair, dict[str, float]]:
    """A unit's result as a row of the table."""
    if track == "speech":
        return (str(result["scene"]), str(result["listener"])), {"haspi": _number(result["enhanced"])}
    scores = {name: _number(value) for name, value in result.items() if name == "score" or _is_stem(name)}
    return (str(result["song"]), str(result["listener"])), scores


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise InputError("score", "is no number", found=repr(value))
    return float(value)


def _is_stem(name: str) -> bool:
    side, _, stem = name.partition("_")
    return side in SIDES and stem in STEMS
