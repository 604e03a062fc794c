"""The few filters that the ear model and the metrics need, from their formulas.

scipy.signal designs them as well (the tests hold these to it), but takes 0.7 s to import, half of what the first score
of a process takes.
"""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array


def butterworth(order: int, cutoff: float, rate: float, *, high_pass: bool = False) -> tuple[Array, Array]:
    """Butterworth low-pass or high-pass of first or second order, by the bilinear transform.

    Args:
        order: 1 or 2.
        cutoff: frequency at which the gain is -3 dB, in Hz.
        rate: sample rate in Hz.

    Returns:
        numerator and denominator in powers of 1/z, shape (order + 1,) each; the denominator begins with 1.
    """
    warped = np.tan(np.pi * cutoff / rate)
    if order == 1:
        scale = 1 / (1 + warped)
        numerator = np.array([1.0, -1.0]) if high_pass else np.array([warped, warped])
        return numerator * scale, np.array([1.0, (warped - 1) * scale])
    if order == 2:
        scale = 1 / (1 + np.sqrt(2) * warped + warped**2)
        numerator = np.array([1.0, -2.0, 1.0]) if high_pass else np.array([1.0, 2.0, 1.0]) * warped**2
        denominator = [1.0, 2 * (warped**2 - 1) * scale, (1 - np.sqrt(2) * warped + warped**2) * scale]
        return numerator * scale, np.array(denominator)
    raise ValueError(f"order {order}: 1 or 2 is wanted")


def chebyshev2_low_pass(order: int, attenuation_db: float, cutoff: float) -> Array:
    """Chebyshev type 2 low-pass of odd order as sections of second order, by the bilinear transform.

    Each section has gain 1 at 0 Hz. The last one has the real pole and is of first order.

    Args:
        order: odd.
        attenuation_db: least attenuation in the stop band.
        cutoff: where the stop band begins, relative to half the sample rate.

    Returns:
        b0, b1, b2, 1, a1, a2 of each section, shape ((order + 1) / 2, 6).
    """
    if order % 2 == 0:
        raise ValueError(f"order {order}: an odd one is wanted")
    # Poles and zeros are the reciprocals of those of type 1, whose ripple is that of the stop band.
    ripple = 1 / np.sqrt(10 ** (attenuation_db / 10) - 1)
    spread = np.arcsinh(1 / ripple) / order
    # The circle's angles from the real axis, one of each pair, that of the real pole last.
    angles = np.arange(order - 1, -1, -2) * np.pi / (2 * order)
    warped = np.tan(np.pi * cutoff / 2)
    sections = []
    for angle in angles:
        pole = warped / (-np.sinh(spread) * np.cos(angle) + 1j * np.cosh(spread) * np.sin(angle))
        pole = (1 + pole) / (1 - pole)
        if angle == 0:
            numerator, denominator = np.array([1.0, 1.0, 0.0]), np.array([1.0, -pole.real, 0.0])
        else:
            zero = warped * 1j / np.sin(angle)
            zero = (1 + zero) / (1 - zero)
            numerator = np.array([1.0, -2 * zero.real, abs(zero) ** 2])
            denominator = np.array([1.0, -2 * pole.real, abs(pole) ** 2])
        sections.append(np.concatenate([numerator * (np.sum(denominator) / np.sum(numerator)), denominator]))
    return np.array(sections)


def windowed_sinc(low: float, high: float, window: Array) -> Array:
    """Linear-phase filter for a band: an ideal one's response, windowed, with gain 1 in the middle of the band.

    A band from 0 has gain 1 at 0 Hz, one up to 1 (and not from 0) has it at half the sample rate.

    Args:
        low, high: edges of the band, relative to half the sample rate, 0 to 1.
        window: shape (taps,); for a band up to 1 the number of taps must be odd.

    Returns:
        shape (taps,).
    """
    time = np.arange(window.size) - (window.size - 1) / 2
    taps = (high * np.sinc(high * time) - low * np.sinc(low * time)) * window
    middle = 0.0 if low == 0 else 1.0 if high == 1 else (low + high) / 2
    return taps / np.sum(taps * np.cos(np.pi * time * middle))


def one_pole_parts(numerator: Array, denominator: Array) -> tuple[Array, Array, float]:
    """A filter of second order with two real poles as two one-pole filters side by side, and a direct part.

    Args:
        numerator, denominator: in powers of 1/z, shape (3,) each; the denominator begins with 1.

    Returns:
        residues and poles, shape (2,) each, and the direct part: sum of residue / (1 - pole / z), plus the direct part.

    Raises:
        ValueError: the poles are not real and different.
    """
    root = denominator[1] ** 2 - 4 * denominator[2]
    if root <= 0:
        raise ValueError("two different real poles are wanted")
    poles = (-denominator[1] + np.array([-1.0, 1.0]) * np.sqrt(root)) / 2
    residues = np.polyval(numerator[::-1], 1 / poles) / (1 - poles[::-1] / poles)
    return residues, poles, float(numerator[2] / denominator[2])
