"""`hearlab score METRIC --scene`: the number of the pipeline's table; the note on levels without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_workspace import LISTENERS, SCENE, SONG, make_workspace, put, table

import hearlab
from hearlab.cli import main
from hearlab.stages import run_stage
from hearlab.stages.common import FILES

PEOPLE = "data/demo/inputs/clarity_data/metadata/listeners.json"


@pytest.fixture(autouse=True)
def _here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)


def scored(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["score", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_pipeline_s_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for (scene, listener), row in table(Path("metrics/speech.csv")).items():
        found = scored(capsys, "haspi", "--scene", scene, "--listener", listener)
        assert found["score"] == row["haspi"] == round(max(found[ear]["score"] for ear in ("left", "right")), 8)
        assert len(found["left"]["features"]) > 1
    mixture = f"data/demo/rendered/dev/{SCENE}_mix_CH1.wav"
    found = scored(capsys, "haspi", "--scene", SCENE, "--listener", "L1", "--processed", mixture)
    assert found["score"] == table(Path("metrics/speech_unprocessed.csv"))[SCENE, "L1"]["haspi"]
    row = table(Path("metrics/music.csv"))[SONG, "L2"]
    found = scored(capsys, "haaqi", "--song", SONG, "--listener", "L2")
    assert found["score"] == row["score"]
    assert found["right"]["stems"]["bass"] == row["right_bass"]
    assert main(["score", "haspi", "--scene", SCENE, "--listener", "L1"]) == 0
    score = table(Path("metrics/speech.csv"))[SCENE, "L1"]["haspi"]
    assert capsys.readouterr().out.startswith(f"HASPI {score:.4f} (left ")


def test_two_files_are_compared_as_they_are_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    reference, target = (f"data/demo/rendered/dev/{SCENE}_{name}_CH1.wav" for name in ("target_anechoic", "target"))
    command = ["score", "haspi", "--processed", target, "--listener", "L1", "--listeners", PEOPLE, "--json"]
    assert main([*command, "--reference", reference]) == 0
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("haspi: levels are compared as they are: the reference has 6")
    assert "use --scene" in line
    json.loads(out)
    assert main([*command, "--reference", target]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--scene", SCENE], "hearlab score haspi --scene: needs --listener"),
        (["--scene", SCENE, "--listener", "L1", "--level", "90"], "--scene: does not take --level"),
        (["--scene", SONG, "--listener", "L2"], f"{SONG}: is a song (found haspi, wanted haaqi)"),
        (["--scene", "S9", "--listener", "L1"], "scene or song: is not known (found S9, wanted such as S1"),
        (["--reference", "a.wav", "--listener", "L1"], "--reference: needs --processed"),
        (["--pairs", "a.csv"], "--pairs: needs --output"),
        (["--pairs", "a.csv", "-o", "b.csv", "--seed-name", "x"], "--pairs: does not take --seed-name"),
    ],
)
def test_what_does_not_go_together(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    assert main(["score", "haspi", *arguments]) != 0
    (error,) = capsys.readouterr().err.splitlines()
    assert line in error


def test_a_result_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(make_workspace(tmp_path / "new"))
    assert main(["score", "haspi", "--scene", SCENE, "--listener", "L1"]) == 1
    assert f"{SCENE}_L1_HA-output.wav: no such file" in capsys.readouterr().err


def test_own_recordings_without_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One pair of microphones, and a reference whose level is that of its file."""
    root = make_workspace(tmp_path / "own", evaluate__listeners="listeners/mine.json")
    files = [f"{SCENE}_mix_CH1.wav", f"{SCENE}_target_anechoic_CH1.wav"]
    put(root / "data/demo/scene_lists/scenes.dev.json", [{"scene": SCENE, FILES: files}])
    for path in (root / "data/demo/rendered/dev").iterdir():
        if path.name not in files:
            path.unlink()
    put(root / "listeners/mine.json", {"Me": LISTENERS["L2"] | {"name": "Me"}})
    monkeypatch.chdir(root)
    for stage in ("enhance_speech", "score_speech"):
        run_stage(stage)
    ((pair, row),) = table(Path("metrics/speech.csv")).items()
    assert pair == (SCENE, "Me")
    assert scored(capsys, "haspi", "--scene", SCENE, "--listener", "Me")["score"] == row["haspi"]
    lab = hearlab.open(".")
    assert lab.score(*pair) == row
    assert list(lab.signals(SCENE).microphones) == ["CH1"]
    assert main(["try", *pair, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["scores"] == row
