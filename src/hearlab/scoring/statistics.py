"""Means of scores and paired differences between two systems, clustered by scene or song.

Scores of one scene with several listeners share its speech, noise and room: on the published CEC2 scores two listeners
of one scene correlate with 0.7 to 0.9, and a standard error that ignores it is a third too small. So the scene (or
song) is what is counted, and every function takes the cluster of each score.

Coverage of the 95 % interval, 20,000 draws of scenes from the published CEC2 development scores (skewed, between 0 and
1) and from made distributions; in brackets the t interval without the correction for skewness:

    clusters                              4            6            12           25           50
    CEC2 baseline - unprocessed     .885 (.851)  .924 (.883)  .942 (.910)  .955 (.930)  .954 (.941)
    CEC2 baseline, HASPI            .913 (.876)  .950 (.908)  .967 (.930)  .965 (.939)  .961 (.946)
    CEC2 unprocessed, HASPI         .888 (.845)  .929 (.880)  .961 (.911)  .961 (.930)  .960 (.943)
    beta(0.3, 1.5)                  .883 (.823)  .919 (.853)  .952 (.896)  .964 (.929)  .961 (.939)
    normal                          .951 (.949)  .949 (.950)  .948 (.950)  .951 (.950)  .951 (.951)
    Laplace                         .964 (.966)  .951 (.962)  .933 (.956)  .931 (.954)  .937 (.950)

With less than about ten clusters an interval is a rough guide; with less than `CLUSTERS_NEEDED` no test can reach
p < 0.05.

Sources:
    R. M. Bell, D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage samples",
        Survey Methodology 28 (2002): the standard error (CR2) and its degrees of freedom (Satterthwaite).
    G. W. Imbens, M. Kolesar, "Robust standard errors in small samples: some practical advice", Review of Economics and
        Statistics 98 (2016): the same with an exchangeable working correlation inside the clusters.
    N. J. Johnson, "Modified t tests and confidence intervals for asymmetrical populations", JASA 73 (1978), and
        P. Hall, "On the removal of skewness by transformation", J. R. Statist. Soc. B 54 (1992): the correction.
    I. A. Canay, J. P. Romano, A. M. Shaikh, "Randomization tests under an approximate symmetry assumption",
        Econometrica 85 (2017): sign flips of whole clusters, valid with few of them.
    B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9 (2010).
    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearlab.errors import InputError

LEVEL = 0.95
POWER = 0.8
CLUSTERS_NEEDED = 6  # the smallest p of n sign flips is 2 / 2**n: 0.0625 for 5, 0.03125 for 6
# Up to this many clusters every sign pattern is tried (2**19 sums); with more, a fixed sample of them.
EXACT_CLUSTERS = 20
FLIPS = 9999
FLIP_SEED = 20160  # any constant: the same scores give the same p
# Below this share of the largest score a spread is the rounding of sums, not a spread.
ROUNDING = 1e-13

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over units and its confidence interval over clusters.

    Attributes:
        mean: over all units, each counted once (as the challenges average).
        units: number of values.
        clusters: number of scenes or songs.
        standard_error: of the mean (CR2); None with a single cluster.
        dof: degrees of freedom (Satterthwaite), clusters - 1 for clusters of one size; None with a single cluster.
        low, high: ends of the interval; None with a single cluster, because nothing is known of the next one.
        level: of the interval.
    """

    mean: float
    units: int
    clusters: int
    standard_error: float | None
    dof: float | None
    low: float | None
    high: float | None
    level: float


@dataclass(frozen=True)
class SignFlipTest:
    """A two-sided paired permutation test.

    Attributes:
        p: chance of a mean difference at least this far from 0, if A and B were exchangeable in every cluster.
        exact: every sign pattern was tried; else a seeded sample of `FLIPS`.
        smallest: the smallest p that this number of clusters could give.
    """

    p: float
    exact: bool
    smallest: float


@dataclass(frozen=True)
class PairedDifference:
    """Two systems on the same units; the difference is second - first, positive where the second is better.

    Attributes:
        detectable: true difference that these clusters would show (p < 1 - level) with a chance of `POWER`; None with a
            single cluster.
    """

    first: ClusteredMean
    second: ClusteredMean
    difference: ClusteredMean
    test: SignFlipTest
    detectable: float | None


