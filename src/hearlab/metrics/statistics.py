"""Statistics of scores: see `hearlab.scores.statistics`, which this module names.

The code lies outside of this package, because the metrics take more than a second to import, which a comparison of two
tables has no need of, and because a change to it must not make DVC score everything again.
"""

from hearlab.scores.statistics import (
    ClusteredMean,
    PairedDifference,
    SignFlipTest,
    clustered_mean,
    detectable_difference,
    holm,
    noise_floor,
    paired_difference,
    rerun_sd,
    sign_flip_test,
)

__all__ = [
    "ClusteredMean",
    "PairedDifference",
    "SignFlipTest",
    "clustered_mean",
    "detectable_difference",
    "holm",
    "noise_floor",
    "paired_difference",
    "rerun_sd",
    "sign_flip_test",
]
