"""Clustered means and paired tests: agreement with scipy, and coverage by simulation."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
from numpy.typing import NDArray

from hearlab.audio import read_audio
from hearlab.errors import InputError
from hearlab.listeners import load_listeners
from hearlab.metrics import haspi_better_ear
from hearlab.scoring import statistics
from hearlab.scoring.statistics import (
    ClusteredMean,
    clustered_mean,
    detectable_difference,
    holm,
    noise_floor,
    paired_difference,
    rerun_sd,
    sign_flip_test,
)
from hearlab.scoring.tracks import METRICS
from hearlab.stages.score_speech import scene_reference
from reference_material import REFERENCE

ROUNDING = 1e-12
# The sample of sign patterns has 9,999: three standard deviations of a p near 0.5 are 0.015.
SAMPLED = 0.015
# scipy's noncentral t is good to about seven digits.
NONCENTRAL = 1e-6
COVERED = (0.93, 0.97)

Floats = NDArray[np.float64]


def scores(seed: int, count: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    first = random.beta(0.5, 1.5, count)
    return first, np.clip(first + random.normal(0.02, 0.1, count), 0, 1)


# -- agreement with scipy where every cluster is one value ---------------------------------------------------------


def test_single_values_give_the_ordinary_standard_error_and_t_interval() -> None:
    values, _ = scores(1, 40)
    found = clustered_mean(values, np.arange(40), correct_skewness=False)
    assert found.standard_error == pytest.approx(scipy.stats.sem(values), rel=ROUNDING)
    assert found.dof == pytest.approx(39, rel=ROUNDING)
    wanted = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), rel=ROUNDING)


def test_without_skewness_there_is_nothing_to_correct() -> None:
    half, _ = scores(2, 20)
    values = np.concatenate([half, 1 - half])  # symmetric about 0.5
    found = clustered_mean(values, np.arange(40))
    wanted = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), rel=1e-9)


def test_paired_difference_of_single_values_is_the_paired_t_test() -> None:
    first, second = scores(3, 30)
    found = paired_difference(first, second, np.arange(30))
    assert found.difference.mean == pytest.approx(np.mean(second) - np.mean(first), rel=ROUNDING)
    plain = clustered_mean(second - first, np.arange(30), correct_skewness=False)
    wanted = scipy.stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (plain.low, plain.high) == pytest.approx(tuple(wanted), rel=ROUNDING)
    assert found.difference.standard_error == plain.standard_error


def test_clusters_of_one_size_are_as_good_as_their_means() -> None:
    values, _ = scores(4, 60)
    found = clustered_mean(values, np.repeat(np.arange(20), 3), correct_skewness=False)
    means = values.reshape(20, 3).mean(axis=1)
    assert found.standard_error == pytest.approx(scipy.stats.sem(means), rel=ROUNDING)
    wanted = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), rel=ROUNDING)


# -- unequal clusters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[3] * 7, [1, 2, 3, 4, 9], [5, 1, 1], [1] * 6])
@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_weights_and_degrees_of_freedom_are_those_of_the_matrices(sizes: list[int], rho: float) -> None:
    count, total = len(sizes), sum(sizes)
    member = np.repeat(np.eye(count), sizes, axis=1)  # clusters x values
    model = (1 - rho) * np.eye(total) + rho * member.T @ member
    residual = member @ (np.eye(total) - np.ones((total, total)) / total)
    covariance = residual @ model @ residual.T
    wanted = np.diag(member @ model @ member.T) / np.diag(covariance)  # unbiased: E k_g s_g^2 = variance of a total
    scaled = np.sqrt(np.outer(wanted, wanted)) * covariance
    weights, dof = statistics._working_model(np.array(sizes, dtype=float), rho)
    assert weights == pytest.approx(wanted, rel=1e-9)
    assert dof == pytest.approx(np.trace(scaled) ** 2 / np.sum(scaled**2), rel=1e-9)


def test_the_correlation_inside_clusters_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(5)
    values = np.repeat(random.normal(size=50), 4) + random.normal(size=200)
    index = np.repeat(np.arange(50), 4)
    ratio = scipy.stats.f_oneway(*values.reshape(50, 4)).statistic
    found = statistics._intraclass_correlation(values, index, np.full(50, 4.0))
    assert found == pytest.approx((ratio - 1) / (ratio + 3), rel=1e-9)


def test_the_mean_counts_units_not_clusters() -> None:
    found = clustered_mean([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"])
    assert found.mean == 0.75
    assert (found.units, found.clusters) == (4, 2)


@pytest.mark.parametrize("skewness", [-0.9, -0.2, -1e-3, -1e-5, 0.0, 1e-5, 1e-3, 0.2, 0.9])
def test_the_transformation_is_inverted(skewness: float) -> None:
    a = skewness / 3
    for value in (-4.0, -1.0, 0.0, 0.5, 3.0):
        original = statistics._from_symmetric(value, skewness)
        assert original + a * original**2 + a**2 * original**3 / 3 + a / 2 == pytest.approx(value, abs=1e-7)


def test_the_interval_of_skewed_scores_leans_to_their_long_side() -> None:
    values = np.array([0.0] * 9 + [0.1, 0.4, 0.9])
    found = clustered_mean(values, np.arange(12))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.mean > 1.5 * (found.mean - found.low)
    assert clustered_mean(values, np.arange(12), bounds=(0.1, 0.2)).high == 0.2


# -- coverage ------------------------------------------------------------------------------------------------------


def made_scores(random: np.random.Generator, sizes: NDArray[np.int_]) -> tuple[Floats, Floats, NDArray[np.int_]]:
    """Two systems' scores: bounded, skewed, listeners of a scene alike, gains that differ from scene to scene."""
    scene = np.repeat(np.arange(sizes.size), sizes)
    ease, gain = random.normal(size=sizes.size), random.normal(0.5, 0.8, sizes.size)
    heard = -2 + 1.5 * ease[scene] + random.normal(0, 0.6, scene.size)
    other = heard + gain[scene] + random.normal(0, 0.3, scene.size)
    return scipy.special.expit(heard), scipy.special.expit(other), scene


