"""A psychometric curve through scores between 0 and 1: how they rise with the SNR, and how sure that is.

L. E. Papke, J. M. Wooldridge, "Econometric methods for fractional response variables", J. Appl. Econometrics 11
    (1996): a logistic mean fitted to fractions by quasi-likelihood, with a variance that trusts the mean alone.
J. G. MacKinnon, H. White, J. Econometrics 29 (1985); K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986): that variance,
    clustered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearlab.errors import InputError
from hearlab.scoring.statistics import LEVEL

CLUSTERS_NEEDED = 4  # two are spent on the curve's own parameters
STEPS, TOLERANCE = 60, 1e-10
ALIKE = 1e-12  # SNRs, and scores, that differ by the rounding of their decimals alone
STEEPEST = 50.0  # per standard deviation of the SNR: a step, of which no slope can be told
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PsychometricCurve:
    """A logistic curve, 1 / (1 + exp(-(intercept + slope * snr))), and its band.

    Attributes:
        snr: in dB, where the curve is told, shape (n,).
        mean, low, high: of the curve there; the band holds the curve at each SNR with the chance `level`.
        slope: per dB.
        threshold: the SNR in dB at which the curve is 0.5.
        clusters: number of scenes.
        level: of the band.
    """

    snr: Floats
    mean: Floats
    low: Floats
    high: Floats
    slope: float
    threshold: float
    clusters: int
    level: float


def psychometric_curve(
    snr: ArrayLike, scores: ArrayLike, clusters: ArrayLike, *, level: float = LEVEL, points: int = 61
) -> PsychometricCurve | None:
    """Fit a logistic curve to scores; None where they cannot tell one.

    The band is by the delta method on the logit scale, from a sandwich variance whose residuals are summed by cluster
    (with the factor G / (G - 2) for G clusters) and quantiles of t with G - 2 degrees of freedom.

    Args:
        snr: in dB, shape (n,).
        scores: between 0 and 1, shape (n,).
        clusters: shape (n,), the scene of each score.
        level: of the band.
        points: at how many SNRs, from the lowest to the highest one, the curve is told.

    Returns:
        None with fewer than four clusters, with a single SNR or score, and where the best curve is a step.

    Raises:
        InputError: shapes differ, or a score is not between 0 and 1.
    """
    x, y = np.asarray(snr, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    names = np.asarray(clusters)
    if x.ndim != 1 or x.shape != y.shape or x.shape != names.shape:
        raise InputError("scores", "and SNRs differ in number", found=f"{x.shape}, {y.shape} and {names.shape}")
    if not (np.all(np.isfinite(x)) and np.all((y >= 0) & (y <= 1))):
        raise InputError("scores", "must lie between 0 and 1, and SNRs be finite")
    unique, index = np.unique(names, return_inverse=True)
    count = unique.size
    if count < CLUSTERS_NEEDED or np.ptp(x) <= ALIKE * (1 + np.abs(x).max()) or np.ptp(y) <= ALIKE:
        return None
    middle, width = float(np.mean(x)), float(np.std(x))
    design = np.stack([np.ones(x.size), (x - middle) / width], axis=1)
    found = _fitted(design, y)
    if found is None:
        return None
    coefficients, bread = found
    residuals = design * (y - _logistic(design @ coefficients))[:, None]
    sums = np.zeros((count, 2))
    np.add.at(sums, index, residuals)
    covariance = bread @ (sums.T @ sums) @ bread * count / (count - 2)
    from scipy.special import stdtrit  # takes a fifth of a second

    quantile = float(stdtrit(count - 2, 0.5 + level / 2))
    told = np.linspace(float(x.min()), float(x.max()), points)
    rows = np.stack([np.ones(points), (told - middle) / width], axis=1)
    logits = rows @ coefficients
    spread = quantile * np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", rows, covariance, rows), 0.0))
    slope = float(coefficients[1]) / width
    threshold = middle - float(coefficients[0]) / slope if slope else float("nan")
    low, high = _logistic(logits - spread), _logistic(logits + spread)
    return PsychometricCurve(told, _logistic(logits), low, high, slope, threshold, count, level)


def _fitted(design: Floats, y: Floats) -> tuple[Floats, Floats] | None:
    """Coefficients by Newton's method with halved steps, and the inverse of the information there."""
    coefficients: Floats = np.zeros(2)
    best = _likelihood(design @ coefficients, y)
    for _ in range(STEPS):
        mean = _logistic(np.asarray(design @ coefficients))
        information = (design * (mean * (1 - mean))[:, None]).T @ design
        try:
            bread = np.asarray(np.linalg.inv(information), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        step = bread @ (design.T @ (y - mean))
        while _likelihood(design @ (coefficients + step), y) < best - TOLERANCE and np.abs(step).max() > TOLERANCE:
            step = step / 2
        coefficients = np.asarray(coefficients + step, dtype=np.float64)
        best = _likelihood(design @ coefficients, y)
        if np.abs(coefficients[1]) > STEEPEST:
            return None
        if np.abs(step).max() < TOLERANCE * 100:
            return coefficients, bread
    return None


def _likelihood(logits: Floats, y: Floats) -> float:
    return float(np.sum(y * logits - np.logaddexp(0, logits)))


def _logistic(logits: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)), dtype=np.float64)
