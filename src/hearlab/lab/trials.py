"""Trials as text and as JSON: scores beside those of the baseline and of the last committed result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hearlab.lab.comparisons import Committed
from hearlab.lab.laboratory import Trial
from hearlab.scoring.tracks import METRICS, TRACKS
from hearlab.text import table


@dataclass(frozen=True)
class Compared:
    """A trial and what it is compared with: metric -> score; empty where a result has no score of the pair."""

    trial: Trial
    baseline: dict[str, float]
    committed: dict[str, float]


def trials_text(found: Sequence[Compared], committed: Committed, system: str) -> str:
    """A table with a row for each listener and metric, and the files of the sounds. All are of one scene or song."""
    label = committed.label or "HEAD"
    rows = [[found[0].trial.name, "", "this try", "baseline", "difference", label, "difference"]]
    for one in found:
        for metric in (name for name in one.trial.scores if name in METRICS):
            score = one.trial.scores[metric]
            cells = [text for other in (one.baseline, one.committed) for text in _beside(score, other.get(metric))]
            rows.append([one.trial.listener, METRICS[metric].title, f"{score:.4f}", *cells])
    lines = [table(rows, left=(0, 1), most=40)]
    if committed.missing:
        other = f"; compared with the {committed.label}'s" if committed.label else ""
        lines.append(f"no committed scores ({committed.missing}){other}")
    elif not all(one.committed for one in found):
        lines.append(f"{committed.label} has no score of a pair that shows none")
    lines += [f"sound: {one.trial.sound.as_posix()}" for one in found]
    seconds = sum(one.trial.seconds for one in found)
    lines.append(f"({system}, {seconds:.1f} s for {len(found)} {'pair' if len(found) == 1 else 'pairs'})")
    return "\n".join(lines)


def _beside(score: float, other: float | None) -> tuple[str, str]:
    return ("-", "-") if other is None else (f"{other:.4f}", f"{score - other:+.4f}")


def trials_values(found: Sequence[Compared], committed: Committed, system: str) -> dict[str, Any]:
    """The same for JSON, with all scores."""
    pairs = []
    for one in found:
        trial = one.trial
        pair = {
            TRACKS[trial.track].cluster: trial.name,
            "listener": trial.listener,
            "scores": trial.scores,
            "baseline": one.baseline or None,
            "committed": one.committed or None,
            "sound": trial.sound.as_posix(),
            "seconds": round(trial.seconds, 3),
        }
        pairs.append(pair)
    source = {"committed": committed.label or None, "missing": committed.missing or None}
    return {"track": found[0].trial.track, "system": system, "compared_with": source, "pairs": pairs}
