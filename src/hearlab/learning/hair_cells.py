"""Inner hair cells as an operator of compiled loops; see `hearlab.learning.compiled`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.adaptation import DECIBELS_PER_OCTAVE, adaptation_filter
from hearlab.ear.filter_design import one_pole_parts
from hearlab.kernels.scan import scan_coefficients
from hearlab.learning.kernels.adaptation import adapt_band, adapt_band_backwards
from hearlab.learning.library import array, once_differentiable, torch

Tensor = torch.Tensor


class Adapt(torch.autograd.Function):
    """Inner hair cells: envelopes and motions, shifted, to the firing and the motions with it as envelope.

    Args are tensors (items, bands, N), and per item and band the level above threshold of an amplitude of 1 in dB, and
    the numbers of samples by which envelope and motion are read early and what comes out is late; (items, bands) each.
    """

    @staticmethod
    def forward(
        ctx: Any,
        envelopes: Tensor,
        motions: Tensor,
        offsets: Array,
        early: Any,
        motion_early: Any,
        late: Any,
        lengths: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        ctx.constants = offsets, early, motion_early, late, lengths
        ctx.save_for_backward(envelopes, motions)
        firing, moved = torch.zeros_like(envelopes), torch.zeros_like(motions)
        rows, moves, out, out_moves = array(envelopes), array(motions), firing.numpy(), moved.numpy()
        for item, length in enumerate(lengths):
            for band in range(rows.shape[1]):
                adapt_band(
                    rows[item, band],
                    moves[item, band],
                    length,
                    int(early[item, band]),
                    int(motion_early[item, band]),
                    int(late[item, band]),
                    _adaptation_constants(float(offsets[item, band])),
                    out[item, band],
                    out_moves[item, band],
                )
        return firing, moved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        envelopes, motions = ctx.saved_tensors
        offsets, early, motion_early, late, lengths = ctx.constants
        rows, moves = array(envelopes), array(motions)
        given, given_moves = array(gradients[0]), array(gradients[1])
        of_envelopes, of_motions = torch.zeros_like(envelopes), torch.zeros_like(motions)
        out, out_moves = of_envelopes.numpy(), of_motions.numpy()
        for item, length in enumerate(lengths):
            for band in range(rows.shape[1]):
                adapt_band_backwards(
                    rows[item, band],
                    moves[item, band],
                    length,
                    int(early[item, band]),
                    int(motion_early[item, band]),
                    int(late[item, band]),
                    _adaptation_constants(float(offsets[item, band])),
                    given[item, band],
                    given_moves[item, band],
                    out[item, band],
                    out_moves[item, band],
                )
        return of_envelopes, of_motions, None, None, None, None, None


@lru_cache(maxsize=1)
def adaptation_parts() -> tuple[Array, Array, float]:
    """The adaptation as one-pole filters side by side: residues, poles, and the direct part."""
    return one_pole_parts(*adaptation_filter())


def _adaptation_constants(offset: float) -> Array:
    residues, poles, direct = adaptation_parts()
    scans = [scan_coefficients(pole) for pole in poles]
    return np.concatenate([[DECIBELS_PER_OCTAVE, offset, direct, *residues], *scans])
