"""The formulas give scipy's filters."""

import numpy as np
import pytest
from scipy import signal

from hearlab.ear.adaptation import adaptation_filter
from hearlab.ear.filter_design import butterworth, chebyshev2_low_pass, one_pole_parts, windowed_sinc

# Both compute in double precision by different ways.
ROUNDING = 1e-12


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("high_pass", [False, True])
@pytest.mark.parametrize("cutoff", [20.0, 350.0, 5000.0, 11000.0])
def test_butterworth(order: int, high_pass: bool, cutoff: float) -> None:
    wanted = signal.butter(order, cutoff, "highpass" if high_pass else "lowpass", fs=24000)
    for found, coefficients in zip(butterworth(order, cutoff, 24000, high_pass=high_pass), wanted, strict=True):
        np.testing.assert_allclose(found, coefficients, rtol=1e-9, atol=ROUNDING)


def test_butterworth_refuses_other_orders() -> None:
    with pytest.raises(ValueError, match="order 3"):
        butterworth(3, 100.0, 24000)


@pytest.mark.parametrize("order", [1, 3, 7])
@pytest.mark.parametrize("cutoff", [21 / 96, 21 / 44, 21 / 24])
def test_chebyshev2_low_pass(order: int, cutoff: float) -> None:
    frequencies = np.linspace(0, np.pi, 500)
    _, wanted = signal.freqz_sos(signal.cheby2(order, 30.0, cutoff, output="sos"), frequencies)
    sections = chebyshev2_low_pass(order, 30.0, cutoff)
    assert sections.shape == ((order + 1) // 2, 6)
    _, found = signal.freqz_sos(sections, frequencies)
    np.testing.assert_allclose(found, wanted, atol=1e-11)


def test_chebyshev2_refuses_even_orders() -> None:
    with pytest.raises(ValueError, match="order 4"):
        chebyshev2_low_pass(4, 30.0, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(0, 0.3, "lowpass"), (0.16, 0.256, "bandpass"), (0.64, 1, "highpass")]
)
@pytest.mark.parametrize(("window", "name"), [(np.hanning(129), "hann"), (np.kaiser(129, 5.0), ("kaiser", 5.0))])
def test_windowed_sinc(low: float, high: float, kind: str, window: np.ndarray, name: object) -> None:
    edges = [edge for edge in (low, high) if 0 < edge < 1]
    wanted = signal.firwin(129, edges, window=name, pass_zero=kind)
    np.testing.assert_allclose(windowed_sinc(low, high, window), wanted, atol=ROUNDING)


def test_one_pole_parts() -> None:
    numerator, denominator = adaptation_filter()
    residues, poles, direct = one_pole_parts(numerator, denominator)
    wanted_residues, wanted_poles, wanted_direct = signal.residuez(numerator, denominator)
    order, wanted_order = np.argsort(poles), np.argsort(wanted_poles.real)
    np.testing.assert_allclose(poles[order], wanted_poles.real[wanted_order], rtol=ROUNDING)
    np.testing.assert_allclose(residues[order], wanted_residues.real[wanted_order], rtol=1e-10)
    assert direct == pytest.approx(wanted_direct[0].real, rel=1e-10)


def test_one_pole_parts_refuses_complex_poles() -> None:
    with pytest.raises(ValueError, match="real poles"):
        one_pole_parts(np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.5]))
