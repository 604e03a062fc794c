"""A result in numbers: averages of the scores, overall and by group, and how long the stages took."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hearlab.compute.timings import StageTime
from hearlab.datasets.layout import SIDES, STEMS, Workspace
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.listeners import load_listeners
from hearlab.scores.groups import GRADES, SNR_BANDS, UNKNOWN, grade, snr_band
from hearlab.tracking.result import Result

CONDITIONS = {"enhanced": "metrics/speech.csv", "unprocessed": "metrics/speech_unprocessed.csv"}
MUSIC = "metrics/music.csv"
DECIMALS = 8  # as the scores themselves are written

Scores = dict[tuple[str, str], float]


def averages(result: Result) -> dict[str, float]:
    """Mean HASPI and HAAQI: overall, by stem, by grade of the listener's hearing loss and by band of the scene's SNR.

    Names as MLflow takes them: 'haspi/enhanced', 'haspi_by_snr/enhanced/-6 to 0 dB', 'haaqi_by_stem/vocals', ...

    Raises:
        InputError: a table cannot be read.
    """
    names = {track.name for track in result.tracks}
    values: dict[str, float] = {}
    if "speech" in names:
        values |= _speech(result)
    if "music" in names:
        values |= _music(result)
    return values


def _speech(result: Result) -> dict[str, float]:
    data = Workspace(Path("data") / result.dataset)
    bands = _bands(result.root / data.scenes(str(result.params.get("evaluate.split"))))
    grades = _grades(result.root / data.clarity.listeners)
    tables = {
        condition: _table(result.root / path, "scene", "haspi")
        for condition, path in CONDITIONS.items()
        if path in result.files
    }
    tables = {condition: scores for condition, scores in tables.items() if scores}
    if len(tables) == len(CONDITIONS):
        enhanced, unprocessed = tables["enhanced"], tables["unprocessed"]
        tables["improvement"] = {pair: score - unprocessed[pair] for pair, score in enhanced.items()}
    values: dict[str, float] = {"haspi/pairs": max((len(scores) for scores in tables.values()), default=0)}
    for condition, scores in tables.items():
        values[f"haspi/{condition}"] = _mean(scores.values())
        values |= _by_group(f"haspi_by_snr/{condition}", scores, 0, bands, SNR_BANDS)
        values |= _by_group(f"haspi_by_severity/{condition}", scores, 1, grades, (*GRADES, UNKNOWN))
    return values


def _music(result: Result) -> dict[str, float]:
    data = Workspace(Path("data") / result.dataset).cadenza
    grades = _grades(result.root / data.listeners(str(result.params.get("evaluate.song_listeners"))))
    path = result.root / MUSIC
    scores = _table(path, "song", "score")
    values: dict[str, float] = {"haaqi/pairs": len(scores), "haaqi/score": _mean(scores.values())}
    for stem in STEMS:
        values[f"haaqi_by_stem/{stem}"] = _mean(
            score for side in SIDES for score in _table(path, "song", f"{side}_{stem}").values()
        )
    return values | _by_group("haaqi_by_severity", scores, 1, grades, (*GRADES, UNKNOWN))


def _table(path: Path, cluster: str, column: str) -> Scores:
    """A column of a score table, by pair."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {(row[cluster], row["listener"]): float(row[column]) for row in csv.DictReader(file)}
    except (KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise InputError(path, "is not a table of scores", found=str(error), advice="run dvc repro") from None


def _by_group(
    prefix: str, scores: Scores, part: int, groups: Mapping[str, str], order: Iterable[str]
) -> dict[str, float]:
    """Mean score of each group; `part` of a pair is what the groups know: 0 the scene, 1 the listener."""
    members: dict[str, list[float]] = defaultdict(list)
    for pair, score in scores.items():
        members[groups.get(pair[part], UNKNOWN)].append(score)
    # MLflow's names hold no plus sign.
    return {f"{prefix}/{name.replace('+', '')}": _mean(members[name]) for name in order if name in members}


def _bands(path: Path) -> dict[str, str]:
    """Band of every scene's SNR; none where the scene list is not here (a pull of the scores alone)."""
    if not path.is_file():
        return {}
    content = read_json(path)
    scenes = content if isinstance(content, list) else []
    return {str(scene.get("scene")): snr_band(scene) for scene in scenes if isinstance(scene, dict)}


def _grades(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {name: grade(listener) for name, listener in load_listeners(path).items()}


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return round(math.fsum(numbers) / len(numbers), DECIMALS) if numbers else math.nan


def time_values(times: Mapping[str, StageTime]) -> dict[str, float]:
    """Seconds of each stage and of all, by the clock and over all cores that worked on it."""
    values: dict[str, float] = {}
    for kind in ("wall", "core"):
        each = {stage.replace("@", " "): float(getattr(time, kind)) for stage, time in times.items()}
        values |= {f"{kind}_seconds/{stage}": round(seconds, 3) for stage, seconds in each.items()}
        if each:
            values[f"{kind}_seconds/all stages"] = round(math.fsum(each.values()), 3)
    return values


def report(result: Result, values: Mapping[str, float], tags: Mapping[str, str], changed: Mapping[str, Any]) -> str:
    """The result as a page of Markdown.

    Args:
        result: what is told of.
        values: see `averages` and `time_values`.
        tags: where it comes from.
        changed: parameters that are not those of the commit.
    """
    lines = ["# " + ", ".join(f"{track.name}: {_headline(track.name, values)}" for track in result.tracks), ""]
    lines += [f"- {name} was left out: {reason}" for name, reason in result.left_out.items()]
    lines += [f"- parameter {name}: {value}" for name, value in changed.items()]
    lines += [f"- {name}: {tags[name]}" for name in REPORTED if name in tags]
    sections: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name, value in values.items():
        section, _, rest = name.partition("/")
        sections[section].append((rest, value))
    for section, rows in sections.items():
        lines += ["", f"## {section.replace('_', ' ')}", "", "| | |", "| --- | ---: |"]
        lines += [f"| {name.replace('/', ', ')} | {_number(section, value)} |" for name, value in rows]
    return "\n".join(lines) + "\n"


REPORTED = (
    "git.commit",
    "git.dirty",
    "git.changed",
    "dvc.experiment",
    "hearlab.identity",
    "machine.name",
    "machine.cpu",
)


def _headline(track: str, values: Mapping[str, float]) -> str:
    if track == "music":
        return f"HAAQI {values['haaqi/score']:.4f}"
    known = [condition for condition in CONDITIONS if f"haspi/{condition}" in values]
    return "HASPI " + ", ".join(f"{values[f'haspi/{condition}']:.4f} {condition}" for condition in known)


def _number(section: str, value: float) -> str:
    if section.endswith("seconds"):
        return f"{value:.1f}"
    return f"{value:.0f}" if value == int(value) and value > 1 else f"{value:.4f}"
