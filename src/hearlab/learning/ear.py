"""Sounds of a batch in ears with different losses: middle ear, filterbank and compression, with gradients.

`hearlab.ear.hearing` for tensors. Signals are (items, N) in double precision, zeros after each item's own length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.compression import GAIN_LOW_PASS_HZ, NARROW_BELOW_DB, TINY, WIDEST_ABOVE_DB
from hearlab.ear.filter_design import butterworth
from hearlab.ear.filterbank import (
    DECAY_PER_BANDWIDTH,
    MIDDLE_EAR_HIGH_PASS_HZ,
    MIDDLE_EAR_LOW_PASS_HZ,
    compensating_delays,
    control_filters,
)
from hearlab.ear.loss import (
    BANDS,
    UPPER_KNEE_DB,
    LossParameters,
    centre_frequencies,
    equivalent_bandwidth,
    widest_bandwidth,
)
from hearlab.ear.resampling import MODEL_RATE
from hearlab.learning.library import torch
from hearlab.learning.operators import Operators

Tensor = torch.Tensor

ALL_BANDS = tuple(range(BANDS))

# Lengths of rows are multiples of this; the compiled loops work on so many samples at once.
ROUND = 8


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of a batch, each of shape (items, 32); see `hearlab.ear.loss.LossParameters`."""

    outer_attenuation: Array
    bandwidth: Array
    lower_knee: Array
    compression_ratio: Array
    inner_attenuation: Array

    @staticmethod
    def of(items: Sequence[LossParameters]) -> Losses:
        return Losses(
            **{name: np.stack([getattr(item, name) for item in items]) for name in Losses.__dataclass_fields__}
        )


class Hearing:
    """Signals of a batch, each in its own ear.

    Args:
        operators: how to compute.
        signals: at 24 kHz, one of shape (n,) for each item.
        losses: of the ears.
        levels: dB SPL of an RMS of 1, shape (items,).
        dtype: of envelopes and motions.

    Attributes:
        lengths: numbers of samples.
        bandwidths: of the filters, relative to the normal ear, shape (items, 32).
    """

    def __init__(
        self,
        operators: Operators,
        signals: Sequence[Tensor],
        losses: Losses,
        levels: Array,
        dtype: torch.dtype,
    ) -> None:
        self.lengths = [signal.shape[-1] for signal in signals]
        self.losses, self.levels, self._operators, self._dtype = losses, levels, operators, dtype
        self._signals = operators.sections(padded(signals), _middle_ear())
        self._control_rms = operators.control_rms(self._signals, self.lengths, ALL_BANDS)
        rows = self._tensor
        narrow, widest = rows(losses.bandwidth), rows(widest_bandwidth())
        over = _decibels(self._control_rms) + rows(levels)[:, None] - NARROW_BELOW_DB
        part = (over / (WIDEST_ABOVE_DB - NARROW_BELOW_DB)).clamp(0.0, 1.0)
        self.bandwidths = narrow + part * (widest - narrow)
        decays = DECAY_PER_BANDWIDTH * equivalent_bandwidth(centre_frequencies())
        self._poles = torch.exp(-2 * np.pi / MODEL_RATE * rows(decays) * self.bandwidths)
        self._gains = 8 * (1 - self._poles) ** 4 / (1 + 2 * self._poles) ** 2
        constant = 10 ** (-losses.outer_attenuation / 20) * _low_pass_gain()
        self._factors = self._gains * rows(constant)
        self._curves = _curves(losses, levels)
        self._mean_squares: dict[int, Tensor] = {}

    def compress(self, bands: Sequence[int], *, moving: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Envelopes and motions (none if not `moving`) of some bands, (items, bands, N), and the envelopes' RMS.

        The RMS are those before compression, (items, bands). The number of bands is even.
        """
        chosen = list(bands)
        envelopes, motions, squares = self._operators.compress(
            self._signals,
            self._poles[:, chosen],
            self._factors[:, chosen],
            np.ascontiguousarray(self._curves[:, chosen]),
            self.lengths,
            bands,
            moving,
            self._dtype,
        )
        return envelopes, motions, self._gains[:, chosen] * root(squares)

    def late(self) -> Array:
        """Samples by which each band is delayed to be as late as the slowest one, shape (items, 32)."""
        bandwidths = self.bandwidths.detach().cpu().numpy()
        return np.stack([compensating_delays(item) for item in bandwidths])

    def long_term_levels(self, envelope_rms: Tensor) -> Tensor:
        """`hearlab.ear.compression.compressed_level`, from the RMS of all envelopes; shape (items, 32)."""
        rows, losses, levels = self._tensor, self.losses, self._tensor(self.levels)[:, None]
        knees, ratios = rows(losses.lower_knee), rows(losses.compression_ratio)
        control = torch.minimum(torch.maximum(levels + _decibels(self._control_rms), knees), knees.new_tensor(100.0))
        gain = -rows(losses.outer_attenuation) - (control - knees) * (1 - 1 / ratios)
        heard = (levels + _decibels(envelope_rms)).clamp_min(0.0)
        return (heard + gain - rows(losses.inner_attenuation)).clamp_min(0.0)

    def _tensor(self, values: Array) -> Tensor:
        return torch.as_tensor(values, device=self._signals.device)


def padded(signals: Sequence[Tensor]) -> Tensor:
    """Signals of different lengths as the rows of one tensor, zeros after them; shape (items, N)."""
    longest = max(signal.shape[-1] for signal in signals)
    room = -(-longest // ROUND) * ROUND
    return torch.stack([torch.nn.functional.pad(signal, (0, room - signal.shape[-1])) for signal in signals])


def root(squares: Tensor) -> Tensor:
    """Square roots, with a gradient of zero instead of infinity at zero."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


def _decibels(amplitudes: Tensor) -> Tensor:
    return 20 * torch.log10(amplitudes.clamp_min(TINY))


def _curves(losses: Losses, levels: Array) -> Array:
    """Of each band the factor of the control path's power, the upper bound and the exponent, shape (items, 32, 3)."""
    _, gains = control_filters(ALL_BANDS)
    knees = losses.lower_knee
    return np.stack(
        [
            gains**2 * 10 ** ((levels[:, None] - knees) / 10),
            10 ** ((UPPER_KNEE_DB - knees) / 10),
            (1 / losses.compression_ratio - 1) / 2,
        ],
        axis=-1,
    )


@lru_cache(maxsize=1)
def _middle_ear() -> Array:
    """The middle ear as two sections b0, b1, b2, -a1, -a2."""
    low = butterworth(1, MIDDLE_EAR_LOW_PASS_HZ, MODEL_RATE)
    high = butterworth(2, MIDDLE_EAR_HIGH_PASS_HZ, MODEL_RATE, high_pass=True)
    return np.array([[*low[0], 0.0, -low[1][1], 0.0], [*high[0], -high[1][1], -high[1][2]]])


@lru_cache(maxsize=1)
def _low_pass_gain() -> float:
    numerator, _ = butterworth(1, GAIN_LOW_PASS_HZ, MODEL_RATE)
    return float(numerator[0])
