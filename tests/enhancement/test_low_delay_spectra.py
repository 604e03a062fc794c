"""Short-time spectra: what goes in comes out, in bands too, and nothing comes out before its time."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.enhancement.spectra import BINS, HEARD, HELD, HOP, RATE, analysed, applied, band_weights, synthesised

ROUNDING = 1e-14  # of double precision, for samples around 1


@pytest.mark.parametrize("samples", [1, HOP, 5 * HOP + 17])
def test_without_gains_the_signal_comes_back(samples: int) -> None:
    signal = np.random.default_rng(0).standard_normal((samples, 2))
    np.testing.assert_allclose(synthesised(analysed(signal), samples), signal, rtol=0, atol=ROUNDING)


def test_gains_of_one_change_nothing_but_the_first_frame() -> None:
    signal = np.random.default_rng(0).standard_normal((20 * HOP, 2))
    spectra = analysed(signal)
    heard = applied(spectra, np.ones((len(spectra) // HELD, 2, 40)), len(signal))
    np.testing.assert_allclose(heard[HOP:], signal[HOP:], rtol=0, atol=ROUNDING)


def test_every_second_frame_is_that_of_all_frames() -> None:
    signal = np.random.default_rng(0).standard_normal((20 * HOP + 5, 1))
    np.testing.assert_array_equal(analysed(signal, HELD), analysed(signal)[HELD - 1 :: HELD])


def test_the_delay_is_that_of_the_heard_part() -> None:
    """A click comes out where it went in; before it is heard there is nothing, further away than HEARD."""
    assert HEARD / RATE < 0.005
    signal = np.random.default_rng(0).standard_normal((30 * HOP, 1))
    changed = signal.copy()
    changed[15 * HOP :] += 1
    gains = np.random.default_rng(1).uniform(0, 1, (15, 1, 8))
    before, after = (applied(analysed(one), gains, len(signal)) for one in (signal, changed))
    np.testing.assert_array_equal(before[: 15 * HOP - HEARD], after[: 15 * HOP - HEARD])
    assert not np.array_equal(before[15 * HOP - HEARD : 15 * HOP], after[15 * HOP - HEARD : 15 * HOP])


@pytest.mark.parametrize("bands", [4, 40])
def test_bands_add_up_to_one(bands: int) -> None:
    weights = band_weights(bands)
    assert weights.shape == (bands, BINS)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=0, atol=ROUNDING)
