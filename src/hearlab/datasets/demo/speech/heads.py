"""Head-related impulse responses of invented heads: a rigid sphere with microphones, and the outer ear's resonances.

The sphere's response follows Duda & Martens (1998, J. Acoust. Soc. Am. 104, 3048). Directions are those of the
challenge's head-related responses (Denk et al. 2018): azimuth clockwise, so that +90 degrees is to the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hearlab.arrays import Array, Spectrum

SPEED_OF_SOUND = 344.0
TAPS = 256
# Sample at which a sound passes the centre of the head, as in the challenge's files (1 ms).
CENTRE_DELAY = 48


def _ring(elevation: float, step: float) -> list[tuple[float, float]]:
    """Directions 0, step, ... below 180 and then -180, ... -step, as the files list them."""
    count = round(180 / step)
    azimuths = [step * k for k in range(count)] + [-180.0 + step * k for k in range(count)]
    return [(azimuth, elevation) for azimuth in azimuths]


# Azimuth and elevation in degrees, and whether the direction is a loudspeaker of the decoder, in the files' order.
# The loudspeakers are the zenith and three rings; 12 directions between the rings are not used.
_DIRECTIONS: list[tuple[tuple[float, float], bool]] = [
    ((0.0, 90.0), True),
    *((direction, True) for direction in _ring(60.0, 60.0)),
    *((direction, True) for direction in _ring(30.0, 30.0)),
    *((direction, False) for direction in [(0.0, 20.0), (-180.0, 20.0), (30.0, 15.0), (150.0, 15.0)]),
    *((direction, False) for direction in [(0.0, 10.0), (-180.0, 10.0)]),
    *((direction, True) for direction in _ring(0.0, 7.5)),
    *((direction, False) for direction in [(0.0, -10.0), (-180.0, -10.0), (30.0, -15.0), (150.0, -15.0)]),
    *((direction, False) for direction in [(0.0, -20.0), (-180.0, -20.0)]),
    *((direction, True) for direction in _ring(-30.0, 30.0)),
]
DIRECTIONS = np.array([direction for direction, _ in _DIRECTIONS])
LOUDSPEAKERS = np.array([used for _, used in _DIRECTIONS])


@dataclass(frozen=True)
class Resonance:
    """A peak (or notch) of the outer ear: centre in Hz, gain in dB, quality factor."""

    centre: float
    gain: float
    quality: float


@dataclass(frozen=True)
class Microphone:
    """A pair of microphones on the sphere.

    Attributes:
        azimuth, elevation: position of the left one in degrees, azimuth counted from the front towards the ear; the
            right one is its mirror image.
        resonances: of the outer ear, the same for all directions.
        pinna_notch: centre in Hz of a notch that moves up with the elevation of the source; 0 for none.
        shade: by how much in dB the pinna weakens frequencies around 5 kHz from straight behind.
    """

    azimuth: float
    elevation: float
    resonances: tuple[Resonance, ...] = ()
    pinna_notch: float = 0.0
    shade: float = 0.0


@dataclass(frozen=True)
class Head:
    """An invented head: name, radius in m, and the microphones by the names of their files."""

    name: str
    radius: float
    microphones: dict[str, Microphone]


def _head(name: str, radius: float, canal: float, spacing: float) -> Head:
    """A head with the ear canal's resonance in Hz; front and rear microphones are 2 * `spacing` degrees apart."""
    pinna = (Resonance(4500.0, 4.0, 1.2),)
    return Head(
        name,
        radius,
        {
            "ED": Microphone(
                97.0,
                0.0,
                (Resonance(canal, 15.0, 1.6), Resonance(1.6 * canal, 7.0, 2.0)),
                pinna_notch=7500.0,
                shade=5.0,
            ),
            "BTE_fr": Microphone(98.0 - spacing, 24.0, (*pinna, Resonance(8800.0, -4.0, 3.0)), shade=4.0),
            "BTE_mid": Microphone(98.0, 26.0, pinna, shade=3.0),
            "BTE_rear": Microphone(98.0 + spacing, 22.0, (*pinna, Resonance(6200.0, -4.0, 3.0)), shade=2.0),
        },
    )


HEADS = {head.name: head for head in (_head("DemoA", 0.0875, 2900.0, 5.0), _head("DemoB", 0.0815, 3300.0, 4.5))}


def unit_vectors(directions: Array) -> Array:
    """Unit vectors (front, right, up), shape (n, 3), of azimuths and elevations in degrees, shape (n, 2)."""
    vectors = []
    for azimuth, elevation in np.deg2rad(directions):
        level = math.cos(elevation)
        vectors.append((level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)))
    return np.array(vectors)


