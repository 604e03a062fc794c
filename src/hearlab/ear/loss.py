"""The bands of the ear and what a hearing loss does to each: outer- and inner-hair-cell damage.

Kates (2013), section on hearing loss; the split between outer and inner hair cells follows Moore et al. (1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hearlab.arrays import Array

BANDS = 32
LOWEST_HZ = 80.0
HIGHEST_HZ = 8000.0

# Frequencies in Hz at which the model needs the audiogram.
AUDIOMETRIC_FREQUENCIES = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0)

# Equivalent rectangular bandwidth of the normal ear (Moore and Glasberg 1983, as used by Slaney 1993).
EAR_Q = 9.26449
MINIMUM_BANDWIDTH_HZ = 24.7

# Greenwood's (1990) map of the human basilar membrane: a frequency in Hz and a slope per length.
PLACE_HZ = 165.4
PLACE_SLOPE = 2.1

# Input-output function of the normal ear: linear below and above these levels, compressive between them.
LOWER_KNEE_DB = 30.0
UPPER_KNEE_DB = 100.0
# Compression ratio of the lowest and the highest band of the normal ear.
LOWEST_BAND_RATIO = 1.25
HIGHEST_BAND_RATIO = 3.5

# Part of a loss that is due to outer hair cells, up to the loss at which compression is gone.
OUTER_SHARE = 0.8

# Loss in dB HL that stands for a complete loss of outer hair cells: the widest filters the model knows.
COMPLETE_LOSS_DB = 100.0


@dataclass(frozen=True, eq=False)
class LossParameters:
    """A hearing loss as the model sees it, each of shape (32,), low bands first.

    Attributes:
        outer_attenuation: gain in dB that is lost with outer hair cells.
        bandwidth: of the filters at low levels, relative to the normal ear.
        lower_knee: level in dB SPL up to which the band is linear.
        compression_ratio: between the lower knee and 100 dB SPL.
        inner_attenuation: loss in dB at the inner hair cells.
    """

    outer_attenuation: Array
    bandwidth: Array
    lower_knee: Array
    compression_ratio: Array
    inner_attenuation: Array


@lru_cache(maxsize=8)
def centre_frequencies(basal_shift: float = 0.0) -> Array:
    """Centre frequencies in Hz of the 32 bands, 80 to 8000 Hz, evenly spaced in ERB rate; shape (32,).

    With a basal shift the places of the lowest and the highest band, from the apex on, are multiplied by one more.
    """
    ends = np.array([LOWEST_HZ, HIGHEST_HZ])
    if basal_shift:
        places = np.log10(1 + ends / PLACE_HZ) / PLACE_SLOPE
        ends = PLACE_HZ * (10 ** (PLACE_SLOPE * places * (1 + basal_shift)) - 1)
    offset = EAR_Q * MINIMUM_BANDWIDTH_HZ
    first, last = np.log(ends + offset)
    steps = np.linspace(first, last, BANDS)
    frequencies = np.exp(steps) - offset
    frequencies.flags.writeable = False
    return frequencies


def equivalent_bandwidth(frequency: Array) -> Array:
    """Equivalent rectangular bandwidth in Hz of the normal auditory filter at each `frequency` in Hz."""
    return MINIMUM_BANDWIDTH_HZ + frequency / EAR_Q


def loss_parameters(levels: Array) -> LossParameters:
    """Split a hearing loss between outer and inner hair cells.

    Args:
        levels: loss in dB HL at `AUDIOMETRIC_FREQUENCIES`, shape (6,). Below 250 and above 6000 Hz the nearest
            value holds; negative losses count as 0.
    """
    loss = np.maximum(np.interp(centre_frequencies(), AUDIOMETRIC_FREQUENCIES, levels), 0.0)
    normal_ratio = np.linspace(LOWEST_BAND_RATIO, HIGHEST_BAND_RATIO, BANDS)
    # Losing this much gain leaves the band linear; further loss can only be due to inner hair cells.
    most_outer = (UPPER_KNEE_DB - LOWER_KNEE_DB) * (1 - 1 / normal_ratio)
    shared = np.minimum(loss, most_outer / OUTER_SHARE)
    outer = OUTER_SHARE * shared
    lower_knee = LOWER_KNEE_DB + outer
    # The output at 100 dB SPL stays that of the normal ear, less the lost gain at the knee.
    output_range = (UPPER_KNEE_DB - LOWER_KNEE_DB) / normal_ratio
    return LossParameters(
        outer_attenuation=outer,
        bandwidth=1 + outer / 50 + 2 * (outer / 50) ** 6,
        lower_knee=lower_knee,
        compression_ratio=(UPPER_KNEE_DB - lower_knee) / output_range,
        inner_attenuation=loss - outer,
    )


@lru_cache(maxsize=1)
def normal_hearing() -> LossParameters:
    """The parameters of an ear without loss."""
    return loss_parameters(np.zeros(len(AUDIOMETRIC_FREQUENCIES)))


@lru_cache(maxsize=1)
def widest_bandwidth() -> Array:
    """Relative bandwidth of the filters without outer hair cells, shape (32,); the control path uses it."""
    return loss_parameters(np.full(len(AUDIOMETRIC_FREQUENCIES), COMPLETE_LOSS_DB)).bandwidth
