"""Inner hair cells: level above threshold, and rapid and short-term adaptation (Kates 2013)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from hearlab.ear.resampling import MODEL_RATE

# An onset overshoots its steady state by this factor.
OVERSHOOT = 2.0
RAPID_TIME_S = 0.002
SHORT_TERM_TIME_S = 0.060

# Keeps the logarithm finite where the envelope is zero.
TINY = 1e-30


def sensation_level(
    envelopes: NDArray[np.float64], attenuation: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Envelopes in dB above the auditory threshold, at least 0.

    Args:
        envelopes: compressed, linear, shape (bands, n).
        attenuation: loss in dB at the inner hair cells, shape (bands,).
        level: dB SPL of an RMS of 1; the threshold of the normal ear is 0 dB SPL.
    """
    decibels = np.log10(envelopes + TINY)
    decibels *= 20
    decibels += (level - attenuation)[:, None]
    return np.maximum(decibels, 0.0, out=decibels)


def adapt(envelopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adapted envelopes in dB above threshold, at least 0; `envelopes` likewise, shape (bands, n) at 24 kHz."""
    adapted = lfilter(*adaptation_filter(), envelopes)
    return np.maximum(adapted, 0.0, out=adapted)


@lru_cache(maxsize=1)
def adaptation_filter() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator at 24 kHz of the adaptation, which is linear apart from the floor at 0 dB.

    The model is a circuit: the input voltage u feeds, through R1, a node with capacitor C1 at voltage v, and this,
    through R2, a node with C2 at voltage w, which R3 connects to ground. The output is the current through R1.
    Derivatives are backward differences; eliminating the voltages leaves a filter with two poles.
    """
    r1 = 1 / OVERSHOOT
    r2 = r3 = (1 - r1) / 2
    c1 = RAPID_TIME_S * (r1 + r2) / (r1 * r2)
    c2 = SHORT_TERM_TIME_S / ((r1 + r2) * r3)
    # Charge kept from one sample to the next; node equations A [v, w] = K [v, w] one sample before + [r2 u, 0].
    kept = np.array([r1 * r2 * c1, r2 * r3 * c2]) * MODEL_RATE
    nodes = np.array([[r1 + r2 + kept[0], -r1], [-r3, r2 + r3 + kept[1]]])
    inverse = np.linalg.inv(nodes)
    transition = inverse * kept
    drive = inverse[:, 0] * r2
    # v / u = (numerator of v) / denominator, by Cramer's rule on (I - transition z^-1) [v, w] = drive u.
    denominator = np.array([1.0, -np.trace(transition), np.linalg.det(transition)])
    node = np.array([drive[0], transition[0, 1] * drive[1] - transition[1, 1] * drive[0], 0.0])
    return (denominator - node) / r1, denominator
