"""The demo data set: a small invented world in exactly the challenge's layout, made on the spot from a seed.

Rooms are shoeboxes, heads are spheres, talkers are formant synthesisers; formats, levels and conventions are those of
the CEC2 data, so every stage runs the same code on both.
"""

from hearlab.datasets.demo.world import DEMO_HEADS, DEV_ROOMS, TRAIN_ROOMS, make_demo

__all__ = ["DEMO_HEADS", "DEV_ROOMS", "TRAIN_ROOMS", "make_demo"]
