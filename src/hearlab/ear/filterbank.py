"""Middle ear and gammatone filterbank.

The gammatone is the impulse-invariant fourth-order filter of Cooke (1993): the signal is demodulated with the centre
frequency and passed through four equal one-pole low-pass filters.

Filters run on two channels at a time, a channel being a signal in a band: real and imaginary parts of both fill a
vector register. The carrier starts anew in every block of samples, and the states of the filters are rotated by the
phase that it lost, so a short table serves signals of any length without drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.ear.filter_design import butterworth
from hearlab.ear.loss import centre_frequencies, equivalent_bandwidth, widest_bandwidth
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, broadcast_pairs, flush_tiny, fma, load, store, swap_pairs

MIDDLE_EAR_LOW_PASS_HZ = 5000.0
MIDDLE_EAR_HIGH_PASS_HZ = 350.0

# Decay rate of a fourth-order gammatone relative to its equivalent rectangular bandwidth (Patterson et al. 1992).
DECAY_PER_BANDWIDTH = 1.019

# Numerator and denominator of a filter.
Coefficients = tuple[Array, Array]

# States of filters below this become 0: a decay must not end in denormal numbers, which are slow.
FAINTEST = 1e-150

# Samples after which the carrier starts anew; what belongs to a block stays in the fastest cache.
BLOCK = 128


class Channels(NamedTuple):
    """Two channels to be filtered together: each is a signal, shape (n,), in a band (0 to 31).

    The filters of the control path may be shifted towards the base, see `hearlab.ear.loss.centre_frequencies`.
    """

    signals: tuple[Array, Array]
    bands: tuple[int, int]
    basal_shift: float = 0.0


def middle_ear(signal: NDArray[np.floating]) -> Array:
    """Middle ear at 24 kHz: one-pole low-pass at 5 kHz, two-pole high-pass at 350 Hz (Butterworth)."""
    low_pass, high_pass = _middle_ear_filters()
    return _middle_ear(signal, *low_pass, *high_pass)


def control_rms(channels: Channels) -> Array:
    """RMS of the envelopes of the control path (the widest filters), shape (2,)."""
    poles, gains = control_filters(channels.bands, channels.basal_shift)
    energies = np.empty(4)
    waves = carrier(channels.bands, channels.basal_shift)
    _envelope_energies(*channels.signals, *waves, np.repeat(poles, 2), energies)
    n = channels.signals[0].size
    return gains * np.sqrt((energies[::2] + energies[1::2]) / n)


@lru_cache(maxsize=64)
def control_filters(bands: tuple[int, ...], basal_shift: float = 0.0) -> tuple[Array, Array]:
    """Poles and gains of the widest filters in some bands."""
    poles = filter_poles(bands, widest_bandwidth()[list(bands)], basal_shift)
    return poles, filter_gains(poles)


def filter_poles(bands: Sequence[int], bandwidths: Array, basal_shift: float = 0.0) -> Array:
    """The pole of each filter: of some bands, with bandwidths relative to the normal ear, shape (bands,)."""
    decays = DECAY_PER_BANDWIDTH * bandwidths * equivalent_bandwidth(centre_frequencies(basal_shift)[list(bands)])
    poles: Array = np.exp(-2 * np.pi * decays / MODEL_RATE)
    return poles


def filter_gains(poles: Array) -> Array:
    """Gains that give a sine at the centre its own amplitude after `filter_step`."""
    return 8 * (1 - poles) ** 4 / (1 + 2 * poles) ** 2


@lru_cache(maxsize=256)  # more than a score asks for in turn: fewer would be made again each time
def carrier(bands: tuple[int, int], basal_shift: float = 0.0) -> tuple[Array, Array]:
    """Carriers of two channels, and the turn between two blocks.

    Returns:
        exp(-i w t) of a block as [real, imaginary] of one channel, then of the other, shape (4 * BLOCK,); and, shape
        (8,), what the lanes, and then what the lanes swapped within a channel, are multiplied by in a turn.
    """
    phases = 2 * np.pi * centre_frequencies(basal_shift)[list(bands)] / MODEL_RATE
    waves = np.exp(-1j * np.outer(np.arange(BLOCK), phases))
    turn = np.exp(1j * BLOCK * phases)
    table = np.stack([waves.real, waves.imag], axis=-1).ravel()
    turns = np.concatenate([np.repeat(turn.real, 2), np.stack([-turn.imag, turn.imag], axis=-1).ravel()])
    for array in (table, turns):
        array.flags.writeable = False
    return table, turns


def group_delays(bandwidths: Array) -> NDArray[np.int64]:
    """Group delay of each band's envelope in samples at 24 kHz (at the centre frequency, rounded), shape (bands,)."""
    poles = filter_poles(range(bandwidths.size), bandwidths)
    zeros_delay = (4 * poles + 8 * poles**2) / (1 + 4 * poles + 4 * poles**2)
    poles_delay = 4 * poles / (1 - poles)
    return np.rint(zeros_delay + poles_delay).astype(np.int64)


