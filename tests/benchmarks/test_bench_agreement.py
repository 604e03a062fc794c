from __future__ import annotations

import numpy as np
import pytest

from agreement.differences import differing_share, fitting_difference, metric_difference, rendering_difference
from agreement.verdicts import AGREES, DIFFERS, FAILS, PUBLISHED_FAILS, REFUSED, describe, judge, wrong
from implementations.workers import Reply


def test_metric_difference_is_the_largest_of_score_and_features() -> None:
    ours = {"score": np.array(0.5), "features": np.array([0.1, 0.2])}
    theirs = {"score": np.array(0.5 + 1e-9), "features": np.array([0.1, 0.2 - 3e-7])}
    assert metric_difference(ours, theirs) == pytest.approx(3e-7)


@pytest.mark.parametrize("other", [np.array([0.1, np.nan]), np.array([0.1])])
def test_what_cannot_be_compared_is_infinitely_far(other: np.ndarray) -> None:
    assert metric_difference({"features": np.array([0.1, 0.2])}, {"features": other}) == np.inf


def test_fitting_difference_is_relative_to_loud_signals_only() -> None:
    quiet, loud = np.array([0.01, 0.5]), np.array([200.0, 1.0])
    assert fitting_difference({"samples": quiet + 1e-8}, {"samples": quiet}) == pytest.approx(1e-8)
    assert fitting_difference({"samples": loud + 1e-8}, {"samples": loud}) == pytest.approx(5e-11)


def test_rendering_difference_counts_steps_and_files() -> None:
    theirs = {"mix_CH1": np.array([0, 100, -100], dtype=np.int16), "hr": np.array([0.5])}
    ours = {"mix_CH1": np.array([0, 102, -100], dtype=np.int16), "hr": np.array([0.5])}
    assert rendering_difference(ours, theirs) == 2
    assert differing_share(ours, theirs) == pytest.approx(1 / 3)
    assert rendering_difference({"mix_CH1": ours["mix_CH1"]}, theirs) == np.inf
    # The difference of 16-bit numbers may need 17 bits.
    extreme = {"mix_CH1": np.array([32767], dtype=np.int16)}, {"mix_CH1": np.array([-32768], dtype=np.int16)}
    assert rendering_difference(*extreme) == 65535


def answer(score: float) -> Reply:
    return Reply(values={"score": np.array(score)})


def refusal(error: str = "InputError") -> Reply:
    return Reply(error=error, text="says no")


@pytest.mark.parametrize(
    ("ours", "theirs", "edge", "verdict"),
    [
        (answer(0.5), answer(0.5 + 5e-7), False, AGREES),
        (answer(0.5), answer(0.5 + 2e-6), False, DIFFERS),
        (answer(0.5), answer(0.5 + 2e-6), True, DIFFERS),
        (answer(0.5), answer(np.nan), False, PUBLISHED_FAILS),
        (answer(0.5), refusal("IndexError"), False, PUBLISHED_FAILS),
        (refusal(), refusal("IndexError"), False, PUBLISHED_FAILS),
        (refusal(), answer(0.5), True, REFUSED),
        (refusal(), answer(0.5), False, FAILS),
        (refusal("ValueError"), answer(0.5), True, FAILS),
        (refusal("ValueError"), refusal("ValueError"), True, FAILS),
        (answer(np.nan), answer(0.5), False, DIFFERS),
        (answer(np.nan), answer(np.nan), True, FAILS),
    ],
)
def test_verdicts(ours: Reply, theirs: Reply, edge: bool, verdict: str) -> None:
    outcome = judge("haspi", "haspi-0", "speech", ours, theirs, edge=edge)
    assert outcome.verdict == verdict
    assert bool(wrong([outcome])) == (verdict in (DIFFERS, FAILS))


def test_the_report_names_what_is_wrong_and_what_failed() -> None:
    outcomes = [
        judge("haspi", "haspi-0", "speech", answer(0.5), answer(0.5), edge=False),
        judge("haspi", "haspi-1", "noise", answer(0.5), answer(0.6), edge=False),
        judge("haspi", "haspi: silence", "silence", refusal(), refusal("IndexError"), edge=True),
        judge("haspi", "haspi: NaN", "NaN", refusal(), answer(0.4), edge=True),
    ]
    text = describe(outcomes, ["haspi"])
    assert "| haspi | 2 | 2 | 1.0e-01 | 1e-06 | 1 | 1 | 2 |" in text
    wrong_part = text[text.index("Wrong:") :]
    assert "haspi-1: noise (1.0e-01 apart)" in wrong_part
    assert "haspi: silence: published: IndexError: says no; HearLab: InputError: says no" in wrong_part
    assert "haspi: NaN: published: 0.400000; HearLab: InputError: says no" in wrong_part
