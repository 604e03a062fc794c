"""The leaderboard as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hearlab.report.leaderboard.entries import METRIC_OF, TRACKS, Entry, ranked
from hearlab.scores.summary_text import _width as width

HEADER = ("", "system", "team", "score", "95 % interval", "pairs", "scored", "from", "entry")
NUMBERS = {0, 3, 5}  # columns that end together


def boards(entries: Sequence[Entry], track: str) -> dict[tuple[str, str], list[Entry]]:
    """Ranked entries of a track by (data set, split): only those on the same examples compete."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in ranked(entries, track):
        found.setdefault((entry.dataset, entry.split), []).append(entry)
    # The challenges' own data come first; the demo is for trying things out.
    return dict(sorted(found.items(), key=lambda item: (item[0][0] == "demo", item[0])))


def leaderboard_text(entries: Sequence[Entry], tracks: Sequence[str] = TRACKS) -> str:
    """A table for each track and set of examples, ranked by the average over all of them."""
    blocks = []
    for track in tracks:
        for (dataset, split), own in boards(entries, track).items():
            rows = [HEADER, *(_row(rank, entry) for rank, entry in enumerate(own, start=1))]
            title = f"{track}: {METRIC_OF[track].title}, {dataset} {split}"
            blocks.append(f"{title}\n{_columns(rows)}")
    return "\n\n".join(blocks) or "no entries yet; hearlab leaderboard add makes one of the current results"


def _row(rank: int, entry: Entry) -> tuple[str, ...]:
    interval = f"{entry.interval[0]:.4f} to {entry.interval[1]:.4f}" if entry.interval else ""
    source = f"published: {entry.source}" if entry.published else entry.source
    return (
        str(rank),
        entry.system,
        entry.team,
        f"{entry.score:.4f}",
        interval,
        str(entry.units or ""),
        str(entry.scored or ""),
        source,
        entry.name,
    )


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Lines with a rule under the first."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row in rows:
        pads = [" " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)]
        cells = [
            pad + cell if column in NUMBERS else cell + pad
            for column, (cell, pad) in enumerate(zip(row, pads, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * sum(widths, 2 * (len(widths) - 1)))
    return "\n".join(lines)
