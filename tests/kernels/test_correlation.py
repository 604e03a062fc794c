"""The lag of the highest correlation, against direct correlation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import correlate

from hearlab.kernels.block_correlation import BLOCK, correlate_everywhere, correlate_nearby
from hearlab.kernels.correlation import (
    LONG_BLOCK,
    MOST_BY_BLOCKS,
    MOST_CANDIDATES,
    MOST_LONG_BLOCKS,
    SINGLE_PRECISION,
    _Candidates,
    _correlate_long,
    highest_lag,
    near_lags,
)
from hearlab.kernels.transform import SIZE, twiddle_factors


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def shifted(signal: np.ndarray, late: int) -> np.ndarray:
    return np.roll(np.concatenate([signal, np.zeros_like(signal)]), late)[: signal.size]


@pytest.mark.parametrize("n", [1, 2, 7, 100, 3001])
@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_highest_lag_is_that_of_direct_correlation(n, mean):
    reference, signal = noise(n, 1) + mean, noise(n, 2) - mean
    direct = np.correlate(reference - np.mean(reference), signal - np.mean(signal), "full")
    assert highest_lag(reference, signal) == np.argmax(np.abs(direct)) - (n - 1)


@pytest.mark.parametrize("late", [-2000, -700, -1, 0, 1, 31, 2000])
@pytest.mark.parametrize("sign", [1, -1])
def test_highest_lag_of_a_shifted_signal(late, sign):
    reference = noise(5000)
    assert highest_lag(reference, sign * shifted(reference, late)) == -late


def test_highest_lag_of_silence_is_the_lowest():
    assert highest_lag(noise(10), np.zeros(10)) == -9
    assert highest_lag(np.ones(10), noise(10)) == -9


def test_highest_lag_when_many_lags_are_close():
    # A slow sine and the same a little later: many lags differ by less than single precision can tell.
    time = np.arange(30000)
    slow = [np.exp(-(((time - place) / 8000) ** 2)) for place in (15000, 15200)]
    direct = np.correlate(*(signal - np.mean(signal) for signal in slow), "full")
    assert highest_lag(*slow) == np.argmax(np.abs(direct)) - 29999


# More than two blocks, one block and less.
@pytest.mark.slow
@pytest.mark.parametrize("n", [2 * SIZE + 5, SIZE - 4799, SIZE - 4798, 5000, 300, 2, 1])
def test_near_lags_are_those_of_direct_correlation(n):
    first, last = 1 - min(2400, n), min(2400, n - 1)
    references, signals = np.abs([noise(n, 1), noise(n, 2)]), np.abs([noise(n, 3), noise(n, 4)])
    signals[1] = references[1] * noise(n, 5) + shifted(references[1], 41)
    references[0] *= 1e-15  # scales do not matter
    references, signals = references.astype(np.float32), signals.astype(np.float32)
    expected = []
    for reference, signal in zip(references, signals, strict=True):
        direct = np.correlate(reference.astype(np.float64), signal.astype(np.float64), "full")
        expected.append(np.argmax(direct[n - 1 + first : n + last]) + first)
    assert near_lags(references, signals, first, last) == expected


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 5000, 40000])
def test_correlations_in_single_precision(n):
    first, last = 1 - min(2400, n), min(2400, n - 1)
    rows = np.stack([np.abs(noise(n, seed)) + (seed % 2) for seed in range(4)]).astype(np.float32)
    norms = np.sqrt(np.sum(rows.astype(np.float64) ** 2, axis=1))
    scales = (1 / norms).astype(np.float32).reshape(2, 2).T.copy()
    found = np.empty((2, last - first + 1), dtype=np.float32)
    correlate_nearby(*rows, scales, first, *twiddle_factors(), *found)
    for k in range(2):
        direct = np.correlate(rows[k].astype(np.float64), rows[k + 2].astype(np.float64), "full")
        expected = direct[n - 1 + first : n + last] / (norms[k] * norms[k + 2])
        np.testing.assert_allclose(found[k], expected, rtol=0, atol=SINGLE_PRECISION / 2)


def test_near_lags_of_silence_are_the_first():
    silence, sound = np.zeros(6000, dtype=np.float32), np.abs(noise(6000)).astype(np.float32)
    assert near_lags([silence, sound], [sound, silence], -2399, 2400) == [-2399, -2399]


def test_near_lags_when_many_lags_are_close():
    time = np.arange(50000)
    slow = [np.exp(-(((time - place) / 9000) ** 2)).astype(np.float32) for place in (25000, 25123)]
    assert near_lags([slow[0]] * 2, [slow[1]] * 2, -2399, 2400) == [-123, -123]


def test_constant_signals_meet_where_most_of_them_meets():
    constant = np.ones(20000, dtype=np.float32)
    assert near_lags([constant] * 2, [constant] * 2, -2399, 2400) == [0, 0]


def test_one_signal_has_the_lag_that_it_has_beside_another():
    references, signals = noise(40000).reshape(2, -1).astype(np.float32), noise(40000, 1).reshape(2, -1)
    signals = (signals + [shifted(x, late) for x, late in zip(references, (700, -900), strict=True)]).astype(np.float32)
    both = near_lags(list(references), list(signals), -2399, 2400)
    assert both == [-700, 900]
    assert [near_lags([x], [y], -2399, 2400) for x, y in zip(references, signals, strict=True)] == [[k] for k in both]


def by_long_blocks(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlations at all lags; outside them there is nothing but rounding."""
    parts = [(lag, part.copy()) for lag, part in _correlate_long((one, two), (0.0, 0.0), (1.0, 1.0))]
    assert all(lag + part.size == after for (lag, part), (after, _) in pairwise(parts))
    found, before = np.concatenate([part for _, part in parts]), 1 - one.size - parts[0][0]
    inside = slice(before, before + 2 * one.size - 1)
    assert max(np.max(np.abs(found[: inside.start]), initial=0), np.max(np.abs(found[inside.stop :]), initial=0)) < 1e-6
    return found[inside]


