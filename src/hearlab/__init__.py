"""HearLab: an experiment repository for hearing-aid signal processing."""

import time

BEGAN = time.time_ns()  # no other module of HearLab was loaded before

__version__ = "0.1.0"
