"""Tracking as a whole: write the result down, log it, and say what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearlab.tracking import records, store
from hearlab.tracking.provenance import NO_COMMIT
from hearlab.tracking.result import current_result

LATER = "hearlab track --pending logs it later"


@dataclass(frozen=True)
class Report:
    """What became of a result.

    Attributes:
        identity: see `Result.identity`.
        logged: MLflow has it.
        lines: for the user.
    """

    identity: str
    logged: bool
    lines: tuple[str, ...]


def track(root: Path) -> Report:
    """Log the result in the workspace; if that cannot be, it is kept for `track_pending`.

    Raises:
        InputError: there is no result, or a table of it cannot be read.
        KeyboardInterrupt: interrupted; the result is kept.
    """
    result = current_result(root)
    lines = [f"{name} is left out: {reason}" for name, reason in result.left_out.items()]
    record = records.write(result)
    if NO_COMMIT in record.tags:
        lines.append(f"warning: {record.name} has no commit: {record.tags[NO_COMMIT]}")
    logged, line = _log(record, store.backend(root))
    lines.append(line)
    others = sum(folder.name != result.identity for folder in records.folders(root))
    if logged and others:
        lines.append(f"{others} earlier results wait to be logged: hearlab track --pending")
    return Report(result.identity, logged, tuple(lines))


def track_pending(root: Path) -> Iterator[Report]:
    """Log the results that are kept, the oldest first; after the first that fails the others are not tried.

    What is damaged is reported in the end.
    """
    where = store.backend(root)
    sound, damaged = records.sound_and_damaged(root)
    for record in sound:
        logged, line = _log(record, where)
        yield Report(record.identity, logged, (line,))
        if not logged:
            return
    for error in damaged:
        yield Report(Path(error.where).parent.name, False, (f"warning: {error}",))


def _log(record: records.Record, where: store.Backend) -> tuple[bool, str]:
    try:
        logged = store.log(record, where)
    except store.TrackingFailed as error:
        return False, f"warning: {record.name} is not in MLflow yet: {where.shown}: {error}; it is kept, {LATER}"
    records.discard(record)
    if logged.new:
        return True, f"{record.name} is logged in {where.shown} (run {logged.run[:8]})"
    return True, f"this result is in {where.shown} already (run {logged.run[:8]})"
