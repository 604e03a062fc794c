"""The operators of the ear on the CPU: compiled loops over whole sequences with their adjoints as backward passes.

Signals are (items, N), rows are (items, bands, N), N a multiple of 8; of item k the first `lengths[k]` samples count,
and the rest is zero. The loops are in double precision whatever the type of the tensors is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.ear.alignment import BAND_RANGE
from hearlab.ear.compression import GAIN_LOW_PASS_HZ
from hearlab.ear.filter_design import butterworth
from hearlab.ear.filterbank import Channels, carrier, control_filters
from hearlab.ear.filterbank import control_rms as control_rms_of_pair
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.correlation import highest_lag, near_lags
from hearlab.kernels.scan import scan_coefficients
from hearlab.learning.hair_cells import Adapt
from hearlab.learning.kernels.compression import compress_pair, compress_pair_backwards, control_energy_backwards
from hearlab.learning.kernels.sections import filter_four_sections, filter_section
from hearlab.learning.library import array, doubles, once_differentiable, torch
from hearlab.learning.tiles import Covariances

Tensor = torch.Tensor


class Sections(torch.autograd.Function):
    """Sections of second order with constant coefficients, one after the other: (items, N) to (items, N).

    The backward pass is the same filter in reversed time.
    """

    @staticmethod
    def forward(ctx: Any, signals: Tensor, sections: Array) -> Tensor:
        ctx.sections = sections
        return _through(signals, sections, backwards=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _through(gradients[0], ctx.sections, backwards=True), None


def _through(signals: Tensor, sections: Array, *, backwards: bool) -> Tensor:
    rows = array(signals)
    found = np.empty(rows.shape)
    for row, out in zip(rows, found, strict=True):
        out[:] = row[::-1] if backwards else row
        if len(sections) == 4:
            filter_four_sections(out, np.ascontiguousarray(sections.T).ravel(), out)
        else:
            for section in sections:
                filter_section(out, section, out)
    return torch.from_numpy(found[:, ::-1].copy() if backwards else found).to(signals.dtype)


class ControlRms(torch.autograd.Function):
    """RMS of the control path (the widest filters) of all bands: (items, N) to (items, bands)."""

    @staticmethod
    def forward(ctx: Any, signals: Tensor, lengths: Sequence[int], bands: Sequence[int]) -> Tensor:
        rows = doubles(signals)
        found = np.empty((rows.shape[0], len(bands)))
        for item, length in enumerate(lengths):
            signal = rows[item, :length]
            for place in range(0, len(bands), 2):
                pair = (bands[place], bands[place + 1])
                found[item, place : place + 2] = control_rms_of_pair(Channels((signal, signal), pair))
        ctx.lengths, ctx.bands = lengths, bands
        result = torch.from_numpy(found)
        ctx.save_for_backward(signals, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        signals, values = ctx.saved_tensors
        rows, found, given = doubles(signals), array(values), doubles(gradients[0])
        result = np.zeros(rows.shape)
        for item, length in enumerate(ctx.lengths):
            for place in range(0, len(ctx.bands), 2):
                pair = (ctx.bands[place], ctx.bands[place + 1])
                poles, gains = control_filters(pair)
                both, wanted = found[item, place : place + 2], given[item, place : place + 2]
                slopes = np.where(both > 0, wanted * gains**2 / (length * np.where(both > 0, both, 1.0)), 0.0)
                if np.any(slopes):
                    waves, turns = carrier(pair)
                    control_energy_backwards(
                        rows[item, :length],
                        waves,
                        turns,
                        _backwards(turns),
                        np.repeat(poles, 2),
                        np.repeat(slopes, 2),
                        result[item, :length],
                    )
        return torch.from_numpy(result).to(signals.dtype), None, None


class Compress(torch.autograd.Function):
    """Filterbank and compression of some bands.

    From signals (items, N) in double precision, poles and factors (items, bands) and constants to envelopes
    (items, bands, N), motions (the same, or (items, bands, 0) if they are not wanted) and the mean squares of the
    envelopes before compression, without the filters' gains (items, bands). `curves` (items, bands, 3) are the factor
    of the control path's power, the upper bound of the product and the exponent of the gain; `dtype` is that of the
    envelopes and motions.
    Nothing but the signals is kept for the backward pass: it filters them again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        signals: Tensor,
        poles: Tensor,
        factors: Tensor,
        curves: Array,
        lengths: Sequence[int],
        bands: Sequence[int],
        moving: bool,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = doubles(signals)
        items, samples = rows.shape
        envelopes = torch.zeros(items, len(bands), samples, dtype=dtype)
        motions = torch.zeros(items, len(bands), samples if moving else 0, dtype=dtype)
        energies = np.empty((items, len(bands)))
        ctx.constants = curves, lengths, bands
        ctx.save_for_backward(signals, poles, factors)
        for item, place, arguments in _pairs(rows, poles, factors, curves, lengths, bands):
            both = slice(place, place + 2)
            del arguments["back_turns"]
            compress_pair(
                **arguments,
                envelopes=envelopes[item, both].numpy(),
                motions=motions[item, both].numpy(),
                energies=energies[item, both],
            )
            energies[item, both] /= lengths[item]
        return envelopes, motions, torch.from_numpy(energies)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        signals, poles, factors = ctx.saved_tensors
        curves, lengths, bands = ctx.constants
        of_envelopes, of_motions, of_energies = array(gradients[0]), array(gradients[1]), doubles(gradients[2])
        rows = doubles(signals)
        of_signals, of_poles = np.zeros(rows.shape), np.empty((rows.shape[0], len(bands)))
        of_factors = np.empty_like(of_poles)
        for item, place, arguments in _pairs(rows, poles, factors, curves, lengths, bands):
            both = slice(place, place + 2)
            compress_pair_backwards(
                **arguments,
                envelope_gradients=of_envelopes[item, both],
                motion_gradients=of_motions[item, both],
                energy_gradients=of_energies[item, both] / lengths[item],
                signal_gradient=of_signals[item, : lengths[item]],
                pole_gradients=of_poles[item, both],
                factor_gradients=of_factors[item, both],
            )
        return (
            torch.from_numpy(of_signals).to(signals.dtype),
            torch.from_numpy(of_poles),
            torch.from_numpy(of_factors),
            None,
            None,
            None,
            None,
            None,
        )