def clustered_mean(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    level: float = LEVEL,
    bounds: tuple[float, float] | None = None,
    correct_skewness: bool = True,
) -> ClusteredMean:
    """Mean of `values` with a confidence interval that is clustered.

    Cluster g with n_g of n values has the residual sum s_g. Its variance estimate is the sum of k_g s_g^2 over n^2;
    k_g makes it unbiased under a working model in which values of one cluster correlate with rho (estimated by analysis
    of variance); for clusters of one size k_g is G / (G - 1), whatever rho is. The t statistic is transformed by Hall's
    cubic with the estimate's skewness, sum s_g^3 / (sum k_g s_g^2)^1.5, before quantiles of t are taken.

    Args:
        values: shape (n,).
        clusters: shape (n,), the scene or song of each value (any type that sorts).
        level: of the interval.
        bounds: the least and the greatest possible mean; the interval is cut there.
        correct_skewness: without it, the plain cluster-robust t interval.

    Raises:
        InputError: no values, shapes differ, or a value is not finite; `level` is not between 0 and 1.

    Examples:
        >>> found = clustered_mean([0.2, 0.3, 0.5, 0.6, 0.1, 0.2], ["S1", "S1", "S2", "S2", "S3", "S3"])
        >>> round(found.mean, 4), found.clusters, found.units
        (0.3167, 3, 6)
    """
    numbers, index, count = _checked(values, clusters)
    _check_level("level", level)
    mean = float(np.mean(numbers))
    if count < 2:
        return ClusteredMean(mean, numbers.size, count, None, None, None, None, level)
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    sums = np.bincount(index, numbers - mean, minlength=count)
    weights, dof = _working_model(sizes, _intraclass_correlation(numbers, index, sizes))
    squares = float(np.sum(weights * sums**2))
    error = math.sqrt(squares) / numbers.size
    if error <= ROUNDING * float(np.max(np.abs(numbers))):
        error, skewness = 0.0, 0.0
    else:
        skewness = float(np.sum(sums**3)) / squares**1.5 if correct_skewness else 0.0
    quantile = float(_special().stdtrit(dof, 0.5 + level / 2))
    low = mean - _from_symmetric(quantile, skewness) * error
    high = mean - _from_symmetric(-quantile, skewness) * error
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return ClusteredMean(mean, numbers.size, count, error, dof, low, high, level)


def paired_difference(
    first: ArrayLike, second: ArrayLike, clusters: ArrayLike, *, level: float = LEVEL
) -> PairedDifference:
    """Compare two systems on the same units; scores lie between 0 and 1.

    Args:
        first, second: shape (n,), scores of the two systems, unit by unit.
        clusters: shape (n,), the scene or song of each unit.
        level: of the intervals.

    Raises:
        InputError: as `clustered_mean`.

    Examples:
        >>> before, after = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.3, 0.5, 0.5, 0.6, 0.8]
        >>> found = paired_difference(before, after, ["S1", "S2", "S3", "S4", "S5", "S6"])
        >>> round(found.difference.mean, 4), found.test.p
        (0.1333, 0.03125)
    """
    one, two = (np.asarray(scores, dtype=np.float64) for scores in (first, second))
    if one.shape != two.shape:
        raise InputError("scores", "of the two systems differ in number", found=f"{one.shape} and {two.shape}")
    means = [clustered_mean(scores, clusters, level=level, bounds=(0.0, 1.0)) for scores in (one, two)]
    difference = clustered_mean(two - one, clusters, level=level, bounds=(-1.0, 1.0))
    detectable = None
    if difference.standard_error is not None and difference.dof is not None:
        detectable = detectable_difference(difference.standard_error, difference.dof, level=level)
    return PairedDifference(means[0], means[1], difference, sign_flip_test(two - one, clusters), detectable)


