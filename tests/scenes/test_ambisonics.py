"""Rotation and decoding of ambisonic signals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import sph_harm_y

from hearlab.scenes.ambisonics import (
    channel_count,
    decoding_filters,
    rotate,
    rotation_terms,
    straight_ahead,
)

ORDER = 6
# The table of rotations is read linearly between entries 0.1 degree apart: the chord of the highest degree misses
# the arc by (6 * 0.1 degree)^2 / 8.
CHORD = (ORDER * np.deg2rad(0.1)) ** 2 / 8


def encode(azimuth: float, elevation: float = 0.0) -> np.ndarray:
    """Real spherical harmonics of a direction in ACN order and N3D normalisation, from scipy's complex ones."""
    values = []
    for n in range(ORDER + 1):
        for m in range(-n, n + 1):
            harmonic = sph_harm_y(n, abs(m), np.pi / 2 - elevation, azimuth) * np.sqrt(4 * np.pi)
            part = harmonic.real if m >= 0 else harmonic.imag
            values.append(part * (np.sqrt(2) * (-1) ** m if m else 1))
    return np.array(values)


def turned(vector: np.ndarray, theta: float) -> np.ndarray:
    channels = vector[:, None].copy()
    rotate(channels, *rotation_terms(np.array([theta]), ORDER), ORDER)
    return channels[:, 0]


def test_straight_ahead_is_the_plane_wave_from_azimuth_zero() -> None:
    # The published vector has seven digits, but for its last value, where two of them are wrong.
    np.testing.assert_allclose(straight_ahead(ORDER)[:-1], encode(0.0)[:-1], atol=2e-6)
    assert straight_ahead(ORDER)[-1] == 2.4209614
    assert encode(0.0)[-1] == pytest.approx(2.4218246, abs=1e-6)


@given(st.floats(-np.pi, np.pi), st.floats(-1.5, 1.5), st.floats(-7, 7))
def test_a_rotation_moves_a_source_by_its_angle(azimuth: float, elevation: float, theta: float) -> None:
    vector = encode(azimuth, elevation)
    expected = encode(azimuth + theta, elevation)
    np.testing.assert_allclose(turned(vector, theta), expected, atol=2 * CHORD * np.max(np.abs(vector)) + 1e-9)


def test_table_entries_are_exact() -> None:
    theta = np.deg2rad(33.7)
    expected = encode(0.4 + theta)
    # Reading the table at an entry leaves only rounding.
    np.testing.assert_allclose(turned(encode(0.4), theta), expected, atol=1e-11)


def test_between_two_entries_the_coefficients_are_interpolated_linearly() -> None:
    below, above = (np.stack(rotation_terms(np.array([np.deg2rad(a)]), ORDER)) for a in (10.2, 10.3))
    between = np.stack(rotation_terms(np.array([np.deg2rad(10.225)]), ORDER))
    np.testing.assert_allclose(between, 0.75 * below + 0.25 * above, atol=1e-12)


def test_a_full_turn_comes_back() -> None:
    vector = encode(1.0, 0.3)
    np.testing.assert_allclose(turned(vector, 2 * np.pi), vector, atol=1e-9)
    np.testing.assert_allclose(turned(vector, -0.05), turned(vector, 2 * np.pi - 0.05), atol=1e-9)


def test_each_sample_by_its_own_angle_and_channels_on_any_axis() -> None:
    rng = np.random.RandomState(1)
    signals, theta = rng.standard_normal((49, 5)), np.array([0.1, -0.2, 3.0, 0.0, 7.0])
    alone = np.stack([turned(signals[:, n], theta[n]) for n in range(5)], axis=1)
    together = signals.copy()
    rotate(together, *rotation_terms(theta, ORDER), ORDER)
    np.testing.assert_array_equal(together, alone)
    one = np.repeat(theta[:1], 5)
    along_the_middle = np.stack([signals.T, 2 * signals.T], axis=2).copy()
    rotate(along_the_middle, *rotation_terms(theta[:1], ORDER), ORDER, axis=1)
    rotate(signals, *rotation_terms(one, ORDER), ORDER)
    np.testing.assert_allclose(along_the_middle[:, :, 0], signals.T, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(along_the_middle[:, :, 1], 2 * along_the_middle[:, :, 0])


def test_lower_orders_have_fewer_channels() -> None:
    assert [channel_count(order) for order in (1, 3, 6)] == [4, 16, 49]
    assert straight_ahead(1).tolist() == [1.0, 0.0, 0.0, 1.7320509]
    cos, sin = rotation_terms(np.zeros(5), 1)
    assert cos.shape == sin.shape == (2, 5)


def test_decoding_sends_a_loudspeaker_direction_to_its_own_response() -> None:
    rng = np.random.RandomState(0)
    # Many more directions than channels: decoding a plane wave from one of them spreads over its neighbours, but
    # with responses that are the same for all directions the sum is that response.
    directions = [(a, e) for a in np.linspace(0, 2 * np.pi, 12, endpoint=False) for e in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    matrix = np.array([encode(a, e) for a, e in directions])
    response = rng.standard_normal((8, 1, 2))
    selected = np.ones(len(directions), dtype=bool)
    filters = decoding_filters(np.repeat(response, len(directions), axis=1), selected, matrix, 1)
    assert filters.shape == (8, 4, 2)
    heard = np.einsum("c,tce->te", matrix[7, :4], filters)
    single = np.linalg.pinv(matrix[:, :4])
    gain = float(matrix[7, :4] @ single @ np.ones(len(directions)))
    np.testing.assert_allclose(heard, gain * response[:, 0], atol=1e-12)
    assert gain == pytest.approx(1.0, abs=0.05)
