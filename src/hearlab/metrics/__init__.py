"""The metrics: how well a processed signal would be understood or liked by a listener."""

from hearlab.metrics.haaqi import HaaqiResult, haaqi, haaqi_stem
from hearlab.metrics.haspi import (
    BetterEarResult,
    BinauralReference,
    HaspiReference,
    HaspiResult,
    haspi,
    haspi_better_ear,
)
from hearlab.metrics.seeds import unit_seed

__all__ = [
    "BetterEarResult",
    "BinauralReference",
    "HaaqiResult",
    "HaspiReference",
    "HaspiResult",
    "haaqi",
    "haaqi_stem",
    "haspi",
    "haspi_better_ear",
    "unit_seed",
]
