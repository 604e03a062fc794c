"""The head turn of a scene: the listener looks to one side of the target and turns towards it when it speaks.

The model is that of the second Clarity enhancement challenge, after the behavioural studies of Hadley et al. (2019),
"Speech, movement, and gaze behaviours during dyadic conversation in noise", Scientific Reports 9.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hearlab.scenes.scene_config import ListenerConfig
from hearlab.scenes.scene_json import rounded


def draw_head_turn(
    rng: random.Random,
    config: ListenerConfig,
    target_onset: int,
    listener_position: Sequence[float],
    target_position: Sequence[float],
) -> list[dict[str, float]]:
    """Draw the start and the end of a head turn.

    Args:
        rng: random stream.
        config: distributions of times (samples) and angles (degrees).
        target_onset: sample at which the target begins.
        listener_position, target_position: in the room, metres.

    Returns:
        two control points, each with `sample` and `angle` (degrees, anticlockwise from the room's x axis).
    """
    # The order of the draws is the published one; the scenes depend on it.
    start = max(target_onset + rng.uniform(*config.relative_start_time_range), 0)
    duration = int(rng.gauss(config.duration_mean, config.duration_sd))
    side = 1 if rng.random() < 0.5 else -1
    deviation = _truncated_gauss(rng, config.angle_initial_sd)
    before = side * math.radians(config.angle_initial_mean + deviation)
    after = side * math.radians(rng.uniform(*config.angle_final_range))
    towards_target = math.atan2(target_position[1] - listener_position[1], target_position[0] - listener_position[0])
    return [
        {"sample": rounded(start), "angle": rounded(math.degrees(towards_target + before))},
        {"sample": rounded(start + duration), "angle": rounded(math.degrees(towards_target + after))},
    ]


def _truncated_gauss(rng: random.Random, deviation: float) -> float:
    """A normal draw with mean 0 that lies within two standard deviations."""
    while abs(value := rng.gauss(0, deviation)) >= 2 * deviation:
        pass
    return value
