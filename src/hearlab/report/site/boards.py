"""The leaderboard's entries, as the site shows them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

FOLDER = "leaderboard"


def boards(root: Path) -> dict[str, list[Any]]:
    """Track -> its entries, best first; see `hearlab.report.leaderboard.entries.Entry`. Empty without entries."""
    try:
        leaderboard = importlib.import_module("hearlab.report.leaderboard.entries")
    except ModuleNotFoundError:
        return {}
    if not (root / FOLDER).is_dir():
        return {}
    entries = leaderboard.load_entries(root / FOLDER)
    found = {track: list(leaderboard.ranked(entries, track)) for track in ("speech", "music")}
    return {track: rows for track, rows in found.items() if rows}
