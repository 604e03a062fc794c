"""Spectral shapes over time with gradients: averages, correlations, modulation filters, groups of bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import BANDS
from hearlab.kernels.fast_lengths import fast_length
from hearlab.learning.library import torch
from hearlab.metrics.cepstra import TINY

Tensor = torch.Tensor

# Bands that are worked on together where memory does not matter.
GROUP = 8


def in_groups(
    work: Callable[[tuple[int, ...]], tuple[Tensor, ...]], bands_at_once: int | None, *, group: int = GROUP
) -> list[Tensor]:
    """What `work` gives for groups of bands, joined along the second axis.

    Args:
        work: from bands to tensors of shape (items, bands, ...).
        bands_at_once: an even number of bands whose rows are kept in memory at a time: those of the others are computed
            again in the backward pass. None keeps all.
    """
    step = group if bands_at_once is None else bands_at_once
    parts = []
    for start in range(0, BANDS, step):
        bands = tuple(range(start, min(start + step, BANDS)))
        if bands_at_once is None:
            parts.append(work(bands))
        else:
            parts.append(torch.utils.checkpoint.checkpoint(work, bands, use_reentrant=False, preserve_rng_state=False))
    return [torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True)]


def correlations(one: Tensor, other: Tensor) -> Tensor:
    """Absolute correlation of signals without their means, 0 where one of them has no energy.

    Args:
        one, other: shape (..., frames).
    """
    one, other = one - one.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
    energies = one.square().sum(-1), other.square().sum(-1)
    products = (one * other).sum(-1).abs()
    audible = torch.minimum(*energies) >= TINY
    norms = torch.where(audible, energies[0] * energies[1], 1.0).sqrt()
    return torch.where(audible, products / norms, 0.0)


def filtered(signals: Tensor, filters: Sequence[Array]) -> Tensor:
    """Signals (functions, frames) through symmetric filters without delay: (filters, functions, frames)."""
    frames = signals.shape[-1]
    size = fast_length(frames + max(taps.size for taps in filters) - 1)
    responses = _responses(tuple(taps.tobytes() for taps in filters), size)
    spectra = torch.fft.rfft(signals, size)
    weights = torch.as_tensor(responses, dtype=signals.dtype, device=signals.device)
    return torch.fft.irfft(spectra * weights[:, None], size)[..., :frames]


@lru_cache(maxsize=8)
def _responses(filters: tuple[bytes, ...], size: int) -> Array:
    """Real frequency responses of symmetric filters of odd lengths, with their middles at zero."""
    found: list[Any] = []
    for taps in map(np.frombuffer, filters):
        centred = np.zeros(size)
        centred[: taps.size] = taps
        found.append(np.fft.rfft(np.roll(centred, -(taps.size // 2))).real)
    return np.array(found)
