"""What `dvc exp run -S dataset=mine score_speech` leaves: new scores of speech, and of music those of before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.report.compare.pairs import pair_rows
from hearlab.report.compare.sources import open_source
from pipeline_support import run
from scores_of_before import make_scores

WHY = 'made with dataset "demo", params.yaml says "mine"'


@pytest.fixture
def half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace and HEAD: speech of the data set `mine`, songs of the demo."""
    root = make_scores(tmp_path, {"dataset": "mine"}, speech_on="mine")
    run(root, "git", "init", "--quiet", "--initial-branch=main")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Speech of mine")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("name", ["workspace", "HEAD"])
def test_a_result_has_no_scores_of_other_parameters(half: Path, name: str) -> None:
    assert {row["track"] for row in pair_rows(name, half)} == {"speech"}
    source = open_source(name, half)
    assert [track.name for track in source.tracks] == ["speech"]
    assert source.notes == (f"{name}: its music scores are of other parameters: {WHY}",)
    with pytest.raises(InputError, match=r"has no scores of music pair by pair .*made with dataset"):
        pair_rows(name, half, track="music")


def test_a_result_that_has_no_others(half: Path) -> None:
    (half / "params.yaml").write_text((half / "params.yaml").read_text().replace("gain: 0", "gain: 3"))
    with pytest.raises(InputError) as error:
        open_source("workspace", half)
    assert str(error.value).startswith(
        "workspace: holds no scores of its parameters (found speech: made with enhance.gain 0, params.yaml says 3; "
    )


def test_the_averages_of_the_last_run_say_so(half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scores"]) == 0
    before, _, after = capsys.readouterr().out.partition("HAAQI")
    assert "0.3750" in before
    assert "not of params.yaml" not in before
    assert f"These music scores are not of params.yaml: {WHY}. dvc repro score_music" in after
    (half / "params.yaml").write_text((half / "params.yaml").read_text().replace("mine", "demo"))
    assert main(["scores"]) == 0
    assert "These speech scores are not of params.yaml" in capsys.readouterr().out


def test_no_line_of_experiments_has_scores_of_other_parameters(half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments", "--json"]) == 0
    for one in json.loads(capsys.readouterr().out):
        assert one["scores"] == {"HASPI enhanced": 0.375}
        assert list(one["means"]) == ["HASPI enhanced"]
        assert one["outdated"] == {"music": WHY}
    # Edited, and not run yet: the line says what it was not made with.
    (half / "params.yaml").write_text((half / "params.yaml").read_text().replace("gain: 0", "gain: 3"))
    assert main(["experiments"]) == 0
    printed = capsys.readouterr().out
    workspace = next(line for line in printed.splitlines() if line.startswith("workspace"))
    assert workspace.split()[1:] == ["other", "gain=3"]
    assert "workspace, speech: made with enhance.gain 0, params.yaml says 3" in printed
