"""Differences between the results of both implementations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Values = Mapping[str, np.ndarray]

# What README.md promises.
METRIC_TOLERANCE = 1e-6  # of scores and features
FITTING_TOLERANCE = 1e-9  # of samples, relative to the peak where that is above 1
RENDERING_TOLERANCE = 1.0  # steps of 16 bits


def metric_difference(ours: Values, theirs: Values) -> float:
    """Largest absolute difference of scores (and features, where both implementations return them)."""
    return max(_largest(ours[name], theirs[name]) for name in theirs)


def score_difference(ours: Values, theirs: Values) -> float:
    """Absolute difference of scores alone."""
    return _largest(ours["score"], theirs["score"])


def fitting_difference(ours: Values, theirs: Values) -> float:
    """Largest difference of samples or coefficients, relative to the peak where that is above 1."""
    return max(_largest(ours[name], theirs[name]) / max(1.0, float(np.max(np.abs(theirs[name])))) for name in theirs)


def rendering_difference(ours: Values, theirs: Values) -> float:
    """Largest difference of all files in steps of 16 bits; the head's direction (floats) in steps of 1 / 32768."""
    if set(ours) != set(theirs):
        return float("inf")
    return max(_largest(ours[name], theirs[name]) * (32768 if theirs[name].dtype.kind == "f" else 1) for name in theirs)


def differing_share(ours: Values, theirs: Values) -> float:
    """Share of the 16-bit samples of a rendered scene that differ."""
    pairs = [(ours[name], theirs[name]) for name in theirs if theirs[name].dtype.kind == "i"]
    return sum(int(np.sum(one != other)) for one, other in pairs) / max(sum(one.size for one, _ in pairs), 1)


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape:
        return float("inf")
    if one.size == 0:
        return 0.0
    difference = np.max(np.abs(one - other))
    return float("inf") if np.isnan(difference) else float(difference)
