"""Invented living rooms: positions of walls, listener, target and interferers, and the impulse responses of the room.

Coordinates are those of the challenge's rooms: x runs from minus to plus half the width, y from 0 to the length, z from
the floor; lengths in m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.demo.speech.image_sources import Emitter, Shoebox, ambisonic_response, wall_reflection

AMBISONIC_ORDER = 6
RESPONSE_SECONDS = 0.2

INTERFERERS = ("i1", "i2", "i3")
SOURCES = ("t", *INTERFERERS)

WALL_DISTANCE = 0.5  # of listener and sources, m
LISTENER_DISTANCE = 1.0  # of sources from the listener, m
SOURCE_DISTANCE = 0.6  # between sources, m
TARGET_SEPARATION = 25.0  # of interferers from the target, degrees as the listener sees them

# A talker is a cardioid-like source that faces the listener; as in the challenge's responses its amplitude straight
# ahead is half of that of the interferers, which are omnidirectional.
TALKER = {"omni": 0.3, "dipole": 0.2}

# Responses are rounded to this (-144 dB), so that they do not depend on the last bits of a machine's mathematics.
RESPONSE_STEP = 2.0**-24


@dataclass(frozen=True)
class Room:
    """A living room.

    Attributes:
        name: "R" and five digits.
        width, length, height: in m along x, y, z.
        reverberation_time: T60 in s, by Eyring's formula at low and middle frequencies.
        absorption: relative absorption of the walls, shape (3, 2): per axis the lower and the upper wall.
        listener: position, shape (3,).
        sources: positions by their names in SOURCES.
    """

    name: str
    width: float
    length: float
    height: float
    reverberation_time: float
    absorption: Array
    listener: Array
    sources: dict[str, Array]

    def view(self, source: str) -> Array:
        """Unit vector from a source to the listener, into which the source faces."""
        difference = self.listener - self.sources[source]
        return difference / np.linalg.norm(difference)

    @property
    def listener_view(self) -> Array:
        """Unit vector from the listener to the target: the direction straight ahead in the responses."""
        return -self.view("t")


def draw_room(name: str, seed: int) -> Room:
    """A room of random size and absorption, with positions of a listener, a target and three interferers.

    Listener and sources have one height and positions on a grid of 0.1 m, as in the challenge's rooms.
    """
    rng = item_rng(seed, name)
    width, length = np.round(rng.uniform([3.4, 4.0], [4.6, 6.0]), 1).tolist()
    height = float(np.round(rng.uniform(2.4, 2.9), 1))
    ears = float(rng.choice([1.2, 1.6]))
    reverberation_time = rng.uniform(0.2, 0.3)
    absorption = rng.uniform(0.7, 1.3, (3, 2))
    absorption[2] *= 1.3  # carpet below, plaster above: more than the walls

    while True:
        listener, *sources = _places(rng, width, length, ears)
        if _suitable(listener, sources):
            break
    return Room(
        name, width, length, height, reverberation_time, absorption, listener, dict(zip(SOURCES, sources, strict=True))
    )


def _places(rng: np.random.Generator, width: float, length: float, ears: float) -> Array:
    """Positions of listener, target and interferers, shape (5, 3), all far enough from the walls."""
    half = math.floor((width / 2 - WALL_DISTANCE) * 10 + 1e-9)
    x = rng.integers(-half, half, 5, endpoint=True)
    y = rng.integers(round(WALL_DISTANCE * 10), math.floor((length - WALL_DISTANCE) * 10 + 1e-9), 5, endpoint=True)
    return np.stack([x / 10, y / 10, np.full(5, ears)], axis=1)


def _suitable(listener: Array, sources: list[Array]) -> bool:
    offsets = np.stack(sources) - listener
    if np.min(np.linalg.norm(offsets, axis=1)) < LISTENER_DISTANCE:
        return False
    between = np.linalg.norm(offsets[:, None] - offsets, axis=2)[np.triu_indices(len(sources), 1)]
    if between.min() < SOURCE_DISTANCE:
        return False
    azimuths = np.arctan2(offsets[:, 1], offsets[:, 0])
    separation = np.abs(np.angle(np.exp(1j * (azimuths[1:] - azimuths[0]))))
    return bool(separation.min() >= math.radians(TARGET_SEPARATION))


def room_response(room: Room, source: str, rate: int, seed: int) -> NDArray[np.float32]:
    """Ambisonic impulse response (ACN, N3D, 49 channels) from a source of the room to its listener.

    Args:
        room: the room.
        source: "t", "i1", "i2" or "i3".
        rate: sample rate in Hz.
        seed: of the demo data.

    Returns:
        shape (RESPONSE_SECONDS * rate, 49); straight ahead is the direction of the target.
    """
    corner = np.array([-room.width / 2, 0.0, 0.0])
    size = np.array([room.width, room.length, room.height])
    reflection = wall_reflection(size, room.reverberation_time, room.absorption)
    emitter = Emitter(room.sources[source] - corner, room.view(source), **(TALKER if source == "t" else {}))
    ahead = room.listener_view
    response = ambisonic_response(
        Shoebox(size, reflection),
        emitter,
        room.listener - corner,
        math.atan2(ahead[1], ahead[0]),
        order=AMBISONIC_ORDER,
        taps=round(RESPONSE_SECONDS * rate),
        rate=rate,
        rng=item_rng(seed, f"{room.name}_{source}"),
    )
    return (np.round(response / RESPONSE_STEP) * RESPONSE_STEP).astype(np.float32)