def head_responses(head: Head, microphone: str, rate: int, asymmetry: Sequence[float] = (0.0, 0.0)) -> Array:
    """Head-related impulse responses of one pair of microphones.

    Args:
        head: the head.
        microphone: "ED" (at the eardrum), "BTE_fr", "BTE_mid" or "BTE_rear".
        rate: sample rate in Hz.
        asymmetry: by how much (fraction) the resonances of the left and of the right ear are shifted up.

    Returns:
        shape (TAPS, directions, 2), left then right; far below the head's resonances the gain is 1.
    """
    pair = head.microphones[microphone]
    # Computed four times as long as needed, so that nothing wraps around.
    frequencies = np.fft.rfftfreq(4 * TAPS, 1 / rate)
    sources = unit_vectors(DIRECTIONS)
    ears = unit_vectors(np.array([[side * pair.azimuth, pair.elevation] for side in (-1, 1)]))
    incidence = np.clip(ears @ sources.T, -1.0, 1.0)
    sphere = sphere_response(incidence.ravel(), head.radius, frequencies).reshape(-1, *incidence.shape)
    sphere *= np.exp(-2j * np.pi * frequencies * CENTRE_DELAY / rate)[:, None, None]
    responses = np.empty((TAPS, len(DIRECTIONS), 2))
    for ear, shift in enumerate(asymmetry):
        spectrum = sphere[:, ear]
        for resonance in pair.resonances:
            spectrum *= _peak(resonance, 1 + shift, frequencies, rate)[:, None]
        for index, direction in enumerate(DIRECTIONS):
            for resonance in _pinna(pair, direction[1], sources[index]):
                spectrum[:, index] *= _peak(resonance, 1 + shift, frequencies, rate)
        # The top quarter of the frequencies is tapered, or the truncated spectrum would ring before the onset.
        spectrum *= (0.5 + 0.5 * np.cos(np.pi * np.clip(frequencies / (rate / 2) * 4 - 3, 0, 1)))[:, None]
        responses[:, :, ear] = np.fft.irfft(spectrum, axis=0)[:TAPS]
    fade = np.ones(TAPS)
    fade[-32:] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, 33) / 32)
    responses *= fade[:, None, None]
    # Rounding far below audibility makes the files independent of the last bits of a machine's mathematics.
    return np.round(responses * 2**26) / 2**26


def _pinna(microphone: Microphone, elevation: float, source: Array) -> list[Resonance]:
    """Effects of the pinna on a source at `elevation` (degrees) in direction `source` (front, right, up)."""
    effects = [Resonance(5000.0, -microphone.shade * (1 - source[0]) / 2, 0.7)]
    if microphone.pinna_notch:
        # The notch of the concha climbs with elevation and gets shallower.
        effects.append(Resonance(microphone.pinna_notch * (1 + elevation / 180), elevation / 10 - 12, 4.0))
    return effects


def sphere_response(incidence: Array, radius: float, frequencies: NDArray[np.floating]) -> Spectrum:
    """Pressure on a rigid sphere in a plane wave, relative to that in its centre without the sphere.

    Args:
        incidence: cosine of the angle between source and microphone, seen from the centre, shape (n,).
        radius: of the sphere in m.
        frequencies: in Hz, ascending from 0, shape (f,).

    Returns:
        shape (f, n); the phase is that of sound that arrives earlier at a microphone on the source's side.
    """
    mu = 2 * np.pi * frequencies[1:] * radius / SPEED_OF_SOUND
    # Terms beyond mu by this much are below 1e-12.
    terms = math.ceil(mu[-1]) + 25
    factors = np.zeros((mu.size, terms), dtype=np.complex128)
    polynomials = np.empty((terms, incidence.size))
    before, legendre = np.zeros_like(incidence), np.ones_like(incidence)
    for m in range(terms):
        # Where the derivative of y overflows (high order, low frequency) the term is 0.
        with np.errstate(all="ignore"):
            slope = special.spherical_jn(m, mu, derivative=True) - 1j * special.spherical_yn(m, mu, derivative=True)
            factor = (2 * m + 1) * 1j ** (m - 1) / slope
        factors[:, m] = np.where(np.isfinite(factor), factor, 0.0)
        polynomials[m] = legendre
        before, legendre = legendre, ((2 * m + 1) * incidence * legendre - m * before) / (m + 1)
    scattered = (factors @ polynomials) / mu[:, None] ** 2
    return np.concatenate([np.ones((1, incidence.size), dtype=np.complex128), scattered])


def _peak(resonance: Resonance, scale: float, frequencies: NDArray[np.floating], rate: int) -> Spectrum:
    """Frequency response of a minimum-phase peaking filter (a biquad by the bilinear transform)."""
    omega = 2 * math.pi * resonance.centre * scale / rate
    alpha = math.sin(omega) / (2 * resonance.quality)
    amplitude = 10 ** (resonance.gain / 40)
    z = np.exp(-2j * np.pi * frequencies / rate)
    middle = -2 * math.cos(omega) * z
    above = (1 + alpha * amplitude) + middle + (1 - alpha * amplitude) * z**2
    below = (1 + alpha / amplitude) + middle + (1 - alpha / amplitude) * z**2
    return above / below
