"""Stage score_music: HAAQI of every stem and ear, for every song and listener."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.audio import read_audio
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import METRICS_FOLDER, SAMPLE_RATE, SIDES, STEM_RATE, STEMS, music_file
from hearlab.datasets.song_lists import Segments, Song, check_song
from hearlab.datasets.stem_files import factor_file, read_stem
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.listeners import Listener, listener_from_entry
from hearlab.metrics import unit_seed
from hearlab.metrics.haaqi import haaqi_stem
from hearlab.params import Params
from hearlab.params.subsets import SUBSET
from hearlab.scoring.tracks import ENHANCED, TRACKS
from hearlab.stages.common import (
    DECIMALS,
    evaluated_subset,
    song_listener_pairs,
    song_memory,
    song_segments,
    workspace,
    write_table,
)

TRACK = TRACKS["music"]
# The published order of the columns; the order of scoring is that of STEMS, left before right.
COLUMNS = tuple(f"{side}_{stem}" for stem in sorted(STEMS) for side in SIDES)
# Reference and processed stem, and what the metric keeps of them: it works band by band.
BYTES_PER_FRAME = 80
SECONDS = 0.13  # that a second of a song takes: measured


def check(params: Params) -> None:
    """The songs are whole."""
    for song in dict(song_listener_pairs(params)):
        check_song(workspace(params).cadenza, song, signals=STEMS)


def units(params: Params) -> list[Unit]:
    """One for each song-listener pair."""
    segments, memory = song_segments(params), song_memory(params, BYTES_PER_FRAME)
    return [
        pair_unit(params, song, listener, segments.get(song.name), memory[song.name])
        for song, listener in song_listener_pairs(params)
    ]


def finish(params: Params, results: Sequence[dict[str, Any]]) -> None:
    """Write the score tables."""
    write_results(Path(METRICS_FOLDER), results, evaluated_subset(params, TRACK.cluster))


def pair_unit(params: Params, song: Song, listener: Listener, cut: Segments | None, memory: int = GIBIBYTE) -> Unit:
    """The unit of a pair, whether or not the lists name the pair; `cut` is of a test song."""
    files = workspace(params)
    references = [files.cadenza.stem(song.split, song.name, stem) for stem in STEMS]
    processed = [
        music_file(files.enhanced_music, listener.id, song.name, f"{side}_{stem}") for stem in STEMS for side in SIDES
    ]
    arguments = {
        "song": song.name,
        "listener": listener.as_entry(),
        "references": files.cadenza.song(song.split, song.name).as_posix(),
        "enhanced": files.enhanced_music.as_posix(),
        "segment": list(cut.objective) if cut else None,
        "music_level": params.evaluate.music_level,
    }
    inputs = [*references, *processed, *(factor_file(path) for path in processed)]
    return Unit(
        f"{song.name} {listener.id}",
        score_unit,
        arguments,
        inputs=tuple(path.as_posix() for path in inputs),
        memory=memory,
        group=song.name,
        seconds=SECONDS * (memory - GIBIBYTE) / (BYTES_PER_FRAME * SAMPLE_RATE),
    )


def score_unit(
    root: Path,
    out: Path,
    *,
    song: str,
    listener: dict[str, Any],
    references: str,
    enhanced: str,
    segment: list[float] | None,
    music_level: str,
) -> dict[str, Any]:
    """Scores of one pair by side and stem, and their mean; one random stream, seeded by the song, serves all."""
    person = listener_from_entry(listener["name"], listener)
    start, end = (0, None) if segment is None else (int(seconds * SAMPLE_RATE) for seconds in segment)
    rng = np.random.RandomState(unit_seed(song))
    scores: dict[str, float] = {}
    for stem in STEMS:
        path = root / references / f"{stem}.wav"
        frames = None if end is None else end - start
        reference, _ = read_audio(path, rate=SAMPLE_RATE, channels=2, start=start, frames=frames)
        for ear, (side, audiogram) in enumerate(zip(SIDES, (person.left, person.right), strict=True)):
            processed = music_file(root / enhanced, person.id, song, f"{side}_{stem}")
            signal = read_stem(processed, rate=STEM_RATE)
            try:
                signals = reference[:, ear], SAMPLE_RATE, signal, STEM_RATE
                result = haaqi_stem(*signals, audiogram, music_level=music_level, rng=rng)
            except InputError as error:
                # The metric knows no files: say which one it was given.
                raise InputError(processed, f"cannot be scored against {path}: {error}") from error
            scores[f"{side}_{stem}"] = round(result.score, DECIMALS)
    mean = round(math.fsum(scores.values()) / len(scores), DECIMALS)
    return {"song": song, "listener": person.id, "score": mean, **{name: scores[name] for name in COLUMNS}}


def write_results(folder: Path, scores: Sequence[dict[str, Any]], subset: str | None = None) -> None:
    """Write the table of scores (published columns) and its averages: over all pairs, by stem and by song.

    The averages of a `subset` say what it is; those of no pair hold no mean.
    """
    header = ("song", "listener", "score", *COLUMNS)
    write_table(folder / TRACK.tables[ENHANCED], header, ([row[name] for name in header] for row in scores))
    songs: dict[str, list[float]] = defaultdict(list)
    for row in scores:
        songs[row["song"]].append(row["score"])
    stems = {stem: [row[f"{side}_{stem}"] for row in scores for side in SIDES] for stem in STEMS}
    averages: dict[str, Any] = {"pairs": len(scores)}
    if scores:
        averages["score"] = _mean([row["score"] for row in scores])
        averages["stems"] = {stem: _mean(values) for stem, values in stems.items()}
        averages["songs"] = {song: _mean(values) for song, values in songs.items()}
    write_json(folder / TRACK.averages, {**({SUBSET: subset} if subset else {}), TRACK.headline.name: averages})
    points = [(row["song"], row["listener"], name, row[name]) for row in scores for name in COLUMNS]
    write_table(folder / TRACK.points, ("song", "listener", "stem", TRACK.headline.name), points)


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), DECIMALS)
