"""A result in numbers: averages of the scores, overall and by group, and how long the stages took."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from hearlab.compute.timings import StageTime
from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.datasets.scene_lists import scenes_by_name
from hearlab.files import read_json
from hearlab.listeners import load_listeners
from hearlab.scoring.groups import GROUPINGS, UNKNOWN, Grouping, group_means, mean
from hearlab.scoring.metadata import metadata_files
from hearlab.scoring.table import Pair, ScoreTable, has_scores, track_tables
from hearlab.scoring.tracks import ENHANCED, UNPROCESSED, Metric, Track
from hearlab.tracking.result import Result

TRAINING = "enhancer.json"  # of the stage train_enhancer, beside the weights
DECIMALS = 8  # as the scores themselves are written

Groups = list[tuple[Grouping, dict[str, str]]]
"""A way to group pairs, and the group of each scene or listener."""


def averages(result: Result) -> dict[str, float]:
    """Mean scores: overall, by stem, by grade of the listener's hearing loss and by band of the scene's SNR.

    Names as MLflow takes them: 'haspi/enhanced', 'haspi_by_snr/enhanced/-6 to 0 dB', 'haaqi_by_stem/vocals', ...

    Raises:
        InputError: a table cannot be read.
    """
    values: dict[str, float] = {}
    for track in result.tracks:
        tables = dict(_tables(result, track))
        groups = _groups(result, track)
        for metric in track.metrics:
            own = {condition: found[metric.name] for condition, found in tables.items() if metric.name in found}
            if own:
                values |= _averages(metric, own, groups)
    return {name: round(value, DECIMALS) for name, value in values.items()}


def _tables(result: Result, track: Track) -> Iterator[tuple[str, dict[str, ScoreTable]]]:
    """The score tables of each condition that was scored."""
    for condition, name in track.tables.items():
        path = f"{METRICS_FOLDER}/{name}"
        content = (result.root / path).read_bytes() if path in result.files else b""
        if has_scores(content):
            yield condition, track_tables(content, path, track)


def _averages(metric: Metric, tables: Mapping[str, ScoreTable], groups: Groups) -> dict[str, float]:
    track = metric.track
    scores: dict[str, dict[Pair, float]] = {
        condition: dict(zip(table.rows, table.scores.tolist(), strict=True)) for condition, table in tables.items()
    }
    values: dict[str, float] = {f"{metric.name}/pairs": max(map(len, scores.values()))}
    if scores.keys() >= {ENHANCED, UNPROCESSED}:
        before = scores[UNPROCESSED]
        scores["improvement"] = {pair: score - before[pair] for pair, score in scores[ENHANCED].items()}
    for condition, own in scores.items():
        values[f"{metric.name}/{track.average_key(condition)}"] = mean(own.values())
        for stem in tables[condition].stems if condition in tables else ():
            ears = [tables[condition].columns[name] for name in metric.ear_columns(stem)]
            values[f"{metric.name}_by_stem/{stem}"] = mean(score for ear in ears for score in ear.tolist())
        part = f"/{condition}" if len(track.tables) > 1 else ""
        for grouping, names in groups:
            grouped = ((names.get(pair[grouping.part], UNKNOWN), score) for pair, score in own.items())
            for name, value in group_means(grouped, grouping.order).items():
                # MLflow's names hold no plus sign.
                values[f"{metric.name}_by_{grouping.name}{part}/{name.replace('+', '')}"] = value
    return values


def _groups(result: Result, track: Track) -> Groups:
    """Bands of SNR and grades of hearing loss; not known where the lists are not here (a pull of the scores alone)."""
    scene_list, listeners = (path and result.root / path for path in metadata_files(track, result.params))
    groups: list[tuple[Grouping, Mapping[str, Any]]] = []
    if scene_list is not None:
        scenes = scenes_by_name(read_json(scene_list), scene_list) if scene_list.is_file() else {}
        groups.append((GROUPINGS["snr"], scenes))
    people = load_listeners(listeners) if listeners is not None and listeners.is_file() else {}
    groups.append((GROUPINGS["severity"], people))
    return [(grouping, {name: grouping.group(entry) for name, entry in known.items()}) for grouping, known in groups]


def time_values(times: Mapping[str, StageTime]) -> dict[str, float]:
    """Seconds of each stage and of all, by the clock and over all cores that worked on it."""
    values: dict[str, float] = {}
    for kind in ("wall", "core"):
        each = {stage.replace("@", " "): float(getattr(time, kind)) for stage, time in times.items()}
        values |= {f"{kind}_seconds/{stage}": round(seconds, 3) for stage, seconds in each.items()}
        if each:
            values[f"{kind}_seconds/all stages"] = round(math.fsum(each.values()), 3)
    return values


def curves(result: Result) -> dict[str, list[tuple[int, float]]]:
    """Losses and held-out scores over the steps of the training of the hearing aid, if the result has one."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in result.data:
        description = result.root / path / TRAINING
        if description.is_file():
            for entry in read_json(description)["history"]:
                for name in ("train_loss", "haspi", "learning_rate"):
                    found.setdefault(f"training/{name}", []).append((int(entry["step"]), float(entry[name])))
    return found


def report(result: Result, values: Mapping[str, float], tags: Mapping[str, str], changed: Mapping[str, Any]) -> str:
    """The result as a page of Markdown.

    Args:
        result: what was tracked.
        values: see `averages` and `time_values`.
        tags: where it comes from.
        changed: parameters that are not those of the commit.
    """
    lines = ["# " + ", ".join(f"{track.name}: {_headline(track, values)}" for track in result.tracks), ""]
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
    "git.no_commit",
    "git.dirty",
    "git.changed",
    "dvc.experiment",
    "hearlab.identity",
    "machine.name",
    "machine.cpu",
)


def _headline(track: Track, values: Mapping[str, float]) -> str:
    """Such as 'HASPI 0.2544 enhanced, 0.1320 unprocessed'."""
    lines = []
    for metric in track.metrics:
        keys = {condition: f"{metric.name}/{track.average_key(condition)}" for condition in track.tables}
        texts = [
            f"{values[key]:.4f} {condition if len(keys) > 1 else ''}".rstrip()
            for condition, key in keys.items()
            if key in values
        ]
        lines += [f"{metric.short} {', '.join(texts)}"] if texts else []
    return "; ".join(lines)


def _number(section: str, value: float) -> str:
    if section.endswith("seconds"):
        return f"{value:.1f}"
    return f"{value:.0f}" if value == int(value) and value > 1 else f"{value:.4f}"
