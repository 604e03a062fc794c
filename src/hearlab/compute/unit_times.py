"""How long a stage's units took here, the last time they ran: for `hearlab plan`."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from hearlab.files import write_text

FILE = "unit-times.json"


def note_times(folder: Path, index: str, seconds: Sequence[float]) -> None:
    """Keep what a run's units took.

    Args:
        folder: the memo's folder.
        index: the stage's index file, relative to the workspace: it names the stage and its data set.
        seconds: of the units that really ran. The first one in each process loads and compiles, so the median is kept.
    """
    if seconds:
        times = {**read_times(folder), index: statistics.median(seconds)}
        with contextlib.suppress(OSError):  # a full disk must not hide what the units have to say
            write_text(folder / FILE, json.dumps(times, indent=1, sort_keys=True) + "\n")


def read_times(folder: Path) -> dict[str, float]:
    """Seconds of one core that a unit takes, by the stage's index file; what cannot be read is not known."""
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {str(index): float(seconds) for index, seconds in content.items()}
    return {}
