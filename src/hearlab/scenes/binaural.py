"""From source signals and ambisonic room responses to microphone signals on a head that turns once.

Everything from source to microphone is linear, and the head is still but for its turn. So while it is still, room
response, rotation, decoding and head-related response are one combined impulse response per source and microphone;
only around the turn (and over the last taps behind the end, where the ambisonic signal is cut off) are the ambisonic
channels computed, rotated sample by sample and decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hearlab.scenes.ambisonics import rotate, rotation_terms
from hearlab.scenes.head_track import HeadTrack

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


@dataclass(frozen=True)
class Source:
    """A sound source in the room.

    Attributes:
        signal: shape (n,).
        response: ambisonic impulse response, shape (taps, channels).
        delay: sample of the scene at which the signal starts.
    """

    signal: Array
    response: Array
    delay: int


def render_groups(
    groups: Sequence[Sequence[Source]],
    decoders: Sequence[Array],
    track: HeadTrack,
    order: int,
) -> list[list[Array]]:
    """Render groups of sources (the sources of a group are summed) to pairs of microphones.

    Args:
        groups: sources with responses of at least (order + 1)^2 channels.
        decoders: per microphone pair the filters of `decoding_filters`, shape (taps, channels, 2).
        track: the head's direction; its length is the duration of the scene.
        order: ambisonic order.

    Returns:
        per group and microphone pair a signal of shape (duration + taps - 1, 2).
    """
    duration = track.theta.size
    taps = decoders[0].shape[0]
    memory = taps - 1
    total = duration + memory
    turn_from, turn_to = track.turn_start, min(track.turn_end + memory, duration)
    # Intervals of the output whose ambisonic signals are computed channel by channel: the turn, and the end.
    explicit = [(turn_from, turn_to), (duration, total)]
    if turn_to >= duration:
        explicit = [(turn_from, total)]
    still = [(0, turn_from, track.theta[0]), (turn_to, duration, track.theta[-1])]

    longest = max((source.response.shape[0] for group in groups for source in group), default=1)
    block = max([longest + memory, *(b - a + 2 * memory for a, b in explicit)])
    length = fft.next_fast_len(block, real=True)
    decoded = [fft.rfft(decoder, length, axis=0) for decoder in decoders]

    rendered = []
    for group in groups:
        outputs = [np.zeros((total, 2)) for _ in decoders]
        for start, stop in explicit:
            _render_explicitly(group, decoded, track, order, (start, stop), length, outputs)
        for source in group:
            spectrum = fft.rfft(source.response, length, axis=0)
            for start, stop, theta in still:
                if stop <= start:
                    continue
                turned = rotate(spectrum, *rotation_terms(np.array([theta]), order), order)
                responses = [
                    fft.irfft(np.einsum("fc,fce->fe", turned, decoder), length, axis=0)[
                        : source.response.shape[0] + memory
                    ]
                    for decoder in decoded
                ]
                response = np.concatenate(responses, axis=1)
                combined = convolve_interval(source.signal, response, source.delay, start, stop)
                for pair, output in enumerate(outputs):
                    output[start:stop] += combined[:, 2 * pair : 2 * pair + 2]
        rendered.append(outputs)
    return rendered


def _render_explicitly(
    group: Sequence[Source],
    decoded: Sequence[Spectrum],
    track: HeadTrack,
    order: int,
    interval: tuple[int, int],
    length: int,
    outputs: Sequence[Array],
) -> None:
    """Add one interval [start, stop) of the output, computed through rotated ambisonic channels."""
    start, stop = interval
    duration = track.theta.size
    memory = outputs[0].shape[0] - duration
    first, last = max(start - memory, 0), min(stop, duration)
    if stop <= start or last <= first:
        return
    channels = decoded[0].shape[1]
    signals = np.zeros((last - first, channels))
    for source in group:
        signals += convolve_interval(source.signal, source.response, source.delay, first, last)
    turned = rotate(signals, *rotation_terms(track.theta[first:last], order), order)
    spectrum = fft.rfft(turned, length, axis=0)
    for decoder, output in zip(decoded, outputs, strict=True):
        decoded_signal = fft.irfft(np.einsum("fc,fce->fe", spectrum, decoder), length, axis=0)
        output[start:stop] += decoded_signal[start - first : stop - first]


def convolve_interval(signal: Array, response: Array, delay: int, start: int, stop: int) -> Array:
    """Samples [start, stop) of the convolution of `signal` (n,), delayed, with `response` (taps, channels).

    Returns:
        shape (stop - start, channels).
    """
    taps = response.shape[0]
    # The output at t needs the signal from t - delay - taps + 1 to t - delay.
    first, last = start - delay - taps + 1, stop - delay
    piece = signal[max(first, 0) : max(last, 0)]
    if piece.size == 0:
        return np.zeros((stop - start, response.shape[1]))
    offset = max(first, 0) - first
    length = fft.next_fast_len(max(last - first, offset + piece.size), real=True)
    padded = np.zeros(length)
    padded[offset : offset + piece.size] = piece
    spectrum = fft.rfft(padded)[:, None] * fft.rfft(response, length, axis=0)
    # Circular wrapping spoils only the first taps - 1 samples, which belong to times before `start`.
    return fft.irfft(spectrum, length, axis=0)[taps - 1 : taps - 1 + stop - start]
