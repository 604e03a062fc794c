"""Magnitude spectra as Open-Unmix sees them in training, and their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hearlab.arrays import Array
from hearlab.errors import InputError
from hearlab.networks.library import require_torch
from hearlab.separation.openunmix import TARGETS, UnmixShape
from hearlab.separation.training_data import SongSource, blocks

if TYPE_CHECKING:
    import torch

# The deviation of a bin is at least this part of the largest deviation (as in Open-Unmix).
_LEAST_SCALE = 1e-4
# Seconds of a song that are analysed together.
_BLOCK = 10.0


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the mixtures' magnitude in each bin, shape (bins,) each."""

    mean: Array
    deviation: Array


def mixture_statistics(source: SongSource, shape: UnmixShape) -> Statistics:
    """Statistics of the songs' mixtures, averaged over both channels; all targets of one separator can share them."""
    torch = require_torch()
    total, squares, count = np.zeros(shape.bins), np.zeros(shape.bins), 0
    with torch.inference_mode():
        for mixture, _ in blocks(source, TARGETS, None, block_frames(shape)):
            if mixture.shape[1] < shape.nfft:
                continue
            spectra = magnitude(torch.from_numpy(mixture), shape).mean(dim=0).numpy().astype(np.float64)
            total += spectra.sum(axis=1)
            squares += np.square(spectra).sum(axis=1)
            count += spectra.shape[1]
    if count == 0:
        raise InputError("training songs", "are too short", wanted=f"{shape.nfft} samples at least")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return Statistics(mean, np.maximum(deviation, max(_LEAST_SCALE * deviation.max(), 1e-12)))


def block_frames(shape: UnmixShape) -> int:
    """Samples of a song that are analysed together, in validation and statistics."""
    return max(int(_BLOCK * shape.sample_rate), shape.nfft)


def magnitude(signal: torch.Tensor, shape: UnmixShape) -> torch.Tensor:
    """Magnitude spectra, (..., n) -> (..., bins, frames); frames that reach over an end are left out."""
    torch = require_torch()
    spectra = torch.stft(
        signal.reshape(-1, signal.shape[-1]),
        n_fft=shape.nfft,
        hop_length=shape.nhop,
        window=torch.hann_window(shape.nfft, device=signal.device),
        center=False,
        return_complex=True,
    )
    parts = torch.view_as_real(spectra)
    # abs() of complex numbers guards against overflow and takes three times as long; sqrt() is MKL's, an estimate that
    # each make of processor begins in another way.
    squares = parts.square()  # of both at once, as they lie: single ones are strided, and take three times as long
    length = (squares[..., 0] + squares[..., 1]).rsqrt_().reciprocal_()
    return length.reshape(*signal.shape[:-1], *spectra.shape[-2:])
