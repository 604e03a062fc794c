"""The leaderboard as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hearlab.report.leaderboard.entries import LeaderboardEntry, ranked
from hearlab.scoring.tracks import TRACKS, Metric
from hearlab.text import table

NUMBERS = ("", "score", "pairs")  # columns whose cells end together


def boards(entries: Sequence[LeaderboardEntry], track: str) -> dict[tuple[str, ...], list[LeaderboardEntry]]:
    """Ranked entries of a track by data set, split and, of music, rule for the level: only those compete."""
    found: dict[tuple[str, ...], list[LeaderboardEntry]] = {}
    for entry in ranked(entries, track):
        found.setdefault((entry.dataset, entry.split, *([entry.rule] if entry.rule else [])), []).append(entry)
    # The challenges' own data come first; the demo is for trying things out.
    return dict(sorted(found.items(), key=lambda item: (item[0][0] == "demo", item[0])))


def leaderboard_text(entries: Sequence[LeaderboardEntry], tracks: Sequence[str] = tuple(TRACKS)) -> str:
    """A table for each track and set of examples, ranked by the average over all of them."""
    blocks = []
    for track in tracks:
        for (dataset, split, *rule), own in boards(entries, track).items():
            level = f", {rule[0]} level" if rule else ""
            title = f"{track}: {TRACKS[track].headline.title}, {dataset} {split}{level}"
            blocks.append(f"{title}\n{_board(own, further_metrics(own, track))}")
    return "\n\n".join(blocks) or "no entries yet; hearlab leaderboard add makes one of the current results"


def further_metrics(entries: Sequence[LeaderboardEntry], track: str) -> list[Metric]:
    """The metrics after the headline of which an entry has the average."""
    return [metric for metric in TRACKS[track].metrics[1:] if any(metric.name in entry.averages for entry in entries)]


def _board(entries: Sequence[LeaderboardEntry], further: Sequence[Metric]) -> str:
    names = [metric.short for metric in further]
    header = ["", "system", "team", "score", "95 % interval", *names, "pairs", "scored", "from", "entry"]
    rows = [header, *(_row(rank, entry, further) for rank, entry in enumerate(entries, start=1))]
    numbers = {*NUMBERS, *names}
    return table(rows, left=[column for column, name in enumerate(header) if name not in numbers])


def _row(rank: int, entry: LeaderboardEntry, further: Sequence[Metric]) -> list[str]:
    averages = [entry.averages.get(metric.name) for metric in further]
    return [
        str(rank),
        entry.system,
        entry.team,
        f"{entry.score:.4f}",
        f"{entry.interval[0]:.4f} to {entry.interval[1]:.4f}" if entry.interval else "",
        *("" if average is None else f"{average:.4f}" for average in averages),
        str(entry.units or ""),
        str(entry.scored or ""),
        f"published: {entry.source}" if entry.published else entry.source,
        entry.name,
    ]
