"""Numba, imported without a search for garbage: import this module before others of HearLab that import Numba."""

from __future__ import annotations

from hearlab.kernels.retained_memory import objects_stay

with objects_stay():  # a first score takes a tenth less time
    import numba  # noqa: F401
