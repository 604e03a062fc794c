"""The soft clip against the hyperbolic tangent in extended precision."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.fitting.soft_clip import soft_clip

# Relative: five units in the last place, of the series and of one division.
ROUNDING = 1e-15


def test_errors_at_all_magnitudes() -> None:
    rng = np.random.RandomState(0)
    samples = rng.standard_normal(90000) * np.repeat([1e-300, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0, 30.0, 1e5], 10000)
    wanted = np.tanh(samples.astype(np.longdouble)).astype(np.float64)
    np.testing.assert_allclose(soft_clip(samples), wanted, rtol=ROUNDING, atol=0)


def test_neighbours_of_where_the_series_changes() -> None:
    # Half an octave of exp(2 x) is log(2) / 4.
    edges = np.log(2) / 4 * np.arange(-11, 12, 2)
    samples = np.concatenate([np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)])
    wanted = np.tanh(samples.astype(np.longdouble)).astype(np.float64)
    np.testing.assert_allclose(soft_clip(samples), wanted, rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("value", [0.0, 20.0, 21.0, 1e308])
def test_ends(value: float) -> None:
    assert soft_clip(np.array([value, -value])).tolist() == [np.tanh(value), -np.tanh(value)]


@pytest.mark.parametrize("samples", [np.ones((4, 2)).T, np.ones((4, 4))[:, :2], np.ones(4, np.float32)])
def test_what_would_be_copied_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not contiguous float64"):
        soft_clip(samples)


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (3, 1), (7, 2), (4, 2), (5,)])
def test_every_sample_of_any_shape_in_place(shape: tuple[int, ...]) -> None:
    samples = np.random.RandomState(1).standard_normal(shape)
    # Each is what it is alone, whatever is beside it.
    alone = [float(soft_clip(np.array([sample]))[0]) for sample in samples.ravel()]
    assert soft_clip(samples) is samples
    assert samples.ravel().tolist() == alone
