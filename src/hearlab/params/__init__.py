"""params.yaml as typed, validated values.

The whole file is checked before any work: unknown keys (with the nearest known one), wrong types and values out of
range each give one line. What cannot change a result (workers, addresses) is not in params.yaml.
"""

from hearlab.learners import TRAINED
from hearlab.params.reading import PARAMS_FILE, check_params, flat, load_params, mistakes, validated
from hearlab.params.sections import (
    EVAL,
    PACKAGED_SPLITS,
    PREPARING,
    PUBLISHED_WEIGHTS,
    DataSets,
    Enhance,
    HeadTurn,
    Interferers,
    Params,
    SplitCounts,
    automatic_weights,
)
from hearlab.params.values import Count, Name, Names, Section, Selection, Snr

__all__ = [
    "EVAL",
    "PACKAGED_SPLITS",
    "PARAMS_FILE",
    "PREPARING",
    "PUBLISHED_WEIGHTS",
    "TRAINED",
    "Count",
    "DataSets",
    "Enhance",
    "HeadTurn",
    "Interferers",
    "Name",
    "Names",
    "Params",
    "Section",
    "Selection",
    "Snr",
    "SplitCounts",
    "automatic_weights",
    "check_params",
    "flat",
    "load_params",
    "mistakes",
    "validated",
]
