"""The metrics' own noise: how far a score moves when the same signals are scored with other random numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RerunNoise:
    """Spread of a pair's score between reruns.

    Attributes:
        sd: standard deviation of one pair's score.
        source: how it was measured, or who said it.
        published: the published spread, where there is one.
    """

    sd: float
    source: str
    published: str | None = None


# The published spread is of the mean of 7,500 pairs; for one pair it means 2.0e-4 if the pairs' noise is independent. A
# pair of middling score has more, so the larger figure is the one that floors are made from.
RERUN_NOISE = {
    "haspi": RerunNoise(
        5.6e-4,
        "10 seeds on the CEC2 scene S06001, 3 listeners, baseline and unprocessed",
        "0.2491594 +/- 0.0000023 for the mean of 7,500 pairs in five runs (CEC2 baseline README)",
    ),
    "haaqi": RerunNoise(4.3e-5, "8 seeds on a music excerpt with 4 distortions, 2 listeners; nothing is published"),
}
