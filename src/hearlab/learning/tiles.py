"""Covariances of motions in segments as an operator of compiled loops; see `hearlab.learning.compiled`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.learning.kernels.covariance import segment_covariances, segment_covariances_backwards
from hearlab.learning.library import array, doubles, once_differentiable, torch
from hearlab.metrics.covariance import HALF, SEGMENT, window_shares

Tensor = torch.Tensor


class Covariances(torch.autograd.Function):
    """Covariances of motions in segments, (items, bands, segments), with a gradient for the processed motions.

    The second result are the powers of the reference's segments.
    """

    @staticmethod
    def forward(ctx: Any, references: Tensor, processed: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        one, other = array(references), array(processed)
        count = segments(max(lengths))
        covariances, powers = np.zeros((*one.shape[:2], count)), np.zeros((*one.shape[:2], count))
        best = np.zeros(covariances.shape, dtype=np.int64)
        for item, length in enumerate(lengths):
            own = segments(length)
            for band in range(one.shape[1]):
                segment_covariances(
                    one[item, band],
                    other[item, band],
                    length,
                    *covariance_window(),
                    covariances[item, band, :own],
                    powers[item, band, :own],
                    best[item, band, :own],
                )
        ctx.save_for_backward(references, processed)
        ctx.lengths, ctx.best = lengths, best
        result = torch.from_numpy(powers)
        ctx.mark_non_differentiable(result)
        return torch.from_numpy(covariances), result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        references, processed = ctx.saved_tensors
        one, other, given = array(references), array(processed), doubles(gradients[0])
        found = torch.zeros_like(processed)
        out = found.numpy()
        for item, length in enumerate(ctx.lengths):
            own = segments(length)
            for band in range(one.shape[1]):
                segment_covariances_backwards(
                    one[item, band],
                    other[item, band],
                    length,
                    *covariance_window(),
                    ctx.best[item, band, :own],
                    given[item, band, :own],
                    out[item, band],
                )
        return None, found, None


def segments(samples: int) -> int:
    """Number of segments in so many samples; those at the ends are halves."""
    return 1 + samples // SEGMENT + (samples - HALF) // SEGMENT


@lru_cache(maxsize=1)
def covariance_window() -> tuple[Array, Array, Array]:
    """The window, as the exact metrics round it, and what it shares with itself: half windows, and whole ones."""
    window = np.hanning(SEGMENT).astype(np.float32).astype(np.float64)
    return window, window_shares(HALF).copy(), window_shares(SEGMENT).copy()