def candidates_of(correlation: np.ndarray, sizes: list[int]) -> np.ndarray:
    """The candidates among lags from -n on, handed over in parts of such sizes."""
    candidates, lag = _Candidates(-(correlation.size // 2)), -(correlation.size // 2) - 3
    padded = np.concatenate([np.full(3, 9.0), correlation, np.full(3, 9.0)]).astype(np.float32)
    for part in np.split(padded, np.cumsum(sizes)):
        candidates.add(lag, part.copy())
        lag += part.size
    return candidates.lags()


@pytest.mark.parametrize("sizes", [[], [2, 1, 400, 1], [300] * 3, [1003]])
@pytest.mark.parametrize("close", [1, 5, MOST_CANDIDATES, MOST_CANDIDATES + 1, 900])
def test_candidates_do_not_depend_on_the_parts(close, sizes):
    random = np.random.RandomState(close)
    correlation = (0.5 * random.uniform(-1, 1, 1001)).astype(np.float32)
    # Towards the end higher by far less than counts, and before them some that only seem to be the highest.
    places = np.sort(random.permutation(1001)[:close])
    correlation[places] = 0.75 + SINGLE_PRECISION / 4 * np.sort(random.uniform(-1, 1, close))
    correlation[places[::2]] *= -1
    correlation[: places[0]] = 0.6
    wanted = np.flatnonzero(np.abs(correlation) >= np.max(np.abs(correlation)) - SINGLE_PRECISION) - 500
    found = candidates_of(correlation, sizes)
    if close <= MOST_CANDIDATES:
        assert found.tolist() == wanted.tolist() == (places - 500).tolist()
    else:
        assert found.size > MOST_CANDIDATES
        assert set(found) <= set(wanted)


@pytest.mark.parametrize("n", [1, 2, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 100])
def test_correlations_at_all_lags(n):
    one, two = noise(n, 1), noise(n, 2)
    one, two = one / np.linalg.norm(one), two / np.linalg.norm(two)
    expected = np.correlate(one, two, "full")
    signals = one.astype(np.float32), two.astype(np.float32)
    for found in (correlate_everywhere(*signals, *twiddle_factors()), by_long_blocks(*signals)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=SINGLE_PRECISION / 2)


@pytest.mark.parametrize("n", [LONG_BLOCK, 2 * LONG_BLOCK + 1, MOST_LONG_BLOCKS * LONG_BLOCK + 5])
def test_long_blocks_give_correlations_at_all_lags(n):
    one, two = (x / np.linalg.norm(x) for x in (noise(n, 1), noise(n, 2)))
    expected = correlate(one, two, "full", method="fft")
    found = by_long_blocks(one.astype(np.float32), two.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=SINGLE_PRECISION / 2)


@pytest.mark.parametrize("n", [MOST_BY_BLOCKS, MOST_BY_BLOCKS + 1])
def test_long_signals_are_correlated_by_other_means(n):
    reference = noise(n)
    assert highest_lag(reference, shifted(reference, 12345)) == -12345