def covariances(references: Tensor, processed: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """See `Covariances`."""
    found: tuple[Tensor, Tensor] = Covariances.apply(references, processed, lengths)
    return found


def sections(signals: Tensor, coefficients: Array) -> Tensor:
    """Sections of second order, each b0, b1, b2, -a1, -a2, one after the other; (items, N) to (items, N)."""
    found: Tensor = Sections.apply(signals, coefficients)
    return found


def control_rms(signals: Tensor, lengths: Sequence[int], bands: Sequence[int]) -> Tensor:
    """See `ControlRms`."""
    found: Tensor = ControlRms.apply(signals, lengths, bands)
    return found


def compress(
    signals: Tensor,
    poles: Tensor,
    factors: Tensor,
    curves: Array,
    lengths: Sequence[int],
    bands: Sequence[int],
    moving: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `Compress`."""
    found: tuple[Tensor, Tensor, Tensor] = Compress.apply(
        signals, poles, factors, curves, lengths, bands, moving, dtype
    )
    return found


def adapt(
    envelopes: Tensor, motions: Tensor, offsets: Array, early: Any, motion_early: Any, late: Any, lengths: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """See `Adapt`."""
    found: tuple[Tensor, Tensor] = Adapt.apply(envelopes, motions, offsets, early, motion_early, late, lengths)
    return found


def broadband_delay(reference: Tensor, processed: Tensor) -> int:
    """Samples by which `processed`, shape (n,), is late, as the exact metrics find it."""
    return -highest_lag(doubles(reference), doubles(processed))


def early_rows(references: Tensor, processed: Tensor, lengths: Sequence[int]) -> NDArray[np.int64]:
    """Samples by which rows are read early to be where they correlate most with their references, within 100 ms.

    Args:
        references, processed: (items, rows, N), an even number of rows.
    """
    one, other = array(references), array(processed)
    found = np.zeros(one.shape[:2], dtype=np.int64)
    for item, length in enumerate(lengths):
        # As `hearlab.ear.alignment.align_rows`.
        first, last = 1 - min(BAND_RANGE, length), min(BAND_RANGE, length - 1)
        for row in range(0, one.shape[1], 2):
            clean, heard = (
                [rows[item, place, :length].astype(np.float32, copy=False) for place in (row, row + 1)]
                for rows in (one, other)
            )
            found[item, row : row + 2] = [-lag for lag in near_lags(clean, heard, first, last)]
    return found


def _pairs(
    rows: Array, poles: Tensor, factors: Tensor, curves: Array, lengths: Sequence[int], bands: Sequence[int]
) -> Any:
    """For each item and pair of bands: item, place of the pair, and what both passes of the kernels are told of it."""
    of_poles, of_factors = doubles(poles), doubles(factors)
    for item, length in enumerate(lengths):
        for place in range(0, len(bands), 2):
            pair = (bands[place], bands[place + 1])
            waves, turns = carrier(pair)
            both = slice(place, place + 2)
            curve = np.concatenate([curves[item, both], of_factors[item, both, None]], axis=1)
            yield (
                item,
                place,
                {
                    "signal": rows[item, :length],
                    "carriers": waves,
                    "turns": turns,
                    "back_turns": _backwards(turns),
                    "wide_poles": np.repeat(control_filters(pair)[0], 2),
                    "poles": np.repeat(of_poles[item, both], 2),
                    "curve": curve.ravel(),
                    "scan": _gain_scan(),
                },
            )


def _backwards(turns: Array) -> Array:
    """The conjugates of the turns of `hearlab.ear.filterbank.carrier`."""
    return turns * np.repeat([1.0, -1.0], 4)


@lru_cache(maxsize=1)
def _gain_scan() -> Array:
    _, denominator = butterworth(1, GAIN_LOW_PASS_HZ, MODEL_RATE)
    return scan_coefficients(-denominator[1])
