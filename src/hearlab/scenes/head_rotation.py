"""The direction of the head at each sample of a scene: still, one smooth turn, still."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hearlab.arrays import Array
from hearlab.errors import InputError


@dataclass(frozen=True)
class HeadRotation:
    """Head direction relative to the room responses.

    Attributes:
        theta: angle in radians at each sample, shape (duration,).
        turn_start, turn_end: theta is constant before `turn_start` and from `turn_end` on (sample indices).
    """

    theta: Array
    turn_start: int
    turn_end: int

    def as_signal(self) -> Array:
        """The rotation as written to `_hr.wav`: the angle modulo 2 pi, mapped to [-1, 1)."""
        signal = np.empty_like(self.theta)
        turn = slice(self.turn_start, self.turn_end)
        # A modulus takes 15 ns, and the head is still for most of a scene.
        signal[: turn.start], signal[turn], signal[turn.stop :] = (
            (np.mod(theta, 2 * np.pi) - np.pi) / np.pi for theta in (self.theta[0], self.theta[turn], self.theta[-1])
        )
        return signal


def head_rotation(
    rotation: list[dict[str, float]], view_vector: list[float], duration: int, scene: str
) -> HeadRotation:
    """Track of a head that turns between two control points.

    Args:
        rotation: two control points, each with `sample` and `angle` (degrees in the room's axes).
        view_vector: the direction in the room that the responses were recorded for.
        duration: number of samples.
        scene: name for error messages.

    Raises:
        InputError: not two control points, in the wrong order, or after the end of the scene; no view vector.
    """
    if len(rotation) != 2:
        raise InputError(scene, "needs two control points", field="listener.rotation", found=len(rotation), wanted=2)
    start, end = (float(point["sample"]) for point in rotation)
    if not 0 <= start < end <= duration:
        raise InputError(
            scene,
            "the head turn is not inside the scene",
            field="listener.rotation",
            found=f"samples {start:g} to {end:g}",
            wanted=f"0 <= start < end <= {duration}",
        )
    if not any(view_vector[:2]):
        raise InputError(scene, "the listener looks nowhere", field="listener.view_vector", found=view_vector)
    origin = np.arctan2(view_vector[1], view_vector[0])
    first, last = (math.radians(point["angle"]) - origin for point in rotation)
    increment = (np.abs(first - last) / duration) * np.sign(last - first)
    if increment == 0:
        return HeadRotation(np.full(duration, first), 0, 0)
    # The published renderer tabulates the way from the first to the last angle in as many steps as the scene has
    # samples and reads the table at the (rounded down) smoothed position.
    table = np.arange(first, last, increment)
    turn = slice(math.floor(start), min(math.ceil(end), duration))
    x = np.clip((np.arange(turn.start, turn.stop) - start) / (end - start), 0, 1)
    position = np.floor((3 - 2 * x) * x**2 * (duration - 1)).astype(np.intp)
    theta = np.empty(duration)
    theta[: turn.start] = table[0]
    theta[turn] = table[np.minimum(position, table.size - 1)]
    theta[turn.stop :] = table[min(duration, table.size) - 1]
    return HeadRotation(theta, turn.start, turn.stop)
