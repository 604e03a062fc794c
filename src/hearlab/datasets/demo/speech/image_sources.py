"""Ambisonic impulse responses of shoebox rooms by the image-source method (Allen & Berkley 1979)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal, sparse

from hearlab.arrays import Array
from hearlab.datasets.demo.speech.spherical_harmonics import real_spherical_harmonics

SPEED_OF_SOUND = 344.0  # m/s, the value of the published renderer

# Every image is a windowed sinc of this many samples, read from a table of fractional delays.
KERNEL_TAPS = 24
FRACTIONS = 64
# Each reflection multiplies the spectrum by exp(-HIGH_LOSS omega^2), omega in radians per sample: 0.56 dB at 8 kHz.
# Some hundred reflections per second make the reverberation decay faster at high frequencies, as in real rooms.
HIGH_LOSS = 0.05
MAX_KERNEL_REFLECTIONS = 80

# Images of second and higher order are moved at random by up to this much (m) along each axis: without it the
# regular lattice of a shoebox makes sweeping echoes (De Sena et al. 2015).
IMAGE_JITTER = 0.05

# Sources and microphones do not reach down to 0 Hz; the sum of all positive reflections would.
HIGH_PASS_HZ = 60.0


@dataclass(frozen=True)
class Shoebox:
    """A rectangular room.

    Attributes:
        size: in m along x, y, z; the walls of axis k are at 0 and size[k].
        reflection: pressure reflection factors, shape (3, 2): per axis the wall at 0 and the one at size[k].
    """

    size: Array
    reflection: Array


@dataclass(frozen=True)
class Emitter:
    """A point source.

    Attributes:
        position: in m, shape (3,).
        view: unit vector into which the source faces, shape (3,).
        omni, dipole: amplitude at 1 m is omni + dipole * cos(angle from `view`).
    """

    position: Array
    view: Array
    omni: float = 1.0
    dipole: float = 0.0


def wall_reflection(size: Array, reverberation_time: float, weights: Array) -> Array:
    """Reflection factors with which Eyring's formula gives a reverberation time.

    Args:
        size: room size in m, shape (3,).
        reverberation_time: T60 in s.
        weights: relative absorption exponents of the walls, shape (3, 2).

    Returns:
        pressure reflection factors, shape (3, 2).
    """
    volume = float(np.prod(size))
    areas = np.repeat(volume / size, 2).reshape(3, 2)
    exponent = 24 * math.log(10) / SPEED_OF_SOUND * volume / reverberation_time
    return np.exp(-0.5 * weights * exponent / float(np.sum(areas * weights)))


def ambisonic_response(
    room: Shoebox,
    source: Emitter,
    receiver: Array,
    view_angle: float,
    *,
    order: int,
    taps: int,
    rate: int,
    rng: np.random.Generator,
) -> Array:
    """Impulse response from a source to an ambisonic receiver.

    The scale is that of the challenge's responses: a source of amplitude 1 at distance r gives 1 / (sqrt(4 pi) r) in
    channel 0, which its decoder turns into the pressure 1 / r; the other channels are N3D relative to it.

    Args:
        room: the room.
        source: the source.
        receiver: position in m, shape (3,).
        view_angle: angle in radians of the receiver's view in the x-y plane, counter-clockwise from the x axis.
            Azimuths are relative to it, counter-clockwise; z points up.
        order: ambisonic order.
        taps: length in samples.
        rate: sample rate in Hz.
        rng: moves the images (see IMAGE_JITTER).

    Returns:
        shape (taps, (order + 1)^2).
    """
    offset, reflections, gain = _images(room, source, receiver, taps / rate * SPEED_OF_SOUND, rng)
    distance = np.sqrt(np.einsum("ik,ik->i", offset, offset))
    delay = distance / SPEED_OF_SOUND * rate
    audible = delay < taps + KERNEL_TAPS // 2
    offset, reflections, gain = offset[audible], reflections[audible], gain[audible]
    distance, delay = distance[audible], delay[audible]

    direction = offset / distance[:, None]
    cos, sin = math.cos(view_angle), math.sin(view_angle)
    x, y = direction[:, 0] * cos + direction[:, 1] * sin, direction[:, 1] * cos - direction[:, 0] * sin
    harmonics = real_spherical_harmonics(order, np.stack([x, y, direction[:, 2]], axis=1))

    whole = np.floor(delay).astype(np.int64)
    step = np.rint((delay - whole) * FRACTIONS).astype(np.int64)
    kernels = delay_kernels()[np.minimum(reflections, MAX_KERNEL_REFLECTIONS), step]
    kernels *= (gain / distance)[:, None]
    # One column per image; rows start KERNEL_TAPS early so that no index is negative.
    rows = (whole + KERNEL_TAPS - (KERNEL_TAPS // 2 - 1))[:, None] + np.arange(KERNEL_TAPS)
    starts = np.arange(distance.size + 1) * KERNEL_TAPS
    impulses = sparse.csc_matrix((kernels.ravel(), rows.ravel(), starts), shape=(taps + 3 * KERNEL_TAPS, distance.size))
    response = (impulses @ harmonics)[KERNEL_TAPS : KERNEL_TAPS + taps]
    response = signal.sosfilt(signal.butter(1, HIGH_PASS_HZ, "highpass", fs=rate, output="sos"), response, axis=0)
    fade = taps // 20
    response[-fade:] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade))[:, None]
    return response


def _images(
    room: Shoebox, source: Emitter, receiver: Array, reach: float, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64], Array]:
    """Offsets from the receiver (n, 3), numbers of reflections (n,) and gains (n,) of all images within `reach`."""
    coordinates, counts, gains, signs = [], [], [], []
    for axis in range(3):
        length = room.size[axis]
        periods = np.arange(-math.ceil(reach / (2 * length)) - 1, math.ceil(reach / (2 * length)) + 2)
        mirrored = np.array([[0], [1]])
        sign = (1 - 2 * mirrored) * np.ones_like(periods)
        at_zero, at_length = np.abs(periods - mirrored), np.abs(periods) * np.ones_like(mirrored)
        coordinates.append((sign * source.position[axis] + 2 * periods * length - receiver[axis]).ravel())
        counts.append((at_zero + at_length).ravel())
        near, far = room.reflection[axis]
        gains.append((near**at_zero * far**at_length).ravel())
        signs.append(sign.ravel())

    squared = [c**2 for c in coordinates]
    near_enough = np.nonzero(
        squared[0][:, None, None] + squared[1][:, None] + squared[2] < (reach + 2 * IMAGE_JITTER) ** 2
    )
    offset = np.stack([c[i] for c, i in zip(coordinates, near_enough, strict=True)], axis=1)
    reflections = sum((c[i] for c, i in zip(counts, near_enough, strict=True)), np.zeros(offset.shape[0], np.int64))
    gain = np.prod([g[i] for g, i in zip(gains, near_enough, strict=True)], axis=0)
    offset += IMAGE_JITTER * rng.uniform(-1, 1, offset.shape) * (reflections >= 2)[:, None]
    if source.dipole:
        view = np.stack([s[i] for s, i in zip(signs, near_enough, strict=True)], axis=1) * source.view
        towards = -np.einsum("ik,ik->i", offset, view) / np.sqrt(np.einsum("ik,ik->i", offset, offset))
        gain = gain * (source.omni + source.dipole * towards)
    else:
        gain = gain * source.omni
    return offset, reflections, gain


@functools.cache
def delay_kernels() -> Array:
    """Table of band-limited impulses, shape (MAX_KERNEL_REFLECTIONS + 1, FRACTIONS + 1, KERNEL_TAPS).

    Entry (n, k) is an impulse after n reflections, delayed by k / FRACTIONS samples from tap KERNEL_TAPS // 2 - 1.
    """
    time = np.arange(KERNEL_TAPS) - (KERNEL_TAPS // 2 - 1) - np.arange(FRACTIONS + 1)[:, None] / FRACTIONS
    omega = (np.arange(256) + 0.5) * np.pi / 256
    spectrum = np.exp(-HIGH_LOSS * np.arange(MAX_KERNEL_REFLECTIONS + 1)[:, None] * omega**2)
    table = np.einsum("nw,wt->nt", spectrum, np.cos(omega[:, None] * time.reshape(1, -1))) / omega.size
    window = 0.5 + 0.5 * np.cos(np.pi * time / (KERNEL_TAPS / 2))
    table = table.reshape(-1, *time.shape) * np.where(np.abs(time) < KERNEL_TAPS / 2, window, 0.0)
    table /= table.sum(axis=-1, keepdims=True)  # reflections lose nothing at 0 Hz; the window would cost a little
    table.flags.writeable = False
    return table
