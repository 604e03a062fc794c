"""Centre frequencies and the split of a hearing loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hearlab.ear.loss import (
    AUDIOMETRIC_FREQUENCIES,
    BANDS,
    centre_frequencies,
    equivalent_bandwidth,
    loss_parameters,
    normal_hearing,
    widest_bandwidth,
)

# Rounding of exp and log.
ROUNDING = 1e-12


def flat(level: float) -> np.ndarray:
    return np.full(len(AUDIOMETRIC_FREQUENCIES), float(level))


def test_centre_frequencies_span_80_to_8000_hz():
    frequencies = centre_frequencies()
    assert frequencies.shape == (BANDS,) == (32,)
    assert frequencies[0] == pytest.approx(80, rel=ROUNDING)
    assert frequencies[-1] == pytest.approx(8000, rel=ROUNDING)
    assert np.all(np.diff(frequencies) > 0)


def test_centre_frequencies_are_evenly_spaced_in_bandwidths():
    bandwidths = np.array([equivalent_bandwidth(f) for f in centre_frequencies()])
    ratios = bandwidths[1:] / bandwidths[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-10)


def test_centre_frequencies_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        centre_frequencies()[0] = 1.0


def test_frequencies_of_a_basal_shift_by_hand():
    # Greenwood: f = 165.4 (10^(2.1 x) - 1). x = 0.0816 at 80 Hz and 0.8064 at 8000 Hz; 2 % further from the apex:
    frequencies = centre_frequencies(0.02)
    assert frequencies[[0, -1]] == pytest.approx([81.944, 8662.27], rel=1e-5)
    # Between them, they are evenly spaced in ERB rate.
    steps = np.diff(np.log(frequencies + 9.26449 * 24.7))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    np.testing.assert_array_equal(centre_frequencies(0.0), centre_frequencies())


def test_no_loss():
    normal = normal_hearing()
    np.testing.assert_array_equal(normal.outer_attenuation, 0)
    np.testing.assert_array_equal(normal.inner_attenuation, 0)
    np.testing.assert_array_equal(normal.bandwidth, 1)
    np.testing.assert_array_equal(normal.lower_knee, 30)
    np.testing.assert_allclose(normal.compression_ratio, np.linspace(1.25, 3.5, 32), rtol=ROUNDING)


def test_better_than_normal_counts_as_normal():
    np.testing.assert_array_equal(loss_parameters(flat(-10)).bandwidth, 1)
    np.testing.assert_array_equal(loss_parameters(flat(-10)).inner_attenuation, 0)


def test_four_fifths_of_a_mild_loss_are_outer():
    mild = loss_parameters(flat(15))
    np.testing.assert_allclose(mild.outer_attenuation, 12, rtol=ROUNDING)
    np.testing.assert_allclose(mild.inner_attenuation, 3, rtol=ROUNDING)


def test_complete_loss_leaves_no_compression():
    deaf = loss_parameters(flat(100))
    np.testing.assert_allclose(deaf.compression_ratio, 1, rtol=ROUNDING)
    np.testing.assert_allclose(deaf.outer_attenuation + deaf.inner_attenuation, 100, rtol=ROUNDING)
    # The gain that compression gives a normal ear: 70 dB of range less 70 dB over the ratio.
    np.testing.assert_allclose(deaf.outer_attenuation, 70 * (1 - 1 / normal_hearing().compression_ratio), rtol=1e-9)
    np.testing.assert_array_equal(deaf.bandwidth, widest_bandwidth())


def test_filters_widen_with_the_loss():
    widths = [loss_parameters(flat(level)).bandwidth for level in (0, 20, 40, 60)]
    assert all(np.all(wider >= narrower) for narrower, wider in pairwise(widths))
    # 20 dB of outer loss: 1 + 0.4 + 2 * 0.4 ** 6.
    np.testing.assert_allclose(loss_parameters(flat(25)).bandwidth[-1], 1.408192, rtol=ROUNDING)


def test_loss_is_interpolated_over_frequency():
    levels = np.array([0.0, 0.0, 0.0, 0.0, 40.0, 60.0])
    parameters = loss_parameters(levels)
    total = parameters.outer_attenuation + parameters.inner_attenuation
    frequencies = centre_frequencies()
    np.testing.assert_allclose(total, np.interp(frequencies, AUDIOMETRIC_FREQUENCIES, levels), atol=1e-9)
    assert np.all(total[frequencies <= 2000] == 0)
    assert np.all(np.abs(total[frequencies >= 6000] - 60) < 1e-9)
