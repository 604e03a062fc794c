"""The demo data set: a small invented world in exactly the challenge's layout, made on the spot from a seed.

Rooms are shoeboxes, heads are spheres, talkers are formant synthesisers; formats, levels and conventions are those of
the CEC2 data, so every stage runs the same code on both. Songs are written by synthesisers from one plan each, in the
layout of the CAD1 data.
"""

from hearlab.datasets.demo.music.songs import make_demo_music
from hearlab.datasets.demo.speech.world import (
    DEMO_HEADS,
    DEV_ROOMS,
    FIRST_LEARNING_ROOM,
    SENTENCES,
    TRAIN_ROOMS,
    make_demo,
    make_learning_room,
)

__all__ = [
    "DEMO_HEADS",
    "DEV_ROOMS",
    "FIRST_LEARNING_ROOM",
    "SENTENCES",
    "TRAIN_ROOMS",
    "make_demo",
    "make_demo_music",
    "make_learning_room",
]
