"""Averages and times of a result, and its report."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracking_support import make_result, write_lock

from hearlab.compute.timings import StageTime
from hearlab.errors import InputError
from hearlab.scoring.tracks import TRACKS
from hearlab.tracking.figures import draw
from hearlab.tracking.result import current_result
from hearlab.tracking.summary import averages, report, time_values


def test_averages_by_stem_severity_and_snr(tmp_path: Path) -> None:
    values = averages(current_result(make_result(tmp_path)))
    assert values == pytest.approx(
        {
            "haspi/pairs": 4,
            "haspi/enhanced": 0.4,
            "haspi/unprocessed": 0.2,
            "haspi/improvement": 0.2,
            "haspi_by_snr/enhanced/-12 to -6 dB": 0.15,
            "haspi_by_snr/enhanced/0 to 6 dB": 0.65,
            "haspi_by_snr/unprocessed/-12 to -6 dB": 0.05,
            "haspi_by_snr/unprocessed/0 to 6 dB": 0.35,
            "haspi_by_snr/improvement/-12 to -6 dB": 0.1,
            "haspi_by_snr/improvement/0 to 6 dB": 0.3,
            "haspi_by_severity/enhanced/mild": 0.5,
            "haspi_by_severity/enhanced/moderately severe": 0.3,
            "haspi_by_severity/unprocessed/mild": 0.35,
            "haspi_by_severity/unprocessed/moderately severe": 0.05,
            "haspi_by_severity/improvement/mild": 0.15,
            "haspi_by_severity/improvement/moderately severe": 0.25,
            "haaqi/pairs": 2,
            "haaqi/score": 0.3,
            **{f"haaqi_by_stem/{stem}": 0.3 for stem in ("bass", "drums", "other", "vocals")},
            "haaqi_by_severity/mild": 0.4,
            "haaqi_by_severity/moderately severe": 0.2,
        },
        abs=1e-8,  # the decimals that are written
    )


def test_a_further_metric_has_keys_and_a_figure_of_its_own(tmp_path: Path) -> None:
    root = make_result(tmp_path, music=False)
    plain = averages(current_result(root))
    for name in ("speech.csv", "speech_unprocessed.csv", "plots/haspi_snr.csv"):
        path = root / "metrics" / name
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([f"{header},hasqi", *(f"{row},0.25" for row in rows), ""]))
    write_lock(root, gain=0, music=False)
    result = current_result(root)
    values = averages(result)
    assert {name: value for name, value in values.items() if not name.startswith("hasqi")} == plain
    assert values["hasqi/enhanced"] == values["hasqi_by_snr/unprocessed/0 to 6 dB"] == 0.25
    assert {name.replace("hasqi", "haspi") for name in values} == plain.keys()
    assert "HASPI 0.4000 enhanced, 0.2000 unprocessed; HASQI 0.2500 enhanced" in report(result, values, {}, {})
    pytest.importorskip("matplotlib")
    draw(TRACKS["speech"], root / "metrics/plots/haspi_snr.csv", tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"haspi_snr.png", "hasqi_snr.png"}


def test_without_scene_list_and_audiograms_the_groups_are_not_known(tmp_path: Path) -> None:
    root = make_result(tmp_path, music=False)
    (root / "data/demo/scene_lists/scenes.dev.json").unlink()
    (root / "data/demo/inputs/clarity_data/metadata/listeners.json").unlink()
    values = averages(current_result(root))
    assert values["haspi_by_snr/enhanced/not known"] == values["haspi/enhanced"]
    assert values["haspi_by_severity/enhanced/not known"] == values["haspi/enhanced"]


def test_a_table_without_scores_is_an_error(tmp_path: Path) -> None:
    root = make_result(tmp_path, music=False)
    (root / "metrics/speech.csv").write_text("scene,listener,other\nS1,L1,0.5\n")
    write_lock(root, gain=0, music=False)
    with pytest.raises(InputError, match=r"speech.csv: is not a table of scores"):
        averages(current_result(root))


def test_times_of_each_stage_and_all() -> None:
    times = {"score_speech": StageTime(wall=2.0, core=3.5), "render_scenes@dev": StageTime(wall=1.0, core=0.5)}
    assert time_values(times) == {
        "wall_seconds/score_speech": 2.0,
        "wall_seconds/render_scenes dev": 1.0,
        "wall_seconds/all stages": 3.0,
        "core_seconds/score_speech": 3.5,
        "core_seconds/render_scenes dev": 0.5,
        "core_seconds/all stages": 4.0,
    }
    assert time_values({}) == {}


def test_report_names_scores_changes_and_what_is_missing(tmp_path: Path) -> None:
    result = current_result(make_result(tmp_path, music=False))
    text = report(result, averages(result), {"git.commit": "abc"}, {"enhance.gain": 3})
    assert text.startswith("# speech: HASPI 0.4000 enhanced, 0.2000 unprocessed\n")
    assert "- music was left out: was not run\n" in text
    assert "- parameter enhance.gain: 3\n" in text
    assert "- git.commit: abc\n" in text
    assert "| enhanced, 0 to 6 dB | 0.6500 |" in text
