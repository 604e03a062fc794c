"""Groups that scores are averaged in: bands of SNR, and grades of hearing loss."""

from __future__ import annotations

from typing import Any

from hearlab.errors import InputError
from hearlab.listeners import Listener

# Upper edges in dB of the SNR bands; CEC2 draws SNRs from -12 to 6 dB.
SNR_EDGES = (-6.0, 0.0, 6.0)
BAND_WIDTH = 6.0  # dB, of the bands that end at SNR_EDGES
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


def snr_band(scene: dict[str, Any]) -> str:
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


def grade(listener: Listener) -> str:
    """Grade of a listener's hearing loss: see `GRADES`."""
    try:
        mean = min(float(ear.at(GRADE_FREQUENCIES).mean()) for ear in (listener.left, listener.right))
    except InputError:
        return UNKNOWN  # the audiogram does not reach these frequencies
    return next(name for name, limit in GRADES.items() if mean < limit)
