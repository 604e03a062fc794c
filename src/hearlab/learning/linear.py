"""Linear filters with constant coefficients that change the rate, as products of matrices."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.filter_design import chebyshev2_low_pass, windowed_sinc
from hearlab.ear.resampling import (
    FILTER_REACH,
    KAISER_BETA,
    MATCHED_BAND_ATTENUATION_DB,
    MATCHED_BAND_HZ,
    MATCHED_BAND_ORDER,
    MODEL_RATE,
    whole_kilohertz,
)
from hearlab.learning.library import torch
from hearlab.learning.operators import Operators

Tensor = torch.Tensor


def change_rate(signals: Tensor, taps: Array, up: int, down: int, origin: int, count: int) -> Tensor:
    """y[k] = sum over j of taps[origin + j * up - k * down] * x[j], for k below `count`, zeros outside of both.

    Inputs are cut into blocks of `down`, outputs into blocks of `up`; an output block is the sum of products of a few
    input blocks with matrices.

    Args:
        signals: shape (..., n).

    Returns:
        shape (..., count).
    """
    weights, first = _weights(taps.tobytes(), up, down, origin)
    distances = weights.shape[1] // up
    blocks = -(-count // up)
    # Output block a needs the input blocks from a - first - distances + 1 to a - first.
    before = max(first + distances - 1, 0)
    inputs = max(blocks - first, 0)
    wanted = inputs * down
    kept = signals[..., : min(wanted, signals.shape[-1])]
    padded = torch.nn.functional.pad(kept, (before * down, wanted - kept.shape[-1]))
    products = padded.unflatten(-1, (-1, down)) @ torch.as_tensor(weights, dtype=signals.dtype, device=signals.device)
    total: Tensor | int = 0
    for place in range(distances):
        start = before - first - place
        total = total + products[..., start : start + blocks, place * up : (place + 1) * up]
    assert not isinstance(total, int)
    return total.flatten(-2)[..., :count]


@lru_cache(maxsize=16)
def _weights(taps: bytes, up: int, down: int, origin: int) -> tuple[Array, int]:
    """Matrices (down, up) side by side, for input blocks that lie `first`, `first` + 1, ... before the output's."""
    values = np.frombuffer(taps)
    step = up * down
    # Tap origin + s * up - r * down - d * step, of input s and output r of their blocks, must be from 0 to size - 1.
    first = -((values.size - 1 - origin + (up - 1) * down) // step)
    last = (origin + (down - 1) * up) // step
    d, s, r = np.ogrid[first : last + 1, :down, :up]
    index = origin + s * up - r * down - d * step
    inside = (index >= 0) & (index < values.size)
    matrices = np.where(inside, values[np.clip(index, 0, values.size - 1)], 0.0)
    return np.ascontiguousarray(matrices.transpose(1, 0, 2).reshape(down, -1)), first


def to_model_rate(signal: Tensor, rate: float, operators: Operators) -> Tensor:
    """`hearlab.ear.resampling.to_model_rate` of a tensor, shape (n,), in double precision."""
    source, target = whole_kilohertz(rate), MODEL_RATE // 1000
    if source == target:
        # Compiled loops read one channel of several as if the others were not there.
        return signal.contiguous()
    common = math.gcd(source, target)
    up, down = target // common, source // common
    reach = FILTER_REACH * max(up, down)
    taps = up * windowed_sinc(0.0, 1 / max(up, down), np.kaiser(2 * reach + 1, KAISER_BETA))
    # The filter is symmetric.
    resampled = change_rate(signal, taps, up, down, reach, -(-signal.shape[-1] * up // down))
    if source < target:
        before, after = mean_square(signal), mean_square(resampled)
    else:
        before = mean_square(operators.sections(signal[None], _matched_band(source)))
        after = mean_square(operators.sections(resampled[None], _matched_band(target)))
    # A signal so faint that its square is zero has no level to match.
    return resampled * (before / after).sqrt() if min(float(before.detach()), float(after.detach())) > 0 else resampled


def mean_square(signal: Tensor) -> Tensor:
    """Mean of the squares of all samples."""
    return signal.square().mean()


@lru_cache(maxsize=8)
def _matched_band(kilohertz: int) -> Array:
    """Sections b0, b1, b2, -a1, -a2, shape (4, 5), of the low-pass below which levels are compared."""
    found = chebyshev2_low_pass(MATCHED_BAND_ORDER, MATCHED_BAND_ATTENUATION_DB, 2 * MATCHED_BAND_HZ / 1000 / kilohertz)
    return found[:, [0, 1, 2, 4, 5]] * np.array([1, 1, 1, -1, -1])