@functools.cache
def true_means() -> tuple[float, float]:
    """What the intervals should cover: the second system's mean score and the mean difference."""
    first, second, _ = made_scores(np.random.default_rng(0), np.ones(2_000_000, dtype=int))
    return float(np.mean(second)), float(np.mean(second - first))


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "runs"), [(12, 2000), (50, 1000), (2500, 300)])
@pytest.mark.parametrize("sizes", [[1], [3], [1, 3, 5, 2, 4]], ids=["one", "three", "uneven"])
def test_coverage_of_the_interval(clusters: int, runs: int, sizes: list[int]) -> None:
    random = np.random.default_rng(1000 * clusters + len(sizes) + sizes[0])
    covered = np.zeros(2)
    for _ in range(runs):
        first, second, scene = made_scores(random, np.resize(sizes, clusters))
        intervals = clustered_mean(second, scene), clustered_mean(second - first, scene)
        covered += [inside(found, truth) for found, truth in zip(intervals, true_means(), strict=True)]
    assert np.all(covered / runs >= COVERED[0]), covered / runs
    assert np.all(covered / runs <= COVERED[1]), covered / runs


def inside(found: ClusteredMean, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


def published(name: str) -> Floats:
    """Published HASPI, shape (scenes, listeners)."""
    path = REFERENCE / "published" / f"cec2_{name}_haspi.csv"
    if not path.is_file():
        pytest.skip(f"no reference material: {path} does not exist (set HEARLAB_REFERENCE to its folder)")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([float(row["haspi"]) for row in rows]).reshape(-1, 3)


def test_coverage_on_scenes_drawn_from_the_published_scores() -> None:
    before, after = published("unprocessed"), published("baseline")
    random = np.random.default_rng(12)
    scene = np.repeat(np.arange(12), 3)
    plain, corrected, runs = 0, 0, 2000
    truth = np.mean(after - before)
    for _ in range(runs):
        drawn = random.integers(len(before), size=12)
        differences = (after[drawn] - before[drawn]).ravel()
        corrected += inside(clustered_mean(differences, scene), truth)
        plain += inside(clustered_mean(differences, scene, correct_skewness=False), truth)
    assert COVERED[0] <= corrected / runs <= COVERED[1]
    assert plain / runs < COVERED[0]  # the reason for the correction


def test_a_standard_error_that_ignores_scenes_is_too_small() -> None:
    differences = published("baseline") - published("unprocessed")
    clustered = clustered_mean(differences.ravel(), np.repeat(np.arange(2500), 3))
    assert clustered.mean == pytest.approx(0.0877, abs=5e-5)
    assert clustered.standard_error == pytest.approx(scipy.stats.sem(differences.mean(axis=1)), rel=1e-9)
    assert clustered.standard_error > 1.4 * scipy.stats.sem(differences.ravel())


# -- the permutation test ------------------------------------------------------------------------------------------


def mean_of(values: Floats, axis: int) -> Floats:
    return np.mean(values, axis=axis)


def test_exact_sign_flips_agree_with_scipy() -> None:
    first, second = scores(6, 11)
    wanted = scipy.stats.permutation_test(
        (second - first,), mean_of, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    found = sign_flip_test(second - first, np.arange(11))
    assert found.exact
    assert found.p == pytest.approx(wanted.pvalue, rel=ROUNDING)
    assert found.smallest == 2 / 2**11


def test_clusters_flip_as_one() -> None:
    first, second = scores(7, 33)
    sums = (second - first).reshape(11, 3).sum(axis=1)
    found = sign_flip_test(second - first, np.repeat(np.arange(11), 3))
    assert found == sign_flip_test(sums, np.arange(11))


@pytest.mark.slow
def test_sampled_sign_flips_agree_with_scipy() -> None:
    first, second = scores(8, 60)
    differences = second - first - 0.015
    wanted = scipy.stats.permutation_test(
        (differences,), mean_of, permutation_type="samples", n_resamples=99999, vectorized=True, rng=1
    )
    found = sign_flip_test(differences, np.arange(60))
    assert not found.exact
    assert 0.05 < wanted.pvalue < 0.9  # a p that both can tell
    assert found.p == pytest.approx(wanted.pvalue, abs=SAMPLED)


def test_sampled_and_exact_sign_flips_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scores(9, 20)
    exact = sign_flip_test(second - first, np.arange(20))
    monkeypatch.setattr(statistics, "EXACT_CLUSTERS", 5)
    assert sign_flip_test(second - first, np.arange(20)).p == pytest.approx(exact.p, abs=SAMPLED)


def test_the_order_of_units_changes_nothing() -> None:
    first, second = scores(10, 90)
    names = np.array([f"S{k // 3}" for k in range(90)])
    order = np.random.default_rng(1).permutation(90)
    one, two = (sign_flip_test((second - first)[own], names[own]) for own in (np.arange(90), order))
    assert one == two


def test_the_test_rejects_as_often_as_it_says() -> None:
    random = np.random.default_rng(11)
    runs, rejected = 1000, 0
    for _ in range(runs):
        scene = random.normal(size=10)
        differences = np.repeat(scene, 3) + random.normal(size=30)
        rejected += sign_flip_test(differences, np.repeat(np.arange(10), 3)).p < 0.05
    assert 0.03 < rejected / runs < 0.07  # three standard deviations: 0.02


def test_ties_count_as_extreme() -> None:
    # All patterns of equal differences: 2 of 8 are as far out as 3; with one of opposite sign 8 of 8 reach 1.
    assert sign_flip_test([0.1, 0.1, 0.1], [1, 2, 3]).p == 0.25
    assert sign_flip_test([0.1, 0.1, -0.1], [1, 2, 3]).p == 1.0
    assert sign_flip_test([0.3, -0.1, -0.2], [1, 1, 1]).p == 1.0  # sums to 0 up to rounding


def test_no_difference_at_all() -> None:
    values = [0.1, 0.2, 0.7, 0.7]
    found = paired_difference(values, values, [1, 1, 2, 3])
    assert found.difference.mean == 0
    assert (found.difference.low, found.difference.high) == (0, 0)
    assert found.test.p == 1
    assert found.detectable == 0


def test_the_same_difference_everywhere_has_no_spread() -> None:
    found = clustered_mean([0.1 + 0.2] * 30, np.repeat(np.arange(10), 3))
    assert found.standard_error == 0
    assert found.low == found.high == pytest.approx(0.3)


def test_one_cluster_tells_nothing_of_the_next() -> None:
    found = paired_difference([0.1, 0.2], [0.3, 0.6], ["S1", "S1"])
    assert found.difference.mean == pytest.approx(0.3)
    assert found.difference.low is None
    assert found.difference.high is None
    assert found.difference.standard_error is None
    assert found.detectable is None
    assert found.test.p == found.test.smallest == 1.0


@pytest.mark.parametrize("clusters", range(2, 13))
def test_few_clusters_give_an_interval(clusters: int) -> None:
    first, second = scores(20 + clusters, 3 * clusters)
    found = paired_difference(first, second, np.repeat(np.arange(clusters), 3))
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < found.difference.mean < found.difference.high
    assert found.difference.dof == pytest.approx(clusters - 1, rel=1e-9)
    assert found.test.smallest == 2 / 2**clusters


def test_least_number_of_clusters() -> None:
    needed = statistics.CLUSTERS_NEEDED
    assert sign_flip_test(np.ones(needed), np.arange(needed)).p < 0.05
    assert sign_flip_test(np.ones(needed - 1), np.arange(needed - 1)).p > 0.05


# -- power, noise, many tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dof", [1, 5.5, 11, 2499])
def test_detectable_difference_has_its_power(dof: float) -> None:
    found = detectable_difference(0.02, dof)
    limit = scipy.stats.t.ppf(0.975, dof)
    assert scipy.stats.nct.sf(limit, dof, found / 0.02) == pytest.approx(0.8, abs=NONCENTRAL)


def test_detectable_difference_by_simulation() -> None:
    random = np.random.default_rng(13)
    found = detectable_difference(1 / np.sqrt(12), 11)
    values = random.normal(found, 1, (20000, 12))
    significant = scipy.stats.ttest_1samp(values, 0, axis=1)
    power = np.mean((significant.pvalue < 0.05) & (significant.statistic > 0))
    assert power == pytest.approx(0.8, abs=0.01)  # three standard deviations: 0.0085


def test_rerun_spread_and_noise_floor() -> None:
    random = np.random.default_rng(14)
    sizes = np.array([1, 2, 3, 6])
    clusters = np.repeat(np.arange(4), sizes)
    runs = 0.5 + 0.01 * random.normal(size=(4000, 4))[:, clusters]  # one seed for a scene
    assert rerun_sd(runs) == pytest.approx(0.01, rel=0.03)
    means = runs.mean(axis=1)
    below = np.mean(np.abs(means[:2000] - means[2000:]) < noise_floor(0.01, clusters))
    assert below == pytest.approx(0.95, abs=0.015)  # three standard deviations
    assert noise_floor(0.0, clusters) == 0


def test_the_stated_spread_of_haspi(golden: Path, real_data: Path) -> None:
    folder = golden / "render"
    files = (folder / "S06001_target_anechoic_CH1.flac", folder / "S06001_target_CH1.flac")
    reference = scene_reference(*files)
    listener = load_listeners(real_data / "metadata" / "listeners.json")["L0064"]
    signal, _ = read_audio(golden / "S06001_L0064_HA-output.flac")
    runs = [[haspi_better_ear(reference, signal, 44100, listener, rng=seed).score] for seed in range(5)]
    # Spreads of five values are 0.35 to 1.67 times the true one (95 %), which is 1.5 times the average's for this pair.
    assert 0.5 < rerun_sd(runs) / METRICS["haspi"].noise.sd < 2.6


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]).tolist() == [1.0, 1.0]
    assert holm([]).size == 0


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "clusters", "line"),
    [
        ([], [], "values: must be a list of numbers"),
        ([[0.1]], [[1]], "values: must be a list of numbers"),
        ([0.1, 0.2], [1], "clusters: must name the cluster of each value"),
        ([0.1, float("nan")], [1, 2], r"values: 1: must be finite \(found nan\)"),
        ([0.1, float("inf")], [1, 2], r"values: 1: must be finite \(found inf\)"),
    ],
)
def test_bad_values(values: list[float], clusters: list[int], line: str) -> None:
    for function in (clustered_mean, sign_flip_test):
        with pytest.raises(InputError, match=line):
            function(values, clusters)


def test_other_bad_input() -> None:
    with pytest.raises(InputError, match="of the two systems differ in number"):
        paired_difference([0.1, 0.2], [0.1], [1, 2])
    with pytest.raises(InputError, match="level: must lie between 0 and 1"):
        clustered_mean([0.1, 0.2], [1, 2], level=95)
    with pytest.raises(InputError, match="power: must lie between 0 and 1"):
        detectable_difference(0.1, 3, power=80)
    with pytest.raises(InputError, match="of reruns are not usable"):
        rerun_sd([[0.1, 0.2]])
    with pytest.raises(InputError, match="sd: is no standard deviation"):
        noise_floor(-0.1, [1, 2])
    with pytest.raises(InputError, match="clusters: are empty"):
        noise_floor(0.1, [])
