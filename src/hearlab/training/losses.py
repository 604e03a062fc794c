"""What is made small: distances of spectra in bands, or 1 minus a metric of what the listener hears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.enhancement.energies import BEAMS
from hearlab.enhancement.spectra import HEARD, HELD, HOP, WINDOW, band_weights, windows
from hearlab.fitting import Compressor, NalR
from hearlab.learning import metrics
from hearlab.learning.library import torch
from hearlab.listeners import Audiogram

Tensor = torch.Tensor

COMPRESSED = 0.3  # power of the energy by which a band counts: loudness grows with about this
METRICS = {"haspi": metrics.haspi, "hasqi": metrics.hasqi}


def spectral_loss(gains: Tensor, mixed: Tensor, ideal: Tensor) -> Tensor:
    """Cross entropy of gains and the target's share of the energy, weighted by the loudness of the mixture.

    The gain of least loss is the mean share: that of a Wiener filter.

    Args:
        gains, ideal: shape (items, frames, 2, bands).
        mixed: energies, shape (items, frames, bands, SIGNALS).
    """
    loud = mixed[..., BEAMS:].transpose(-1, -2)
    weights = (loud / (loud.mean(dim=1, keepdim=True) + 1e-12)).clamp(max=10) ** COMPRESSED
    sure = gains.clamp(1e-5, 1 - 1e-5)
    entropy = torch.nn.functional.binary_cross_entropy(sure, ideal, reduction="none")
    return (weights * entropy).mean()


class HearingAid:
    """What follows the network, with a gradient: NAL-R, a gain, the compressor and the soft clip of the baseline.

    The compressor's gain follows the level slowly: it is found by the real one and held.

    Args:
        rate: Hz.
        gain, nalr, compressor, soft_clip: as of `hearlab.systems.baseline.Baseline`.
    """

    def __init__(
        self,
        rate: int,
        *,
        gain: float = 0.0,
        nalr: Mapping[str, Any] | None = None,
        compressor: Mapping[str, Any] | None = None,
        soft_clip: bool = True,
        music_compressor: bool = False,
    ) -> None:
        self._gain = 10 ** (gain / 20)
        self._prescription = NalR(rate=rate, **dict(nalr or {}))
        self._compressor = Compressor(rate, **dict(compressor or {}))
        self._soft_clip = soft_clip

    def __call__(self, signals: Tensor, audiograms: Sequence[Audiogram]) -> Tensor:
        """What is heard of signals (items, n) in double precision, one audiogram each; as long, `taps / 2` late."""
        filters = np.stack([self._prescription.filter(audiogram) for audiogram in audiograms])
        length = signals.shape[1] + filters.shape[1]
        response = torch.fft.rfft(torch.from_numpy(filters).to(signals), length)
        amplified = torch.fft.irfft(torch.fft.rfft(signals, length) * response, length)[:, : signals.shape[1]]
        amplified = amplified * self._gain
        held = self._compressor.gains(amplified.detach().cpu().numpy().T).T * self._compressor.makeup_gain
        compressed = amplified * torch.from_numpy(np.ascontiguousarray(held)).to(signals)
        return torch.tanh(compressed) if self._soft_clip else compressed


def heard_with_gains(spectra: Tensor, gains: Tensor, samples: int) -> Tensor:
    """As `hearlab.enhancement.spectra.applied`, with a gradient to the gains; shape (items, samples).

    Args:
        spectra: shape (items, frames, BINS), complex.
        gains: shape (items, frames // HELD, bands).
        samples: of the signal.
    """
    items, frames, _ = spectra.shape
    later = gains.repeat_interleave(HELD, dim=1)[:, : frames - HELD + 1]
    held = torch.nn.functional.pad(later, (0, 0, HELD - 1, 0))[:, :frames]
    weights = torch.from_numpy(band_weights(gains.shape[2]).copy()).to(held)
    parts = torch.fft.irfft(spectra * (held @ weights), WINDOW)[..., -HEARD:]
    parts = parts * torch.from_numpy(windows()[1].copy()).to(parts)
    first, second = (
        torch.nn.functional.pad(
            parts[..., half * HOP : (half + 1) * HOP].reshape(items, -1), (half * HOP, HOP - half * HOP)
        )
        for half in (0, 1)
    )
    return (first + second)[:, HOP : HOP + samples]


def metric_loss(
    names: Sequence[str], reference: Array, heard: Tensor, rate: int, losses: Array, level: float
) -> Tensor:
    """1 minus the mean of metrics.

    Args:
        names: of the metrics, see METRICS.
        reference: shape (items, n).
        heard: shape (items, n), with a gradient.
        rate: Hz.
        losses: dB HL at the metrics' frequencies, shape (items, 6).
        level: dB SPL of an RMS of 1.
    """
    clean = torch.from_numpy(reference).to(heard)
    return 1 - torch.stack([METRICS[name](clean, heard, rate, losses, level=level).mean() for name in names]).mean()
