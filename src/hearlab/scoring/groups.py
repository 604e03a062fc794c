"""Groups that scores are averaged in: bands of SNR, types of interferers, grades of hearing loss."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hearlab.errors import InputError
from hearlab.listeners import Listener

# Upper edges in dB of the SNR bands; CEC2 draws SNRs from -12 to 6 dB.
SNR_EDGES = (-6.0, 0.0, 6.0)
BAND_WIDTH = 6.0  # dB, of the bands that end at SNR_EDGES
INTERFERERS = ("speech", "noise", "music")
# Grades of hearing loss of the World Health Organization (World report on hearing, 2021): the mean threshold at 500,
# 1000, 2000 and 4000 Hz in the better ear, in dB HL, is below the limit.
GRADES = {
    "none": 20.0,
    "mild": 35.0,
    "moderate": 50.0,
    "moderately severe": 65.0,
    "severe": 80.0,
    "profound": 95.0,
    "complete": float("inf"),
}
GRADE_FREQUENCIES = (500.0, 1000.0, 2000.0, 4000.0)
UNKNOWN = "not known"


def snr_band(scene: Mapping[str, Any]) -> str:
    """Name of the band of a scene's SNR at the better ear, in dB; the lower end belongs to the band below."""
    snr = scene.get("SNR")
    if not isinstance(snr, int | float):
        return UNKNOWN
    lowest = SNR_EDGES[0] - BAND_WIDTH
    if snr < lowest:
        return f"below {lowest:+.0f} dB"
    edge = next((edge for edge in SNR_EDGES if snr <= edge), None)
    return f"above {SNR_EDGES[-1]:+.0f} dB" if edge is None else f"{edge - BAND_WIDTH:+.0f} to {edge:+.0f} dB"


SNR_BANDS = (
    *(snr_band({"SNR": snr}) for snr in (SNR_EDGES[0] - BAND_WIDTH - 1, *SNR_EDGES, SNR_EDGES[-1] + 1)),
    UNKNOWN,
)


def interferer_types(scene: Mapping[str, Any]) -> str:
    """Types of a scene's interferers, such as 'noise' or 'speech + music'."""
    entries = scene.get("interferers")
    types = {entry.get("type") for entry in entries if isinstance(entry, dict)} if isinstance(entries, list) else set()
    return " + ".join(kind for kind in INTERFERERS if kind in types) or UNKNOWN


INTERFERER_ROWS = (
    *INTERFERERS,
    *("speech + noise", "speech + music", "noise + music", "speech + noise + music"),
    UNKNOWN,
)


def four_frequency_average(listener: Listener) -> float | None:
    """Mean threshold at `GRADE_FREQUENCIES` in the better ear, in dB HL; None if the audiogram does not reach them."""
    try:
        return min(float(ear.at(GRADE_FREQUENCIES).mean()) for ear in (listener.left, listener.right))
    except InputError:
        return None


def grade(listener: Listener) -> str:
    """Grade of a listener's hearing loss: see `GRADES`."""
    mean = four_frequency_average(listener)
    return UNKNOWN if mean is None else next(name for name, limit in GRADES.items() if mean < limit)


@dataclass(frozen=True)
class Grouping:
    """One way to group pairs.

    Attributes:
        name: as users type it, and in MLflow's keys.
        title: as tables show it.
        part: of a pair that the groups are of: 0 the scene, 1 the listener.
        group: of a scene's entry in the scene list, or of a listener.
        order: of the groups.
    """

    name: str
    title: str
    part: int
    group: Callable[[Any], str]
    order: tuple[str, ...]


GROUPINGS = {
    grouping.name: grouping
    for grouping in (
        Grouping("snr", "SNR at the better ear", 0, snr_band, SNR_BANDS),
        Grouping("severity", "hearing loss (WHO grade)", 1, grade, (*GRADES, UNKNOWN)),
        Grouping("interferers", "interferers", 0, interferer_types, INTERFERER_ROWS),
    )
}


def mean(values: Iterable[float]) -> float:
    """The mean, summed without rounding; NaN of nothing."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def group_means(scores: Iterable[tuple[str, float]], order: Iterable[str] = ()) -> dict[str, float]:
    """Mean of the scores of each group; the groups in that order, or as they come."""
    groups: dict[str, list[float]] = defaultdict(list)
    for name, score in scores:
        groups[name].append(score)
    return {name: mean(groups[name]) for name in (order or list(groups)) if name in groups}
