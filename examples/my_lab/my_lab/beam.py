"""A beamformer for the front, then NAL-R for each ear.

The microphones CH1 (front), CH2 (mid) and CH3 (rear) of both hearing aids are six signals, and the beam is their sum
through a filter each. The filters are those of the minimum-variance distortionless-response beamformer (Capon 1969)
for noise that comes from all directions alike: a superdirective beamformer (Bitzer & Simmer 2001). They are the same
for all scenes, so nothing is known of the future of a sound. The head is left out of the model.

Sources:
    J. Capon, "High-resolution frequency-wavenumber spectrum analysis", Proc. IEEE 57 (1969).
    J. Bitzer, K. U. Simmer, "Superdirective microphone arrays", in Microphone Arrays, Springer (2001).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.fitting import NalR
from hearlab.listeners import Audiogram, Listener

Signal = NDArray[np.float64]

SOUND = 343.0  # m/s
MICROPHONES = ("CH1", "CH2", "CH3")  # of a hearing aid, from the front to the rear
TAPS = 512  # of the beam's filters; half of them are its delay: 6 ms at 44.1 kHz
PRESCRIPTION_TAPS = 220


class Beamformer:
    """The beam, the same in both ears, through the listener's prescription.

    Args:
        spacing: m, between neighbouring microphones of a hearing aid.
        width: m, between the two ears.
        loading: power of the microphones' own noise, as part of the noise from around. Less of it makes the beam
            narrower at low frequencies, and the microphones' own noise and differences louder.
        gain_db: of the output.

    Raises:
        InputError: a length or the loading is not above 0.
    """

    def __init__(
        self, *, spacing: float = 0.0076, width: float = 0.16, loading: float = 0.003, gain_db: float = 0.0
    ) -> None:
        for name, value in (("spacing", spacing), ("width", width), ("loading", loading)):
            if not value > 0:
                raise InputError("my_lab.beam", "wrong value", field=name, found=value, wanted="above 0")
        self.array = spacing, width, loading
        self.gain = 10 ** (gain_db / 20)

    def speech(self, microphones: dict[str, Signal], rate: int, listener: Listener) -> Signal:
        """The beam in each ear, shape (n + 731, 2), of microphones of shape (n, 2) in [-1, 1]."""
        signals = np.concatenate([microphones[name].T for name in MICROPHONES])  # CH1 left, CH1 right, CH2 left, ...
        beam = scipy.signal.oaconvolve(signals, beam_filters(rate, *self.array), axes=1).sum(axis=0)
        return self._fitted(np.stack([beam, beam], axis=1), rate, listener)

    def music(self, stems: dict[str, Signal], rate: int, listener: Listener) -> dict[str, Signal]:
        """Each stem, shape (n, 2), through the listener's prescription: shape (n + 220, 2)."""
        return {name: self._fitted(stem, rate, listener) for name, stem in stems.items()}

    def _fitted(self, pair: Signal, rate: int, listener: Listener) -> Signal:
        ears = [prescribed(pair[:, k], ear, rate) for k, ear in enumerate((listener.left, listener.right))]
        return self.gain * np.stack(ears, axis=1)


def prescribed(signal: Signal, ear: Audiogram, rate: int) -> Signal:
    """A signal of one ear, shape (n,), through the NAL-R filter of its audiogram, shape (n + 220,)."""
    nalr = NalR(taps=PRESCRIPTION_TAPS, rate=rate)
    return nalr.apply(nalr.filter(ear), signal)


@cache
def beam_filters(rate: int, spacing: float, width: float, loading: float) -> Signal:
    """A filter for each microphone, CH1 left, CH1 right, CH2 left, ..., shape (6, TAPS).

    Sound from the front reaches both hearing aids at once, and their rear microphones later. The beam passes it as the
    front microphones hear it, TAPS / 2 samples later.
    """
    frequencies = np.fft.rfftfreq(TAPS, 1 / rate)
    places = np.array([(-k * spacing, side * width / 2) for k in range(len(MICROPHONES)) for side in (-1, 1)])
    front = np.exp(2j * np.pi * frequencies[:, None] * places[:, 0] / SOUND)  # shape (f, 6)
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    # Coherence of sound from all directions alike; numpy's sinc(x) is sin(pi x) / (pi x).
    noise = np.sinc(2 * frequencies[:, None, None] * distances / SOUND) + loading * np.eye(len(places))
    solved = np.linalg.solve(noise, front[:, :, None])[:, :, 0]
    weights = solved / np.sum(front.conj() * solved, axis=1, keepdims=True)  # w = R^-1 d / (d^H R^-1 d)
    delay = np.exp(-2j * np.pi * frequencies * (TAPS // 2) / rate)
    return np.fft.irfft(weights.conj() * delay[:, None], TAPS, axis=0).T * np.hanning(TAPS)
