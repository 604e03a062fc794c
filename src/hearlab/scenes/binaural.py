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

from hearlab.scenes.ambisonics import rotate, rotation_terms
from hearlab.scenes.block_spectra import (
    AmbisonicStretch,
    BlockSpectra,
    Spectrum,
    decode,
    filter_spectra,
    hop_for,
)
from hearlab.scenes.head_track import HeadTrack
from hearlab.scenes.interval_convolution import convolve_interval

Array = NDArray[np.float64]


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
class _Still:
    """An interval [start, stop) of the output in which the head is still, and filters turned to its direction."""

    start: int
    stop: int
    filters: Spectrum


@dataclass(frozen=True)
class _Turn:
    """An interval [start, stop) of the output that needs the ambisonic signals of [first, last), each sample turned."""

    start: int
    stop: int
    first: int
    last: int
    terms: tuple[Array, Array]


@dataclass(frozen=True)
class _Plan:
    """What all groups of a scene share: lengths in samples, spectra of the filters, and how the output is divided."""

    duration: int
    memory: int
    hop: int
    filters: Spectrum
    stills: list[_Still]
    turns: list[_Turn]


def render_groups(
    groups: Sequence[Sequence[Source]],
    decoders: Sequence[Array],
    track: HeadTrack,
    order: int,
    heard: Sequence[Sequence[int]] | None = None,
) -> list[list[Array]]:
    """Render groups of sources (the sources of a group are summed) to pairs of microphones.

    Args:
        groups: sources with responses of (order + 1)^2 channels.
        decoders: per microphone pair the filters of `decoding_filters`, shape (taps, channels, 2).
        track: the head's direction; its length is the duration of the scene.
        order: ambisonic order.
        heard: per group the microphone pairs to render it to; all if not given.

    Returns:
        per group and microphone pair a signal of shape (duration + taps - 1, 2), for the taps of that pair.
    """
    if heard is None:
        heard = [range(len(decoders)) for _ in groups]
    plan = _plan(_bank(decoders), track, order)
    rendered = []
    for group, pairs in zip(groups, heard, strict=True):
        output = _render_group(group, plan, pairs, order)
        lengths = [plan.duration + decoders[pair].shape[0] - 1 for pair in pairs]
        rendered.append([output[2 * k : 2 * k + 2, :length].T for k, length in enumerate(lengths)])
    return rendered


def _render_group(group: Sequence[Source], plan: _Plan, pairs: Sequence[int], order: int) -> Array:
    """The sum of a group at the microphones of some pairs, shape (2 x pairs, duration + memory)."""
    channels, microphones = plan.filters.shape[1:]
    chosen = [2 * pair + ear for pair in pairs for ear in (0, 1)]
    ears = slice(None) if chosen == list(range(microphones)) else chosen  # all of them are no copy
    output = np.zeros((len(chosen), plan.duration + plan.memory))
    responses: list[list[Array]] = [[] for _ in plan.stills]
    stretches = [AmbisonicStretch(turn.first, turn.last, channels, plan.hop) for turn in plan.turns]
    for source in group:
        spectra = BlockSpectra(source.response, plan.hop)
        for of_still, still in zip(responses, plan.stills, strict=True):
            of_still.append(spectra.through(still.filters[:, :, ears], plan.memory))
        for stretch in stretches:
            stretch.add(source.signal, source.delay, spectra)
    for of_still, still in zip(responses, plan.stills, strict=True):
        sources = [(source.signal, source.delay, heard) for source, heard in zip(group, of_still, strict=True)]
        if sources:
            convolve_interval(sources, still.start, output[:, still.start : still.stop])
    for stretch, turn in zip(stretches, plan.turns, strict=True):
        signals = stretch.signals()
        rotate(signals, *turn.terms, order)
        decoded = decode(signals, plan.filters[:, :, ears], plan.memory)
        output[:, turn.start : turn.stop] = decoded[:, turn.start - turn.first : turn.stop - turn.first]
    return output


def _plan(filters: Array, track: HeadTrack, order: int) -> _Plan:
    duration, memory = track.theta.size, filters.shape[0] - 1
    hop = hop_for(memory)
    turn_from, turn_to = track.turn_start, min(track.turn_end + memory, duration)
    stills = []
    for start, stop, theta in ((0, turn_from, track.theta[0]), (turn_to, duration, track.theta[-1])):
        if stop > start:
            cos, sin = rotation_terms(np.array([theta]), order)
            turned = filters.copy()
            rotate(turned, cos, -sin, order, axis=1)  # to turn the sound is to turn the filters back
            stills.append(_Still(start, stop, filter_spectra(turned, hop)))
    # Behind the end the ambisonic signal is cut off, but for the taps of the filters.
    total = duration + memory
    moving = [(turn_from, turn_to), (duration, total)] if turn_to < duration else [(turn_from, total)]
    turns = []
    for start, stop in moving:
        first, last = max(start - memory, 0), min(stop, duration)
        if stop > start and last > first:
            turns.append(_Turn(start, stop, first, last, rotation_terms(track.theta[first:last], order)))
    return _Plan(duration, memory, hop, filter_spectra(filters, hop), stills, turns)


def _bank(decoders: Sequence[Array]) -> Array:
    """The filters of all pairs, shape (taps of the longest, channels, 2 x pairs)."""
    bank = np.zeros((max(decoder.shape[0] for decoder in decoders), decoders[0].shape[1], 2 * len(decoders)))
    for pair, decoder in enumerate(decoders):
        bank[: decoder.shape[0], :, 2 * pair : 2 * pair + 2] = decoder
    return bank
