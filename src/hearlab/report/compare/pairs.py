"""The scores of one source pair by pair, with what is known of each scene and listener."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearlab.errors import InputError
from hearlab.listeners import Audiogram
from hearlab.report.compare.sources import ScoreSource, open_source
from hearlab.report.compare.text import interval
from hearlab.scoring.groups import GRADE_FREQUENCIES, grade, interferer_types, snr_band
from hearlab.scoring.metadata import find_metadata
from hearlab.scoring.statistics import clustered_mean
from hearlab.scoring.table import EVERY_LISTENER, ScoreTable
from hearlab.scoring.tracks import ENHANCED, TRACKS, UNPROCESSED, Track
from hearlab.text import printable, table

if TYPE_CHECKING:
    import pandas

SCENE = ("room", "snr", "snr_band", "interferers", "target")
LISTENER = ("severity", "loss_left", "loss_right")


def scores(
    revision: str = "workspace", *, track: str | None = None, root: Path | str | None = None
) -> pandas.DataFrame:
    """The scores of a result as a table, one row for each pair.

    Columns:
        track; scene or song; listener.
        room, snr (dB, at the better ear), snr_band, interferers (their types), target: of the scene, as it was drawn.
        severity (the WHO's grade of hearing loss, of the better ear), loss_left, loss_right: of the listener; the
            losses are means of the thresholds at 0.5, 1, 2 and 4 kHz in dB HL.
        haspi (and hasqi) of the enhanced signal, haspi_unprocessed; haaqi and, where they are known, left_vocals, ...:
            scores from 0 to 1.

    What is not known is NaN or None. Results of both tracks have the columns of both. A track whose scores were made
    with other parameters than the result's is no part of it: `dvc exp run -S dataset=mine score_speech` leaves such
    scores of songs.

    Args:
        revision: what `hearlab compare` takes: a git revision, a DVC experiment, 'workspace', a CSV file of scores, or
            a folder of metrics.
        track: 'speech' or 'music' alone; by default all that there are.
        root: the repository; by default the current folder.

    Raises:
        InputError: there is nothing of that name, it has no scores of pairs, or pandas is not installed.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = pathlib.Path(folder, "mine.csv")
        ...     _ = table.write_text("scene,listener,haspi\\nS1,L1,0.25\\nS1,L2,0.75\\n")
        ...     scores(str(table))["haspi"].mean()
        np.float64(0.5)
    """
    try:
        import pandas
    except ImportError:
        raise InputError("pandas", "is not installed", advice="pip install 'hearlab[pipeline]'") from None
    return pandas.DataFrame(pair_rows(revision, Path(root or "."), track=track))


def pair_rows(revision: str, root: Path, *, track: str | None = None) -> list[dict[str, Any]]:
    """The rows of `scores` by the names of its columns; all rows of a track have the same ones.

    Raises:
        InputError: as `scores`.
    """
    if track is not None and track not in TRACKS:
        raise InputError("track", "is not known", found=track, wanted=" or ".join(TRACKS))
    conditions = _sources(revision, root)
    rows: list[dict[str, Any]] = []
    for one in TRACKS.values():
        if track in (None, one.name):
            rows += _track_rows(one, conditions, root)
    if not rows:
        kind = "" if track is None else f" of {track}"
        left_out = "; ".join(next(iter(conditions.values())).left_out)
        raise InputError(revision, f"has no scores{kind} pair by pair", found=left_out or None)
    return rows


def notes_of(revision: str, root: Path) -> list[str]:
    """What must be said of the scores, such as that they are of a subset.

    Raises:
        InputError: there is nothing of that name, or it has no scores.
    """
    return [f"- {printable(note)}" for note in next(iter(_sources(revision, root).values())).notes]


def _sources(revision: str, root: Path) -> dict[str, ScoreSource]:
    """The source in each condition that it has; a file has one, whichever that is."""
    found: dict[str, ScoreSource] = {}
    errors = []
    for condition in (ENHANCED, UNPROCESSED):
        try:
            found[condition] = open_source(revision, root, condition=condition)
        except InputError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    if (root / Path(revision).expanduser()).is_file():
        found.pop(UNPROCESSED, None)
    return found


def _track_rows(track: Track, sources: Mapping[str, ScoreSource], root: Path) -> list[dict[str, Any]]:
    tables: dict[tuple[str, str], ScoreTable] = {
        (condition, metric.name): found
        for condition, source in sources.items()
        for metric in track.metrics
        if (found := source.table(metric)) is not None
    }
    pairs = dict.fromkeys(pair for one in tables.values() for pair in one.rows)
    if not pairs:
        return []
    files = next(iter(sources.values())).files
    known = find_metadata(
        root,
        track,
        {cluster for cluster, _ in pairs},
        {listener for _, listener in pairs if listener != EVERY_LISTENER},
        files=files,
    )
    rows = []
    for cluster, listener in pairs:
        row: dict[str, Any] = {"track": track.name, track.cluster: cluster, "listener": listener or None}
        if track.cluster == "scene":
            row |= _scene(known.scenes.get(cluster))
        person = known.listeners.get(listener)
        row |= dict.fromkeys(LISTENER)
        if person is not None:
            losses = {"loss_left": _loss(person.left), "loss_right": _loss(person.right)}
            row |= {"severity": grade(person), **losses}
        rows.append(row | _scores(tables, (cluster, listener)))
    return rows


def _scene(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    if entry is None:
        return dict.fromkeys(SCENE)
    target = entry.get("target")
    return {
        "room": entry.get("room"),
        "snr": entry.get("SNR"),
        "snr_band": snr_band(entry),
        "interferers": interferer_types(entry),
        "target": target.get("name") if isinstance(target, dict) else None,
    }


def _loss(ear: Audiogram) -> float | None:
    """The mean threshold at the frequencies of the WHO's grades, in dB HL."""
    try:
        return float(ear.at(GRADE_FREQUENCIES).mean())
    except InputError:
        return None  # the audiogram does not reach these frequencies


def _scores(tables: Mapping[tuple[str, str], ScoreTable], pair: tuple[str, str]) -> dict[str, float]:
    row = {}
    for (condition, metric), scored in tables.items():
        place = scored.rows.get(pair)
        for column, values in scored.columns.items():
            own = metric if column == scored.metric.column else column
            name = own if condition == ENHANCED else f"{own}_{condition}"
            row[name] = math.nan if place is None else float(values[place])
    return row


def json_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows without NaN, which JSON does not know."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in rows
    ]


def mean_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means of all scores with their intervals, which are clustered by scene or song."""
    lines = [["score", "pairs", "scenes or songs", "mean", "95 % interval"]]
    for track in TRACKS.values():
        own = [row for row in rows if row["track"] == track.name]
        for name in own[0] if own else ():
            if name in (track.cluster, "track", "listener", *SCENE, *LISTENER):
                continue
            scored = [(row[track.cluster], row[name]) for row in own if not math.isnan(row[name])]
            mean = clustered_mean([score for _, score in scored], [one for one, _ in scored], bounds=(0.0, 1.0))
            cells = [name, str(mean.units), str(mean.clusters), f"{mean.mean:.4f}", interval(mean, ".4f") or "none"]
            lines.append(cells)
    return table(lines)
