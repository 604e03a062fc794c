from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agreement.differences import fitting_difference
from inputs import Inputs
from speed.measure import Bench, Result, Spread, measure_speed
from speed.rows import SpeedRow
from speed.table import failures, results_json, summary, table


def ratio_row(ours: float, theirs: float | None, difference: float | None = 1e-9) -> Result:
    return Result(
        "haspi",
        "HASPI, one ear",
        "s",
        Spread([ours, ours, ours], [ours] * 3),
        None if theirs is None else Spread([theirs], [theirs]),
        ratio_required=8,
        ratio_aim=12,
        difference=difference,
        tolerance=1e-6,
    )


@pytest.mark.parametrize(("theirs", "required", "aim"), [(0.5, False, False), (1.0, True, False), (2.0, True, True)])
def test_goals_of_a_ratio(theirs: float, required: bool, aim: bool) -> None:
    row = ratio_row(0.1, theirs).as_json()
    assert row["ratio"] == pytest.approx(10 * theirs)
    assert (row["meets_required"], row["meets_aim"]) == (required, aim)


def test_goals_of_a_limit() -> None:
    row = Result("memory", "peak memory", "MB", Spread([400.0]), Spread([1700.0]), limit_required=600, limit_aim=300)
    assert row.as_json()["meets_required"] is True
    assert row.as_json()["meets_aim"] is False
    assert row.ratio is None


def test_medians_and_spread() -> None:
    spread = Spread([3.0, 1.0, 8.0]).as_json()
    assert (spread["median"], spread["min"], spread["max"]) == (3.0, 1.0, 8.0)


def test_the_table_says_what_is_missed_and_what_differs() -> None:
    results = [ratio_row(0.1, 0.5), ratio_row(0.1, 2.0, difference=1e-3)]
    text = table(results)
    assert "5.0x" in text
    assert "8x MISSED" in text
    assert "8x met" in text
    assert "1.0e-03 of 1e-06 DIFFERS" in text
    assert summary(results[:1]).endswith("below required: haspi")
    assert [line.split(":")[0] for line in failures(results)] == ["haspi"]
    assert [row["agrees"] for row in results_json(results, {})["rows"]] == [True, False]


def test_without_the_published_side_nothing_is_claimed() -> None:
    result = ratio_row(0.1, None, difference=None)
    row = result.as_json()
    assert [row[key] for key in ("ratio", "meets_required", "agrees", "published")] == [None] * 4
    assert "not measured" in table([result])
    assert not failures([result])


@pytest.mark.slow
def test_a_row_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    signal = tmp_path / "signal.npz"
    np.savez(signal, signal=np.random.default_rng(0).standard_normal(4000))
    tags = []

    def arguments(inputs: Inputs, tag: str) -> dict[str, object]:
        tags.append(tag)
        return {"signals": str(signal), "rate": 16000, "settings": {}}

    row = SpeedRow("tiny", "tiny {scene}", "compressor", arguments, 2, 4, fitting_difference, 1e-9, seconds=0.25)
    bench = Bench(Inputs(tmp_path, None), theirs=None, cpu=None, quick=True)
    result = measure_speed(bench, row)
    assert tags == ["tiny-warm", "tiny-1", "tiny-2", "tiny-3"]
    assert len(result.ours.samples) == 3
    assert result.work == "tiny demo scene"
    assert result.ours.median > 0
