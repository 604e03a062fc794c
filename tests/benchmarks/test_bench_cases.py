from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from agreement.cases import LONGEST, METRIC_CASES, RATES, SHORTEST, draw_audiogram, generator, rendering_scene
from agreement.edge_cases import rendering_edges
from agreement.signals import KINDS
from hearlab.datasets.layout import ClarityData
from hearlab.listeners import Audiogram
from inputs import SceneData

COUNT = 30
# The frequencies that both metrics and NAL-R need.
NEEDED = (250, 500, 1000, 2000, 4000, 6000)


@pytest.mark.parametrize("metric", METRIC_CASES)
def test_a_case_depends_on_seed_metric_and_number_alone(metric: str) -> None:
    make = METRIC_CASES[metric]
    one, again, other = (make(7, generator(seed, metric, 7)) for seed in (3, 3, 4))
    assert (one.about, one.arguments) == (again.about, again.arguments)
    for name, signal in one.signals.items():
        np.testing.assert_array_equal(signal, again.signals[name])
    assert one.about != other.about


@pytest.mark.parametrize("metric", METRIC_CASES)
def test_cases_are_sounds_of_the_promised_lengths(metric: str) -> None:
    for number in range(COUNT):
        case = METRIC_CASES[metric](number, generator(0, metric, number))
        rate = case.arguments.get("reference_rate", case.arguments.get("rate"))
        for signal in case.signals.values():
            assert np.all(np.isfinite(signal))
            assert np.any(signal)
        seconds = next(iter(case.signals.values())).size / rate
        assert SHORTEST - 0.01 <= seconds <= LONGEST


@pytest.mark.slow
def test_metric_cases_take_every_rate_and_kind_in_turn() -> None:
    cases = [METRIC_CASES["haspi"](number, generator(0, "haspi", number)) for number in range(24)]
    assert {case.arguments["reference_rate"] for case in cases} == set(RATES)
    assert {case.about.split(",")[0] for case in cases} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_sounds_have_an_rms_of_1(kind: str, rate: int) -> None:
    sound = KINDS[kind](np.random.default_rng(1), rate, rate)
    assert sound.shape == (rate,)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1)


def test_drawn_audiograms_reach_all_needed_frequencies() -> None:
    random = np.random.default_rng(2)
    drawn = [draw_audiogram(random)[1] for _ in range(50)]
    for audiogram in drawn:
        assert np.all(np.isfinite(Audiogram(**audiogram).at(NEEDED)))
    assert len({tuple(audiogram["frequencies"]) for audiogram in drawn}) == 6


@pytest.fixture
def scene() -> SceneData:
    content = {
        "scene": "S06001",
        "dataset": "dev",
        "room": "R06001",
        "target": {"name": "T"},
        "listener": {"rotation": [], "hrir_filename": ["a"]},
    }
    return SceneData("S06001", ClarityData(Path("nowhere")), content, {"name": "R06001"}, [])


def test_drawn_scenes_are_in_order(scene: SceneData) -> None:
    for number in range(COUNT):
        drawn = rendering_scene(number, generator(0, "render", number), scene, [("noise", "n.wav")])
        target, (first, second) = drawn["target"], drawn["listener"]["rotation"]
        assert 0 <= target["time_start"] < target["time_end"] <= drawn["duration"]
        assert 0 <= first["sample"] < second["sample"] <= drawn["duration"]
        assert first["angle"] != second["angle"]
        assert 1 <= len(drawn["interferers"]) <= 3
    assert scene.scene["scene"] == "S06001"


def test_edge_scenes_change_what_they_say(scene: SceneData) -> None:
    edges = dict(rendering_edges(scene, [("noise", "n.wav")]))
    turn = edges["no head turn"]["listener"]["rotation"]
    assert turn[0]["angle"] == turn[1]["angle"]
    assert edges["no interferer"]["interferers"] == []
    assert len({edited["scene"] for edited in edges.values()}) == len(edges)


def test_the_published_environment_has_our_numeric_libraries(benchmarks: Path) -> None:
    ours, theirs = (
        dict(re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE))
        for path in (benchmarks.parent / "constraints.txt", benchmarks / "peer-requirements.txt")
    )
    for name in ("numpy", "scipy", "numba", "llvmlite", "soxr", "soundfile"):
        assert theirs[name] == ours[name]
    assert theirs["pyclarity"] == "0.9.0"
