"""The table of tracks and metrics, and that all which reads it takes several metrics of a track."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from compare_support import run, write
from hearlab.errors import InputError, ParameterError
from hearlab.scoring.summary_text import score_tables
from hearlab.scoring.table import parse_scores, track_tables
from hearlab.scoring.tracks import ENHANCED, METRICS, TRACKS, UNPROCESSED
from hearlab.stages.score_speech import write_results

SPEECH, MUSIC = TRACKS["speech"], TRACKS["music"]
SCORES = [
    {
        "scene": f"S{6001 + scene}",
        "listener": listener,
        "enhanced": 0.3 + 0.05 * scene,
        "unprocessed": 0.2,
        "hasqi/enhanced": 0.1 + 0.02 * scene,
        "hasqi/unprocessed": 0.15,
    }
    for scene in range(8)
    for listener in ("L0001", "L0002")
]
SNRS = {f"S{6001 + scene}": -11.0 + 2 * scene for scene in range(8)}


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """The folder of metrics that score_speech leaves if it is asked for HASPI and HASQI."""
    write_results(tmp_path / "metrics", SCORES, SNRS, SPEECH.metrics)
    return tmp_path / "metrics"


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_can_be_loaded_and_belongs_to_one_track(metric) -> None:
    assert callable(metric.load())
    assert [track for track in TRACKS.values() if metric in track.metrics] == [metric.track]
    assert metric.noise.sd > 0


def test_keys_of_the_headline_are_those_of_results_with_one_metric() -> None:
    hasqi = METRICS["hasqi"]
    assert SPEECH.result_key(SPEECH.headline, UNPROCESSED) == "unprocessed"
    assert SPEECH.result_key(hasqi) == "hasqi/enhanced"
    assert MUSIC.result_key(MUSIC.headline) == MUSIC.average_key(ENHANCED) == "score"


def test_chosen_metrics() -> None:
    assert SPEECH.chosen(["hasqi", "haspi"], "p") == SPEECH.metrics
    assert SPEECH.chosen(["haspi"], "p") == (SPEECH.headline,)
    with pytest.raises(ParameterError, match=r"p: unknown metric \(found haaqi, wanted some of haspi, hasqi\)"):
        SPEECH.chosen(["haspi", "haaqi"], "p")
    with pytest.raises(ParameterError, match="p: must name haspi"):
        SPEECH.chosen(["hasqi"], "p")


def test_a_table_of_two_metrics(metrics: Path) -> None:
    content = (metrics / "speech.csv").read_bytes()
    assert content.startswith(b"scene,listener,haspi,hasqi\n")
    tables = parse_scores(content, "speech.csv")
    assert list(tables) == ["haspi", "hasqi"]
    assert tables["hasqi"].scores[:2].tolist() == [0.1, 0.1]
    without = content.replace(b"haspi", b"other")
    assert list(parse_scores(without, "x")) == ["hasqi"]
    with pytest.raises(InputError, match=r"x: holds scores of better-ear HASQI \(wanted better-ear HASPI\)"):
        track_tables(without, "x", SPEECH)


def test_averages_of_two_metrics_are_shown(metrics: Path) -> None:
    haspi, hasqi = score_tables(metrics).split("\n\n")
    assert haspi.startswith("better-ear HASPI ")
    first, *_, gain, last = hasqi.splitlines()
    assert re.split(r"  +", first) == ["better-ear HASQI", "all", "-12 to -6 dB", "-6 to +0 dB", "+0 to +6 dB"]
    assert re.split(r" +", gain)[:2] == ["improvement", "+0.0200"]
    assert last == "(16 scene-listener pairs; 1 = like the original)"


def test_compare_lists_every_metric_that_both_have(metrics: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(metrics, "speech_unprocessed.csv", "speech.csv", "--json", "--by", "none")
    found = {one["metric"]: one for one in json.loads(capsys.readouterr().out)["comparisons"]}
    assert list(found) == ["haspi", "hasqi"]
    assert found["hasqi"]["overall"]["difference"]["mean"] == pytest.approx(0.02)
    with (metrics / "speech.csv").open(newline="") as file:
        rows = [row[:3] for row in csv.reader(file)]
    write(metrics / "old.csv", rows[0], rows[1:])
    run(metrics, "old.csv", "speech.csv", "--json", "--by", "none")
    (one,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert one["metric"] == "haspi"
    assert one["notes"] == ["better-ear HASQI is left out: only B has its scores"]
