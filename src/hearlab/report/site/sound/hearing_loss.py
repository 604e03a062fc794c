"""How a sound is heard through a hearing loss, in the plainest form: attenuated by the audiogram's own thresholds.

Nothing else of a hearing loss is in it: no recruitment, no broader filters, no lower resolution in time. It lets
somebody with normal hearing hear how much is left at each frequency.
"""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.listeners import Listener

Ear = tuple[tuple[float, float], ...]
"""Frequency in Hz and threshold in dB HL, in rising order."""
Loss = tuple[Ear, Ear]
"""Of the left ear and the right ear."""
SECONDS = 0.0125  # of the filter: it follows the octave from 250 Hz on
NO_LOSS: tuple[()] = ()


def loss_of(listener: Listener) -> Loss:
    """The thresholds of both ears as plain numbers."""
    left, right = (
        tuple((float(hertz), float(level)) for hertz, level in zip(ear.frequencies, ear.levels, strict=True))
        for ear in (listener.left, listener.right)
    )
    return left, right


def attenuation(ear: Ear, frequencies: Array) -> Array:
    """Attenuation in dB at frequencies in Hz: between those tested linear over log frequency, beyond as at the last.

    A threshold below 0 dB HL is no gain.
    """
    hertz, levels = (np.array(values) for values in zip(*ear, strict=True))
    wanted = np.log(np.maximum(frequencies, 1.0))
    return np.maximum(np.interp(wanted, np.log(hertz), levels), 0.0)


def heard_through(samples: Array, rate: int, loss: Loss) -> Array:
    """A signal of shape (n, 2) after the attenuation of both ears, by filters of linear phase without their delay."""
    if not samples.size:
        return samples
    return np.stack([_filtered(samples[:, ear], rate, loss[ear]) for ear in (0, 1)], axis=1)


def _filtered(signal: Array, rate: int, ear: Ear) -> Array:
    from hearlab.fitting.fir import convolve  # with compiled loops, which most sites do not need

    half = round(SECONDS * rate)
    size = 8 * half
    gains = 10 ** (-attenuation(ear, np.asarray(np.fft.rfftfreq(size, 1 / rate), dtype=np.float64)) / 20)
    impulse = np.roll(np.fft.irfft(gains, size), half)[: 2 * half + 1] * np.hanning(2 * half + 3)[1:-1]
    return convolve(signal, impulse)[half : half + signal.size]
