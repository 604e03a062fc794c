"""The demo listeners: standard audiograms with small differences between the ears, and which of them hear a scene."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.datasets.demo.seeds import item_rng
from hearlab.listeners import FREQUENCIES_FIELD, LEVELS_FIELDS

FREQUENCIES = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)

# Standard audiograms for flat and moderately sloping (N) and steeply sloping (S) losses in dB HL (Bisgaard, Vlaming &
# Dahlquist 2010). Theirs end at 6 kHz; 8 kHz continues the slope by 5 dB.
STANDARD_AUDIOGRAMS: dict[str, tuple[float, ...]] = {
    "N1": (10, 10, 10, 15, 20, 30, 40, 45),
    "N2": (20, 20, 25, 35, 40, 45, 50, 55),
    "N3": (35, 35, 40, 50, 55, 60, 65, 70),
    "N4": (55, 55, 55, 65, 70, 75, 80, 85),
    "S1": (10, 10, 10, 15, 30, 55, 70, 75),
    "S2": (20, 20, 25, 55, 75, 95, 95, 100),
    "S3": (30, 35, 60, 75, 80, 80, 85, 90),
}
# From mild to severe and back, so that the listeners of one scene differ. The challenge has no loss above 80 dB HL.
PANEL = ("N2", "S2", "N3", "S1", "N4", "N2", "S3", "N1")
HIGHEST_LEVEL = 80
LISTENERS_PER_SCENE = 3
# Of the music: mild to severe for training; for validation a mild and a moderately severe sloping loss (of 31 and 63 dB
# in the mean over 0.5, 1, 2 and 4 kHz).
MUSIC_PANEL = {"train": {"L5001": "N1", "L5002": "N3", "L5003": "S2"}, "valid": {"L5041": "N2", "L5042": "N4"}}


def listener_ids() -> list[str]:
    return [f"L{number:04d}" for number in range(1, len(PANEL) + 1)]


def demo_listeners(seed: int) -> dict[str, dict[str, Any]]:
    """Content of listeners.json: levels in dB HL in steps of 5 dB, as audiometers give them."""
    listeners = {}
    for identity, standard in zip(listener_ids(), PANEL, strict=True):
        rng = item_rng(seed, identity)
        ears = []
        for _ in range(2):
            deviation = 5 * (rng.integers(-1, 2) + rng.choice([-1, 0, 0, 0, 1], len(FREQUENCIES)))
            ears.append(np.array(STANDARD_AUDIOGRAMS[standard]) + deviation)
        listeners[identity] = _entry(identity, *ears)
    return listeners


def music_listeners(split: str, seed: int) -> dict[str, dict[str, Any]]:
    """Content of listeners.{split}.json: levels in dB HL in steps of 5 dB; the two ears differ."""
    listeners = {}
    for identity, standard in MUSIC_PANEL[split].items():
        rng = item_rng(seed, identity)
        better = np.array(STANDARD_AUDIOGRAMS[standard]) + 5 * rng.choice([-1, 0, 0, 0, 1], len(FREQUENCIES))
        worse = better + 5 * rng.choice([0, 1, 1, 2], len(FREQUENCIES))
        worse[0] = better[0] + 5  # at one frequency they always differ
        ears = [better, worse] if rng.random() < 0.5 else [worse, better]
        listeners[identity] = _entry(identity, *ears)
    return listeners


def _entry(identity: str, left: NDArray[np.integer], right: NDArray[np.integer]) -> dict[str, Any]:
    """A listener as an entry of listeners.json, with levels from 0 to HIGHEST_LEVEL."""
    left, right = (np.clip(levels, 0, HIGHEST_LEVEL) for levels in (left, right))
    return {
        "name": identity,
        FREQUENCIES_FIELD: list(FREQUENCIES),
        LEVELS_FIELDS["left"]: left.tolist(),
        LEVELS_FIELDS["right"]: right.tolist(),
    }


def scene_listeners(scenes: list[str]) -> dict[str, list[str]]:
    """Content of scenes_listeners.{split}.json: each scene's listeners, in turn so that all hear equally many."""
    identities = listener_ids()
    return {
        scene: [identities[(LISTENERS_PER_SCENE * index + k) % len(identities)] for k in range(LISTENERS_PER_SCENE)]
        for index, scene in enumerate(scenes)
    }