def sign_flip_test(differences: ArrayLike, clusters: ArrayLike) -> SignFlipTest:
    """Test that the mean of paired `differences` is 0 by flipping the signs of whole clusters.

    The mean orders sign patterns as the t statistic does, because flips leave the sum of squares as it is. Patterns
    that tie with the observed one count as extreme. Clusters whose differences sum to 0 take no part: their flips
    change nothing.

    Args:
        differences: shape (n,).
        clusters: shape (n,).

    Raises:
        InputError: as `clustered_mean`.

    Examples:
        >>> sign_flip_test([0.1, 0.2, 0.1], ["S1", "S2", "S3"]).p
        0.25
    """
    numbers, index, count = _checked(differences, clusters)
    totals: Floats = np.bincount(index, numbers, minlength=count).astype(np.float64)
    rounding = ROUNDING * float(np.sum(np.abs(numbers)))
    totals = totals[np.abs(totals) > rounding]
    if totals.size == 0:
        return SignFlipTest(1.0, True, 1.0)
    extreme = abs(float(np.sum(totals))) - rounding
    if totals.size <= EXACT_CLUSTERS:
        sums = totals[:1]  # the mirrored half of the patterns gives the mirrored sums
        for total in totals[1:]:
            sums = np.concatenate([sums + total, sums - total])
        return SignFlipTest(float(np.mean(np.abs(sums) >= extreme)), True, 1.0 / sums.size)
    sums = _random_flips(totals)
    return SignFlipTest((1 + int(np.sum(np.abs(sums) >= extreme))) / (1 + FLIPS), False, 1 / (1 + FLIPS))


def detectable_difference(standard_error: float, dof: float, *, level: float = LEVEL, power: float = POWER) -> float:
    """Smallest true difference whose interval leaves out 0, on its own side, with a chance of `power`.

    From the noncentral t distribution; `standard_error` and `dof` as in `ClusteredMean`.

    Raises:
        InputError: `level` or `power` is not between 0 and 1.

    Examples:
        >>> round(detectable_difference(0.02, dof=11), 3)
        0.062
    """
    _check_level("level", level)
    _check_level("power", power)
    quantile = _special().stdtrit(dof, 0.5 + level / 2)
    return float(_special().nctdtrinc(dof, 1 - power, quantile)) * standard_error


def rerun_sd(scores: ArrayLike) -> float:
    """Standard deviation of one unit's score when it is scored again with other random numbers.

    HASPI and HAAQI add random numbers to the signals in the ear; a fixed seed hides that spread but does not remove it.

    Args:
        scores: shape (runs, units), the same signals scored with different seeds.

    Returns:
        The standard deviation over runs, pooled over units.

    Raises:
        InputError: less than two runs, no units, or a score that is not finite.

    Examples:
        >>> round(rerun_sd([[0.30, 0.50], [0.32, 0.50], [0.31, 0.50]]), 4)
        0.0071
    """
    runs = np.asarray(scores, dtype=np.float64)
    if runs.ndim != 2 or runs.shape[0] < 2 or runs.shape[1] < 1 or not np.all(np.isfinite(runs)):
        raise InputError("scores", "of reruns are not usable", found=f"shape {runs.shape}", wanted="(runs >= 2, units)")
    return float(np.sqrt(np.mean(np.var(runs, axis=0, ddof=1))))


def noise_floor(sd: float, clusters: ArrayLike, *, level: float = LEVEL) -> float:
    """Mean difference that rescoring alone stays below with a chance of `level`.

    Both systems carry the metric's noise. Units of one cluster share their seed, so their noise is taken as common (it
    correlates with up to 0.9 between listeners of one scene): the floor is on the safe side.

    Args:
        sd: of one unit's score between reruns, as `rerun_sd` gives it.
        clusters: shape (n,), the scene or song of each unit.

    Raises:
        InputError: `sd` is negative or not finite, no units, or a wrong `level`.

    Examples:
        >>> round(noise_floor(0.01, ["S1", "S1", "S2", "S2"]), 4)
        0.0196
    """
    _check_level("level", level)
    if not (math.isfinite(sd) and sd >= 0):
        raise InputError("sd", "is no standard deviation", found=sd, wanted="a number of at least 0")
    _, sizes = np.unique(np.asarray(clusters), return_counts=True)
    if sizes.size == 0:
        raise InputError("clusters", "are empty", wanted="at least one unit")
    spread = sd * math.sqrt(float(np.sum(sizes.astype(np.float64) ** 2))) / int(np.sum(sizes))
    return float(_special().ndtri(0.5 + level / 2)) * math.sqrt(2) * spread


