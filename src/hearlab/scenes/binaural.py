"""From source signals and ambisonic room responses to microphone signals on a head that turns once.

Everything from source to microphone is linear, and the head is still except for its turn. While it is still, room
response, rotation, decoding and head-related response are combined to one impulse response per source and microphone.
The ambisonic channels are computed, rotated sample by sample and decoded only around the turn, and over the last taps
after the end, where the ambisonic signal is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.scenes.ambisonics import rotate, rotation_terms
from hearlab.scenes.head_rotation import HeadRotation
from hearlab.scenes.interval_convolution import convolve_interval
from hearlab.scenes.partitioned_convolution import (
    AmbisonicSegments,
    PartitionedResponse,
    Spectrum,
    decode,
    filter_spectra,
    hop_length,
)


@dataclass(frozen=True)
class Source:
    """A sound source in the room.

    Attributes:
        signal: shape (n,).
        response: ambisonic impulse response, shape (taps, channels).
        delay: sample of the scene at which the signal starts.
    """

    signal: Array
    response: NDArray[np.floating]
    delay: int


@dataclass(frozen=True)
class _Turn:
    """An interval [start, stop) of the output that needs the rotated ambisonic signals of [first, last)."""

    start: int
    stop: int
    first: int
    last: int
    terms: tuple[Array, Array]


@dataclass(frozen=True)
class _Plan:
    """What all groups of a scene share: lengths in samples, spectra of the filters, and how the output is divided.

    The head is still in the intervals `stills`; `still_filters` are the filters rotated to its direction in the first
    of them, then in the second.
    """

    duration: int
    memory: int
    hop: int
    filters: Spectrum
    stills: list[tuple[int, int]]
    still_filters: Spectrum
    turns: list[_Turn]


def render_groups(
    groups: Sequence[Sequence[Source]],
    decoders: Sequence[Array],
    rotation: HeadRotation,
    order: int,
    pairs: Sequence[Sequence[int]] | None = None,
) -> list[list[Array]]:
    """Render groups of sources (the sources of a group are summed) to pairs of microphones.

    Args:
        groups: sources with responses of (order + 1)^2 channels.
        decoders: per microphone pair the filters of `decoding_filters`, shape (taps, channels, 2).
        rotation: the head's direction; its length is the duration of the scene.
        order: ambisonic order.
        pairs: per group the microphone pairs to render it to; all if not given.

    Returns:
        per group and microphone pair a signal of shape (duration + taps - 1, 2), for the taps of that pair.
    """
    if pairs is None:
        pairs = [range(len(decoders)) for _ in groups]
    plan = _plan(_bank(decoders), rotation, order)
    partitioned = PartitionedResponse(plan.filters.shape[1], plan.hop)
    rendered = []
    for group, chosen in zip(groups, pairs, strict=True):
        output = _render_group(group, plan, chosen, order, partitioned)
        lengths = [plan.duration + decoders[pair].shape[0] - 1 for pair in chosen]
        rendered.append([output[2 * k : 2 * k + 2, :length].T for k, length in enumerate(lengths)])
    return rendered


def _render_group(
    group: Sequence[Source], plan: _Plan, pairs: Sequence[int], order: int, partitioned: PartitionedResponse
) -> Array:
    """The sum of a group at the microphones of some pairs, shape (2 x pairs, duration + memory)."""
    microphones = plan.filters.shape[2]
    chosen = [2 * pair + ear for pair in pairs for ear in (0, 1)]
    filters, still_filters = plan.filters, plan.still_filters
    if chosen != list(range(microphones)):
        filters = filters[:, :, chosen]
        still_filters = still_filters[:, :, [microphones * k + ear for k in range(len(plan.stills)) for ear in chosen]]

    responses = []
    segments = AmbisonicSegments([(turn.first, turn.last) for turn in plan.turns], filters.shape[1], plan.hop)
    for source in group:
        partitioned.transform(source.response)
        responses.append(partitioned.filtered(still_filters, plan.memory))
        segments.add(source.signal, source.delay, partitioned)

    output = np.zeros((len(chosen), plan.duration + plan.memory))
    for index, (start, stop) in enumerate(plan.stills):
        ears = slice(index * len(chosen), (index + 1) * len(chosen))
        sources = [(source.signal, source.delay, both[ears]) for source, both in zip(group, responses, strict=True)]
        if sources:
            convolve_interval(sources, start, output[:, start:stop])
    for turn, signals in zip(plan.turns, segments.signals(), strict=True):
        rotate(signals, *turn.terms, order)
        decoded = decode(signals, filters, plan.memory)
        output[:, turn.start : turn.stop] = decoded[:, turn.start - turn.first : turn.stop - turn.first]
    return output


def _plan(filters: Array, rotation: HeadRotation, order: int) -> _Plan:
    duration, memory = rotation.theta.size, filters.shape[0] - 1
    hop = hop_length(memory)
    turn_from, turn_to = rotation.turn_start, min(rotation.turn_end + memory, duration)
    stills, turned = [], []
    for start, stop, theta in ((0, turn_from, rotation.theta[0]), (turn_to, duration, rotation.theta[-1])):
        if stop > start:
            cos, sin = rotation_terms(np.array([theta]), order)
            stills.append((start, stop))
            turned.append(filters.copy())
            rotate(turned[-1], cos, -sin, order, axis=1)  # rotating the sound is rotating the filters back
    still_filters = np.concatenate(turned, axis=2) if turned else filters[:, :, :0]
    # After the end the ambisonic signal is cut off; the taps of the filters remain.
    total = duration + memory
    moving = [(turn_from, turn_to), (duration, total)] if turn_to < duration else [(turn_from, total)]
    turns = []
    for start, stop in moving:
        first, last = max(start - memory, 0), min(stop, duration)
        if stop > start and last > first:
            turns.append(_Turn(start, stop, first, last, rotation_terms(rotation.theta[first:last], order)))
    return _Plan(duration, memory, hop, filter_spectra(filters, hop), stills, filter_spectra(still_filters, hop), turns)


def _bank(decoders: Sequence[Array]) -> Array:
    """The filters of all pairs, shape (taps of the longest, channels, 2 x pairs)."""
    bank = np.zeros((max(decoder.shape[0] for decoder in decoders), decoders[0].shape[1], 2 * len(decoders)))
    for pair, decoder in enumerate(decoders):
        bank[: decoder.shape[0], :, 2 * pair : 2 * pair + 2] = decoder
    return bank
