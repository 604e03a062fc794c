"""Conversion of any sample rate to the 24 kHz of the ear model, with the level of the input kept."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.audio import rms
from hearlab.ear.filter_design import chebyshev2_low_pass, windowed_sinc
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, flush_tiny, fma, load, reduce_add, shift_in_one, store

# The filters of the ear model are designed for this rate, whatever the rate of the input.
MODEL_RATE = 24000

# Levels are compared below this frequency when the rate goes down: the filterbank ends not far below it.
MATCHED_BAND_HZ = 10500.0
MATCHED_BAND_ORDER = 7
MATCHED_BAND_ATTENUATION_DB = 30.0

# The anti-aliasing filter reaches over ten periods of the lower rate to each side (Kaiser window).
FILTER_REACH = 10
KAISER_BETA = 5.0

# Samples after which tiny states of the filters are flushed to zero, before they become denormal numbers.
BLOCK = 512


def whole_kilohertz(rate: float) -> int:
    """The rate in kHz, rounded: conversion ratios are formed from it, so 44.1 kHz counts as 44 and 22.05 as 22."""
    return int(np.round(rate / 1000))


def to_model_rate(signal: Array, rate: float) -> Array:
    """Resample to 24 kHz and restore the level of the input.

    The ratio comes from the rate in whole kHz (as published), so 44.1 kHz is resampled by 24/44: time runs 0.2 %
    slow, for reference and processed signal alike. Going up, the RMS of the whole signal is kept; going down, the RMS
    below 10.5 kHz.

    Args:
        signal: shape (n,).
        rate: in Hz; at least 1 kHz after rounding.

    Returns:
        the signal at 24 kHz, contiguous; the same array if it is that already, by the rate in whole kHz.
    """
    source, target = whole_kilohertz(rate), MODEL_RATE // 1000
    if source == target:
        # Compiled loops read one channel of several as if the others were not there.
        return np.ascontiguousarray(signal)
    resampled = resample_rationally(signal, target, source)
    if source < target:
        before, after = rms(signal), rms(resampled)
    else:
        before, after = matched_band_rms((signal, source), (resampled, target))
    # A signal so faint that its square is zero has no RMS to match.
    return resampled * (before / after) if after > 0 else resampled


def resample_rationally(signal: Array, up: int, down: int) -> Array:
    """Resample by up / down through a polyphase low-pass filter, as scipy's resample_poly does.

    Args:
        signal: shape (n,).

    Returns:
        shape (ceil(n * up / down),).
    """
    common = math.gcd(up, down)
    up, down = up // common, down // common
    phases, first = _phases(up, down)
    taps = phases.shape[1]
    resampled = np.empty(-(-signal.size * up // down))
    padded = np.zeros(signal.size + 2 * taps)
    padded[taps : taps + signal.size] = signal
    _resample(padded, taps, phases.ravel(), first, up, down, resampled)
    return resampled


def matched_band_rms(*signals: tuple[Array, int]) -> list[float]:
    """RMS of the parts of two signals below 10.5 kHz, through Chebyshev type 2 low-passes.

    Args:
        signals: each with its rate in kHz.
    """
    arguments: list[Array] = []
    for signal, kilohertz in signals:
        # One channel of several would be compiled for on its own.
        arguments += [np.ascontiguousarray(signal), _matched_band(kilohertz)]
    energies = _filtered_energies(*arguments)
    return [float(np.sqrt(energy / signal.size)) for energy, (signal, _) in zip(energies, signals, strict=True)]


@lru_cache(maxsize=8)
def _phases(up: int, down: int) -> tuple[Array, NDArray[np.int64]]:
    """The filter as one short filter for each phase of the output.

    Returns:
        the filters, to be laid over the input as they are, shape (up, taps), taps a multiple of 4; and the input
        sample, relative to the one just at or before the output, at which each begins, shape (up,).
    """
    reach = FILTER_REACH * max(up, down)
    taps = up * windowed_sinc(0.0, 1 / max(up, down), np.kaiser(2 * reach + 1, KAISER_BETA))
    length = -(-(2 * reach + 1) // up)
    length += -length % 4
    phases, first = np.zeros((up, length)), np.zeros(up, dtype=np.int64)
    for phase in range(up):
        # Output at phase / up after input 0: input j meets tap reach + phase - j * up.
        begin = -((reach - phase) // up)
        inputs = np.arange(begin, (reach + phase) // up + 1)
        phases[phase, : inputs.size] = taps[reach + phase - inputs * up]
        first[phase] = begin
    return phases, first


@compiled
def _resample(
    padded: Array, margin: int, phases: Array, first: NDArray[np.int64], up: int, down: int, resampled: Array
) -> None:
    taps = phases.size // up
    whole, phase = 0, 0  # the output lies phase / up after the input `whole`
    step, rest = down // up, down % up  # a division for each output would be slow
    for k in range(resampled.size):
        place = margin + whole + first[phase]
        one = two = broadcast(0.0)
        for tap in range(0, taps - 4, 8):
            one = fma(load(padded, place + tap), load(phases, phase * taps + tap), one)
            two = fma(load(padded, place + tap + 4), load(phases, phase * taps + tap + 4), two)
        if taps % 8:
            one = fma(load(padded, place + taps - 4), load(phases, phase * taps + taps - 4), one)
        resampled[k] = reduce_add(one + two)
        whole += step
        phase += rest
        if phase >= up:
            phase -= up
            whole += 1


@lru_cache(maxsize=8)
def _matched_band(kilohertz: int) -> Array:
    """Coefficients b0, b1, b2, -a1, -a2 of the four sections of second order, shape (20,)."""
    cutoff = 2 * MATCHED_BAND_HZ / 1000 / kilohertz
    sections = chebyshev2_low_pass(MATCHED_BAND_ORDER, MATCHED_BAND_ATTENUATION_DB, cutoff)
    return (sections[:, [0, 1, 2, 4, 5]] * [1, 1, 1, -1, -1]).T.ravel()


@compiled
def _filtered_energies(signal: Array, sections: Array, other: Array, other_sections: Array) -> tuple[float, float]:
    """Energies of two signals, each after four sections of second order.

    Each lane of a register is a section and works on what the one before put out a sample ago. As a step waits for the
    one before, two signals take no longer than one.
    """
    out = first = second = energy = broadcast(0.0)
    out_2 = first_2 = second_2 = energy_2 = broadcast(0.0)
    both = min(signal.size, other.size)
    for t in range(both):
        out, first, second, energy = _section_step(t, signal[t], sections, out, first, second, energy)
        out_2, first_2, second_2, energy_2 = _section_step(
            t, other[t], other_sections, out_2, first_2, second_2, energy_2
        )
    for t in range(both, signal.size + 3):
        value = signal[t] if t < signal.size else 0.0
        out, first, second, energy = _section_step(t, value, sections, out, first, second, energy)
    for t in range(both, other.size + 3):
        value = other[t] if t < other.size else 0.0
        out_2, first_2, second_2, energy_2 = _section_step(t, value, other_sections, out_2, first_2, second_2, energy_2)
    energies = np.empty(8)
    store(energies, 0, energy)
    store(energies, 4, energy_2)
    return energies[3], energies[7]


@register_jitable
def _section_step(t: int, sample: float, sections: Array, out: Any, first: Any, second: Any, energy: Any) -> Any:
    """One sample more: the output, both states, and the energy."""
    value = shift_in_one(broadcast(sample), out)
    out = fma(load(sections, 0), value, first)
    first = fma(load(sections, 12), out, fma(load(sections, 4), value, second))
    second = fma(load(sections, 16), out, load(sections, 8) * value)
    if t % BLOCK == 0:
        first, second = flush_tiny(first), flush_tiny(second)
    return out, first, second, fma(out, out, energy)
