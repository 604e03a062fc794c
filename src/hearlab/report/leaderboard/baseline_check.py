"""The baseline of this repository against the published one: averages, songs, and scores pair by pair."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.files import md5_of_bytes, read_bytes
from hearlab.params import PUBLISHED_WEIGHTS, flat
from hearlab.report.leaderboard.entries import FOLDER, LeaderboardEntry, load_entries
from hearlab.report.leaderboard.verify import Check, State
from hearlab.scoring.statistics import noise_floor
from hearlab.scoring.table import ScoreTable, has_scores, track_tables
from hearlab.scoring.tracks import CHALLENGE, ENHANCED, MUSIC_LEVEL, TRACKS, UNPROCESSED, Track
from hearlab.separators import SEPARATORS
from hearlab.systems.base import BASELINE
from hearlab.versions.lock import LOCK_FILE, all_outs, stages_behind
from hearlab.versions.revisions import WorkspaceFiles

DEVIATIONS = 3.0  # of a rerun that still count as the same
FALSE_ALARM = 2 * float(scipy.special.ndtr(-DEVIATIONS))
LEVEL = 1 - FALSE_ALARM
LAST_DIGIT = 5e-5  # published averages have four decimals
SHOWN = 5

_ENHANCE = {
    "enhance.system": BASELINE,
    "enhance.gain": 0,
    "enhance.nalr.taps": 220,
    "enhance.compressor.threshold": 0.35,
    "enhance.compressor.attenuation": 0.1,
    "enhance.compressor.attack": 50,
    "enhance.compressor.release": 1000,
    "enhance.compressor.rms_buffer_size": 0.064,
    "enhance.compressor.makeup_gain": 1.0,
    "enhance.soft_clip": True,
    "enhance.music_compressor": False,
    "enhance.params": {},
}
PUBLISHED_PARAMS: dict[str, dict[str, Any]] = {
    "speech": {
        **_ENHANCE,
        "seed": 0,
        "scenes.target_selection": "SEQUENTIAL",
        "scenes.shuffle_rooms": False,
        "scenes.snr_range": [-12, 6],
        "scenes.interferers.number": [2, 3],
        "scenes.interferers.start_time_range": [0, 0],
        "scenes.interferers.end_early_time_range": [0, 0],
        "scenes.head_turn.relative_start_time_range": [-28004, 38147],
        "scenes.head_turn.duration_mean": 8820,
        "scenes.head_turn.duration_sd": 441,
        "scenes.head_turn.angle_initial_mean": 25,
        "scenes.head_turn.angle_initial_sd": 5,
        "scenes.head_turn.angle_final_range": [0, 10],
        "render.ambisonic_order": 6,
        "render.reference_channel": 1,
        "render.channel_norms": [12.0, 3.0, 3.0, 3.0],
        "render.equalise_loudness": False,
        "render.interferer_response": "sequence",
        "render.resample_interferers": False,
        "datasets.clarity.seed_offset": 0,
        "evaluate.split": "dev",
        "evaluate.level": 100,
    },
    "music": {
        **_ENHANCE,
        "separate.segment": 10,
        "separate.overlap": 0.1,
        "evaluate.song_split": "valid",
        "evaluate.song_listeners": "valid",
        "evaluate.small_test": False,
        MUSIC_LEVEL: CHALLENGE,
    },
}


def check_baseline(
    root: Path,
    track: str,
    *,
    scores: Path | None = None,
    published: Path | None = None,
    unprocessed: Path | None = None,
    model: str | None = None,
) -> list[Check]:
    """Compare a track's scores with the published ones.

    Args:
        root: the workspace; its parameters (those that dvc.lock says the scores were made with) must be the published
            ones.
        scores: a CSV file or a folder of them, instead of the workspace's; nothing is known of its parameters then.
        published, unprocessed: CSV files of the published scores of the baseline and of the unprocessed signals, pair
            by pair.
        model: of separation, for music of `scores`, a key of `SEPARATORS`.

    Raises:
        InputError: the scores are of other data or of other parameters, pairs are missing, or a file is wrong.
    """
    notes = []
    of = TRACKS[track]
    if scores is None:
        values = _workspace_values(root, of)
        _check_values(values, of)
        model = str(values["separate.model"]) if of.cluster == "song" else None
        tables = _workspace_tables(root, of)
    else:
        tables = _given_tables(scores, of)
        notes.append(Check("note", f"parameters are not checked: nothing is known of them but {scores}"))
        if of.cluster == "song":
            notes.append(Check("note", f"published scores were made with {MUSIC_LEVEL}: {CHALLENGE}"))
    if of.cluster == "scene":
        return [*notes, *_speech(root, tables, published, unprocessed)]
    if published or unprocessed:
        raise InputError("--published", "no scores pair by pair are published for music")
    return [*notes, *_music(root, tables, model)]


def _speech(
    root: Path, tables: Mapping[str, ScoreTable], published: Path | None, unprocessed: Path | None
) -> Iterator[Check]:
    entries = {system: _entry(root, "speech", system) for system in ("unprocessed", "baseline")}
    # Both the published run and this one have the metric's noise.
    spread = DEVIATIONS * math.sqrt(2) * max(entry.spread or 0.0 for entry in entries.values())
    for (system, entry), condition, pairs in zip(
        entries.items(), (UNPROCESSED, ENHANCED), (unprocessed, published), strict=True
    ):
        table = tables.get(condition)
        if table is None:
            yield Check("note", f"{system}: there are no scores of it to compare")
            continue
        _check_count(table, entry, system)
        yield _average(system, table, entry, LAST_DIGIT + spread, "its last digit and the published spread")
        if pairs is not None:
            yield from _pairs(system, table, _parsed(pairs, table.metric.track), str(pairs), spread)


def _pairs(system: str, table: ScoreTable, published: ScoreTable, where: str, spread: float) -> Iterator[Check]:
    """The mean of the paired differences, and the single pairs."""
    for one, two, problem in ((published, table, "has no score here"), (table, published, "is not in it")):
        missing = sorted(one.rows.keys() - two.rows.keys())
        if missing:
            raise InputError(where, f"{len(missing)} pairs: the first {problem}", field=" ".join(missing[0]))
    pairs = sorted(table.rows)
    here, there = (own.scores[[own.rows[pair] for pair in pairs]] for own in (table, published))
    differences = here - there
    yield _line(
        f"{system}, mean difference of {len(pairs)} pairs", float(np.mean(differences)), spread, "the published spread"
    )
    sd = table.metric.noise.sd
    # The greatest of so many differences, with the same chance of a false alarm as the others.
    allowed = -float(scipy.special.ndtri(FALSE_ALARM / 2 / len(pairs))) * math.sqrt(2) * sd
    wrong = [
        int(index) for index in np.argsort(-np.abs(differences), kind="stable") if abs(differences[index]) > allowed
    ]
    for index in wrong[:SHOWN]:
        what = f"{system}, {' '.join(pairs[index])}: {here[index]:.6f} here, {there[index]:.6f} published"
        yield _line(what, float(differences[index]), allowed, "reruns of a pair")
    if len(wrong) > SHOWN:
        yield Check("differs", f"{system}: {len(wrong) - SHOWN} more pairs")
    if not wrong:
        greatest = float(differences[np.argmax(np.abs(differences))])
        yield _line(f"{system}, greatest difference of {len(pairs)} pairs", greatest, allowed, "reruns of a pair")


def _music(root: Path, tables: Mapping[str, ScoreTable], model: str | None) -> Iterator[Check]:
    if model not in SEPARATORS:
        problem = "is missing" if model is None else "is unknown"
        wanted = f"one of {', '.join(SEPARATORS)}: which separated the songs"
        raise InputError("--model", problem, found=model, wanted=wanted)
    system = SEPARATORS[model].title
    entry = _entry(root, "music", system)
    table = tables[ENHANCED]
    songs = table.averaged()
    names = [name for name, _ in songs.rows]
    for one, two, problem in ((entry.songs.keys(), names, "are missing"), (names, entry.songs.keys(), "are not known")):
        missing = sorted(set(one) - set(two))
        if missing:
            raise InputError("music scores", f"songs of the validation set {problem}", found=", ".join(missing[:3]))
    counts = Counter(song for song, _ in table.rows)
    if len(set(counts.values())) > 1:
        (_, most), (song, least) = counts.most_common()[0], counts.most_common()[-1]
        raise InputError("music scores", "pairs are missing", field=song, found=least, wanted=most)
    sd = table.metric.noise.sd
    # The songs of Open-Unmix average to 0.2270 and not to the published 0.2273: either may be the right one.
    rounding = LAST_DIGIT + abs(float(np.mean(list(entry.songs.values()))) - entry.score)
    why = "its last digit, how far published songs and average disagree, and the metric's noise"
    yield _average(system, table, entry, rounding + noise_floor(sd, table.clusters, level=LEVEL), why)
    for (song, _), row in songs.rows.items():
        allowed = rounding + noise_floor(sd, [song] * counts[song], level=LEVEL)
        score, published = float(songs.scores[row]), entry.songs[song]
        what = f"{system}, {song}: {score:.6f} here, {published:.4f} published"
        yield _line(what, score - published, allowed, why)


def _average(system: str, table: ScoreTable, entry: LeaderboardEntry, allowed: float, why: str) -> Check:
    mean = float(np.mean(table.scores))
    what = f"{system}, average of {table.scores.size} pairs: {mean:.6f} here, {entry.score:.4f} published"
    return _line(what, mean - entry.score, allowed, why)


def _line(what: str, difference: float, allowed: float, why: str) -> Check:
    state: State = "ok" if abs(difference) <= allowed else "differs"
    return Check(state, f"{what}; difference {difference:+.6f}, allowed {allowed:.6f} ({why})")


def _entry(root: Path, track: str, system: str) -> LeaderboardEntry:
    folder = root / FOLDER
    board = load_entries(folder)
    for entry in board.entries:
        if entry.published and (entry.track, entry.system) == (track, system):
            return entry
    raise next(iter(board.faults), InputError(folder, "has no published entry", field=track, wanted=system))


def _check_count(table: ScoreTable, entry: LeaderboardEntry, what: str) -> None:
    if table.scores.size != entry.units:
        raise InputError(what, "pairs are missing or surplus", found=f"{table.scores.size} pairs", wanted=entry.units)


def _workspace_values(root: Path, track: Track) -> dict[str, Any]:
    """The parameters that the workspace's scores were made with, as dvc.lock has them, with dotted names."""
    lock = WorkspaceFiles(root).lock
    stage = track.scoring_stage
    if stage not in lock:
        raise InputError(root / LOCK_FILE, f"does not know {stage}", advice=f"dvc repro {stage}")
    values: dict[str, Any] = {}
    for name in stages_behind(lock, stage):
        for params in (lock[name].get("params") or {}).values():
            for key, value in params.items():
                values |= {key: value, **flat({key: value})}
    return values


