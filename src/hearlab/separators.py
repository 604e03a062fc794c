"""The separation models: one row for each.

The module of a model is `hearlab.separation.<its name>`, with the functions `load` and `weights_files` and its
published files, `WEIGHTS`. A unit that separates loads that module by its name and does not reach this table: a row
that is added or changed here makes no stem anew.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeparationModel:
    """What is known of a model without loading it.

    Attributes:
        title: its name in the published leaderboards.
        seconds_per_second: what a second of a song takes on one core, in seconds (measured by `make bench`).
        trainable: whether the stage train_separator can train it.
    """

    title: str
    seconds_per_second: float
    trainable: bool = False


SEPARATORS = {
    "openunmix": SeparationModel("Open-Unmix", seconds_per_second=0.1, trainable=True),
    "hdemucs": SeparationModel("Demucs", seconds_per_second=0.36),
}