def holm(p_values: ArrayLike) -> Floats:
    """p values adjusted for their number (Holm): the chance of any false finding among them stays below the limit.

    Args:
        p_values: shape (n,); n may be 0.

    Examples:
        >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if values.size else steps
    return adjusted


def _checked(values: ArrayLike, clusters: ArrayLike) -> tuple[Floats, NDArray[np.intp], int]:
    """The values, the number of each one's cluster, and how many clusters there are."""
    numbers = np.asarray(values, dtype=np.float64)
    names = np.asarray(clusters)
    if numbers.ndim != 1 or numbers.size == 0:
        raise InputError("values", "must be a list of numbers", found=f"shape {numbers.shape}", wanted="shape (n,)")
    if names.shape != numbers.shape:
        raise InputError("clusters", "must name the cluster of each value", found=f"{names.shape}, {numbers.shape}")
    if not np.all(np.isfinite(numbers)):
        place = int(np.argmin(np.isfinite(numbers)))
        raise InputError("values", "must be finite", field=str(place), found=numbers[place])
    unique, index = np.unique(names, return_inverse=True)
    return numbers, index, unique.size


def _check_level(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(name, "must lie between 0 and 1", found=value)


def _intraclass_correlation(values: Floats, index: NDArray[np.intp], sizes: Floats) -> float:
    """Correlation of two values of one cluster, by one-way analysis of variance, cut to 0 to 1."""
    total, count = values.size, sizes.size
    if total == count:
        return 0.0  # single values: it has no effect
    means = np.bincount(index, values, minlength=count) / sizes
    between = float(np.sum(sizes * (means - np.mean(values)) ** 2)) / (count - 1)
    within = float(np.sum((values - means[index]) ** 2)) / (total - count)
    size = (total - float(np.sum(sizes**2)) / total) / (count - 1)
    spread = between + (size - 1) * within
    return min(max((between - within) / spread, 0.0), 1.0) if spread > 0 else 0.0


def _working_model(sizes: Floats, rho: float) -> tuple[Floats, float]:
    """Weights k_g of the squared residual sums, and Satterthwaite's degrees of freedom, for correlation `rho`.

    With f_g = n_g / n and v_g the model's variance of a cluster's total (in units of one value's), a residual sum has
    the variance v_g (1 - 2 f_g) + f_g^2 sum(v), and two of them the covariance -f_h v_g - f_g v_h + f_g f_h sum(v).
    The squared Frobenius norm of that matrix, weighted, is written out so that no matrix of all clusters is made.
    """
    shares = sizes / np.sum(sizes)
    variances = sizes * (1 - rho) + sizes**2 * rho
    whole = float(np.sum(variances))
    residual = variances * (1 - 2 * shares) + shares**2 * whole
    weights = variances / residual
    p, q = np.sqrt(weights) * shares, np.sqrt(weights) * variances
    diagonal = weights * variances
    pp, qq, pq = float(p @ p), float(q @ q), float(p @ q)
    rest = whole * p**2 - 2 * p * q  # the diagonal of what the covariances add
    norm = float(np.sum(diagonal**2 + 2 * diagonal * rest)) + 2 * (pp * qq + pq**2) + (whole * pp) ** 2
    norm -= 4 * whole * pp * pq
    return weights, float(np.sum(diagonal + rest)) ** 2 / norm


def _from_symmetric(value: float, skewness: float) -> float:
    """Inverse of Hall's transformation T + aT^2 + a^2 T^3 / 3 + a / 2 with a = skewness / 3."""
    a = skewness / 3
    shifted = value - a / 2
    if abs(a) < 1e-4:
        return shifted - a * shifted**2  # the cube root would cancel; the next term is below 1e-7
    return float(np.cbrt(1 + 3 * a * shifted) - 1) / a


def _random_flips(totals: Floats) -> Floats:
    """Sums of `totals` with `FLIPS` random sign patterns, eight clusters to a byte."""
    groups = -(-totals.size // 8)
    padded = np.zeros((groups, 8))
    padded.flat[: totals.size] = totals
    signs = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    table = (padded @ signs.T).ravel()
    random = np.random.Generator(np.random.PCG64(FLIP_SEED))
    sums = np.zeros(FLIPS)
    for group in range(groups):
        pattern = np.frombuffer(random.bytes(FLIPS), dtype=np.uint8)
        sums += table[256 * group : 256 * (group + 1)][pattern]
    return sums


def _special() -> Any:
    """scipy.special, which takes a fifth of a second to import: who only reads scores does without."""
    import scipy.special

    return scipy.special