def compensating_delays(bandwidths: Array) -> NDArray[np.int64]:
    """Samples by which each band must be delayed to be as late as the slowest one, shape (bands,)."""
    delays = group_delays(bandwidths)
    return np.max(delays) - delays


@register_jitable
def filter_step(pole: Any, value: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """One sample of the filter: a quarter of its output, and the four low-pass stages afterwards.

    The zeros, 1 + 4 p z^-1 + 4 p^2 z^-2, need no memory of their own: p times the last output of a stage is its new
    output less that of the stage before.
    """
    a = fma(pole, a, value)
    b = fma(pole, b, a)
    c = fma(pole, c, b)
    d = fma(pole, d, c)
    return fma(broadcast(2.25), d, fma(broadcast(-3.0), c, b)), a, b, c, d


@register_jitable
def rotated(value: Any, turn: Any, swapped: Any) -> Any:
    """The state of a stage of the filter at the beginning of a new block of the carrier."""
    return flush_tiny(fma(value, turn, swap_pairs(value) * swapped))


@compiled
def _envelope_energies(
    first: Array, second: Array, carriers: Array, turns: Array, poles: Array, energies: Array
) -> None:
    """Sums of the squared real and imaginary parts of what `filter_step` gives, shape (4,)."""
    pole, turn, swapped = load(poles, 0), load(turns, 0), load(turns, 4)
    a = b = c = d = energy = broadcast(0.0)
    for start in range(0, first.size, BLOCK):
        for t in range(min(BLOCK, first.size - start)):
            value = broadcast_pairs(first[start + t], second[start + t]) * load(carriers, 4 * t)
            out, a, b, c, d = filter_step(pole, value, a, b, c, d)
            energy = fma(out, out, energy)
        a, b = rotated(a, turn, swapped), rotated(b, turn, swapped)
        c, d = rotated(c, turn, swapped), rotated(d, turn, swapped)
    store(energies, 0, energy)


@compiled
def _middle_ear(
    signal: NDArray[np.floating], low_zeros: Array, low_poles: Array, high_zeros: Array, high_poles: Array
) -> Array:
    heard = np.empty(signal.size)
    low = first = second = 0.0
    for t in range(signal.size):
        value = low_zeros[0] * signal[t] + low
        low = low_zeros[1] * signal[t] - low_poles[1] * value
        out = high_zeros[0] * value + first
        first = high_zeros[1] * value - high_poles[1] * out + second
        second = high_zeros[2] * value - high_poles[2] * out
        if t % BLOCK == 0 and abs(first) < FAINTEST and abs(second) < FAINTEST and abs(low) < FAINTEST:
            low = first = second = 0.0  # as `flush_tiny` does
        heard[t] = out
    return heard


@lru_cache(maxsize=1)
def _middle_ear_filters() -> tuple[Coefficients, Coefficients]:
    low_pass = butterworth(1, MIDDLE_EAR_LOW_PASS_HZ, MODEL_RATE)
    high_pass = butterworth(2, MIDDLE_EAR_HIGH_PASS_HZ, MODEL_RATE, high_pass=True)
    return low_pass, high_pass
