"""Tables of the leaderboard's page: published entries, this group's, and the result that the site shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hearlab.params import flat
from hearlab.params.subsets import subset_text
from hearlab.report.leaderboard.entries import LeaderboardEntry, ranked
from hearlab.report.leaderboard.origin import split_of
from hearlab.report.leaderboard.text import further_metrics
from hearlab.report.site.results import Results, TrackResults
from hearlab.report.site.shown_result import system_name
from hearlab.scoring.tracks import MUSIC_LEVEL, TRACKS, music_rule

Row = dict[str, Any]
Board = dict[str, Any]
"""Of a track: `track`, `further` (metrics), and `rows`, each a line."""


def boards(entries: Sequence[LeaderboardEntry], results: Results) -> list[Board]:
    """A table for each track that has entries or results, the highest score first."""
    found = []
    for track in TRACKS.values():
        own = next((one for one in results.tracks if one.track.name == track.name), None)
        listed = ranked(entries, track.name)
        rows = [_entry_row(entry) for entry in listed]
        further = further_metrics(listed, track.name)
        if own is not None:
            rows.append(_own_row(own, results))
            further = [one for one in track.metrics[1:] if one in further or one.name in rows[-1]["averages"]]
        if rows:
            rows.sort(key=lambda row: -row["score"])
            found.append({"track": track, "further": further, "rows": rows})
    return found


def _entry_row(entry: LeaderboardEntry) -> Row:
    return {
        "own": False,
        "score": entry.score,
        "interval": entry.interval,
        "averages": dict(entry.averages),
        "system": entry.system,
        "team": entry.team,
        "data": f"{entry.dataset}, {entry.split}{f', {entry.rule} level' if entry.rule else ''}",
        "pairs": entry.units,
        "source": f"published: {entry.source}" if entry.published else entry.source,
    }


def _own_row(one: TrackResults, results: Results) -> Row:
    values = flat(results.params.model_dump())
    subset = subset_text(values, one.track.cluster)
    rule = music_rule(one.track, values.get(MUSIC_LEVEL))
    parts = [results.params.dataset, split_of(values, one.track), *([subset] if subset else [])]
    mean = one.headline.enhanced.mean()
    return {
        "own": True,
        "score": mean.mean,
        "interval": None if mean.low is None else (mean.low, mean.high),
        "averages": {other.metric.name: float(other.enhanced.scores.mean()) for other in one.metrics[1:]},
        "system": system_name(str(values.get("enhance.system", ""))),
        "team": "",
        "data": ", ".join([*parts, *([f"{rule} level"] if rule else [])]),
        "pairs": mean.units,
        "source": "the result of these pages",
    }