def _check_values(values: Mapping[str, Any], track: Track) -> None:
    dataset = values.get("dataset")
    if dataset != "clarity":
        raise InputError(
            "check-baseline",
            "the scores here are of other data than the published ones",
            field="dataset",
            found=dataset,
            wanted="clarity",
            advice=f"dvc exp run -S dataset=clarity {track.scoring_stage}, see docs/full-data.md",
        )
    wanted = dict(PUBLISHED_PARAMS[track.name])
    if track.cluster == "song" and values.get("separate.weights") != "auto":
        wanted["separate.weights"] = PUBLISHED_WEIGHTS
    wrong = [
        f"{name} {_value(values, name)} (published {value})"
        for name, value in wanted.items()
        if _value(values, name) != value
    ]
    if wrong:
        raise InputError("check-baseline", "the scores were made with other parameters", found=", ".join(wrong))


def _value(values: Mapping[str, Any], name: str) -> Any:
    """A parameter; one whose section dvc.lock holds as a whole is found in there."""
    if name in values:
        return values[name]
    section, _, key = name.rpartition(".")
    inner = _value(values, section) if section else None
    return inner.get(key) if isinstance(inner, dict) else None


def _workspace_tables(root: Path, track: Track) -> dict[str, ScoreTable]:
    locked = all_outs(WorkspaceFiles(root).lock)
    tables = {}
    for condition, name in track.tables.items():
        path = f"{METRICS_FOLDER}/{name}"
        content = read_bytes(root / path, advice="dvc pull, or dvc repro")
        if md5_of_bytes(content) != locked.get(path):
            raise InputError(path, "is not what dvc.lock says", advice=f"dvc checkout {path}, or dvc repro")
        if has_scores(content) or condition == ENHANCED:  # the unprocessed signals need not be scored
            tables[condition] = track_tables(content, path, track)[track.headline.name]
    return tables


def _given_tables(scores: Path, track: Track) -> dict[str, ScoreTable]:
    if not scores.is_dir():
        return {ENHANCED: _parsed(scores, track)}
    paths = {condition: scores / name for condition, name in track.tables.items()}
    tables = {condition: _parsed(path, track) for condition, path in paths.items() if path.is_file()}
    if ENHANCED not in tables:
        raise InputError(scores, "holds no scores", wanted=paths[ENHANCED].name)
    return tables


def _parsed(path: Path, track: Track) -> ScoreTable:
    return track_tables(read_bytes(path), str(path), track)[track.headline.name]
