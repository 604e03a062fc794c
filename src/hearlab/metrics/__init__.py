"""The metrics: how well a processed signal would be understood or liked by a listener."""

import hearlab.kernels.numba_start  # noqa: F401 - the first of all
from hearlab.metrics.haaqi import HaaqiResult, haaqi, haaqi_stem
from hearlab.metrics.haspi import HaspiResult, haspi, haspi_better_ear
from hearlab.metrics.hasqi import HasqiResult, hasqi, hasqi_better_ear
from hearlab.metrics.seeds import unit_seed
from hearlab.metrics.speech import BetterEarResult, BinauralReference, SpeechReference

__all__ = [
    "BetterEarResult",
    "BinauralReference",
    "HaaqiResult",
    "HaspiResult",
    "HasqiResult",
    "SpeechReference",
    "haaqi",
    "haaqi_stem",
    "haspi",
    "haspi_better_ear",
    "hasqi",
    "hasqi_better_ear",
    "unit_seed",
]
