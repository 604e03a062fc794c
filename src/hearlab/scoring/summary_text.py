"""The averages of the last run as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import csv_records, read_bytes, read_json
from hearlab.params import PARAMS_FILE
from hearlab.params.subsets import SUBSET
from hearlab.scoring.groups import SNR_BANDS, group_means, snr_band
from hearlab.scoring.table import parse_scores
from hearlab.scoring.tracks import CONDITIONS, ENHANCED, TRACKS, UNPROCESSED, Metric, Track
from hearlab.text import printable, table

NAME = 40  # letters of a song


def score_tables(folder: Path, outdated: Mapping[str, str] | None = None) -> str:
    """A table for each metric of the last runs whose results lie in `folder`; what was not scored is left out.

    Args:
        folder: of the averages.
        outdated: tracks whose scores are not of the present parameters, with the reason: their tables say so.

    Raises:
        InputError: no results are there yet, or they cannot be read.
    """
    found = [track for track in TRACKS.values() if (folder / track.averages).exists()]
    if not found:
        wanted = " or ".join(track.averages for track in TRACKS.values())
        raise InputError(folder, "holds no scores", wanted=wanted, advice="run dvc repro")
    blocks: list[str] = []
    for track in found:
        blocks += _track_tables(folder, track)
        if outdated and track.name in outdated:
            blocks.append(
                f"These {track.name} scores are not of {PARAMS_FILE}: {printable(outdated[track.name])}. "
                f"dvc repro {track.scoring_stage} makes those."
            )
    return "\n\n".join(blocks)


def _track_tables(folder: Path, track: Track) -> Iterator[str]:
    try:
        yield from _metric_tables(folder, track, read_json(folder / track.averages))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            folder / track.averages, "are not the averages of a run", found=repr(error), advice="run dvc repro"
        ) from None


def _metric_tables(folder: Path, track: Track, averages: dict[str, Any]) -> Iterator[str]:
    subset = f"; of a subset: {printable(str(averages[SUBSET]))}" if SUBSET in averages else ""
    if averages.get(track.headline.name, {}).get("pairs") == 0:
        yield f"{track.headline.title}: no {track.cluster}-listener pair{subset}"
        return
    for metric in track.metrics:
        own = averages.get(metric.name, {})
        if any(track.average_key(condition) in own for condition in track.tables):
            rows = _by_condition(folder, metric, own) if track.cluster == "scene" else _by_song(folder, metric, own)
            ears = ", both ears" if metric.stems else ""
            yield f"{table(rows)}\n({own['pairs']} {track.cluster}-listener pairs{ears}; 1 = {metric.best}{subset})"
        elif metric is track.headline:
            raise InputError(folder / track.averages, "holds no scores", advice="run dvc repro")


def _by_condition(folder: Path, metric: Metric, averages: dict[str, Any]) -> list[list[str]]:
    """Mean scores, overall and by band of the SNR."""
    conditions = [name for name in reversed(CONDITIONS) if name in averages]
    means = {name: _by_band(folder / metric.track.points, metric, name) for name in conditions}
    bands = [band for band in SNR_BANDS if any(band in own for own in means.values())]
    rows = [[metric.title, "all", *bands]]
    for name, own in means.items():
        rows.append([name, f"{averages[name]:.4f}", *(f"{own[band]:.4f}" if band in own else "" for band in bands)])
    if "improvement" in averages:
        before, after = means[UNPROCESSED], means[ENHANCED]
        gains = (f"{after[band] - before[band]:+.4f}" if band in before.keys() & after.keys() else "" for band in bands)
        rows.append(["improvement", f"{averages['improvement']:+.4f}", *gains])
    return rows


def _by_band(path: Path, metric: Metric, condition: str) -> dict[str, float]:
    """Mean score of each band; none in a clone, which holds the averages (in git) before `dvc pull` brings the rest."""
    if not path.exists():
        return {}
    try:
        rows = [row for row in csv_records(path) if row["condition"] == condition]
        snrs = [float(row["snr"]) if row["snr"] else None for row in rows]
        scores = [float(row[metric.name]) for row in rows]
    except (KeyError, ValueError) as error:
        raise InputError(path, "is not a table of scores", found=str(error), advice="run dvc repro") from None
    return group_means(zip((snr_band({"SNR": snr}) for snr in snrs), scores, strict=True))


def _by_song(folder: Path, metric: Metric, averages: dict[str, Any]) -> list[list[str]]:
    """Mean scores by song and stem; of the songs alone in a clone without the table."""
    path = folder / metric.track.tables[ENHANCED]
    means: dict[str, list[str]] = {}
    if path.exists():
        songs = parse_scores(read_bytes(path), str(path))[metric.name].averaged()
        means = {
            song: [f"{scores[row]:.4f}" for scores in songs.stems.values()] for (song, _), row in songs.rows.items()
        }
    stems = averages.get("stems", {})
    rows = [[metric.title, "all", *stems]]
    rows += [[song[:NAME], f"{score:.4f}", *means.get(song, [])] for song, score in averages["songs"].items()]
    return [*rows, ["all songs", f"{averages['score']:.4f}", *(f"{mean:.4f}" for mean in stems.values())]]
