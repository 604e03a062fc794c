"""`hearlab experiments` in a repository with commits and experiments whose files git keeps."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare_support import speech
from hearlab.cli import main
from hearlab.scoring.table import parse_scores
from pipeline_support import run

GIVEN = np.random.default_rng(1).beta(1, 2, (12, 3)) * 0.8 + 0.05
EVIL = "loud\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}er"
LINES = "two\N{LINE SEPARATOR}lines\N{PARAGRAPH SEPARATOR}"


def result(folder: Path, gain: float, system: str, own: str, unprocessed: bool = True) -> None:
    """Parameters, scores and averages as a run leaves them."""
    (folder / "params.yaml").write_text(
        f"dataset: demo\nseed: 0\nenhance:\n  gain: {gain}\n  system: {system}\n  params: {{{own}}}\n"
    )
    scores = GIVEN + 0.01 * gain
    speech(folder / "metrics" / "speech.csv", scores)
    averages = {"enhanced": round(float(scores.mean()), 8), **({"unprocessed": 0.2} if unprocessed else {})}
    (folder / "metrics" / "speech.json").write_text(json.dumps({"haspi": {"pairs": 36, **averages}}))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, an experiment upon the second, and a workspace with other parameters."""
    run(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    for gain in (0, 1):
        result(tmp_path, gain, "a.b:C", "")
        commit(tmp_path, f"Gain {gain}")
    result(tmp_path, 2, "mine.net:Net", "depth: 3")
    commit(tmp_path, EVIL)
    head, before = (run(tmp_path, "git", "rev-parse", name).strip() for name in ("HEAD", "HEAD~1"))
    run(tmp_path, "git", "update-ref", f"refs/exps/{before[:2]}/{before[2:]}/{EVIL}", head)
    run(tmp_path, "git", "reset", "--quiet", "--hard", before)
    result(tmp_path, 4, "mine.net:Net", "depth: 5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", message)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["experiments", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_subject_with_ends_of_lines_that_git_does_not_take_for_such(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(project, LINES)
    names = [one["name"] for one in listed(capsys) if one["kind"] == "commit"]
    assert [name[:3] for name in names] == ["two", "Gai", "Gai"]


def test_all_results_the_newest_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(capsys)
    assert [one["kind"] for one in found] == ["workspace", "experiment", "commit", "commit"]
    assert [one["date"] is None for one in found] == [True, False, False, False]
    assert {one["name"] for one in found[2:]} == {"Gain 0", "Gain 1"}
    assert list(found[0]["parameters"]) == ["enhance.system", "enhance.params.depth", "enhance.gain"]
    assert [one["parameters"]["enhance.params.depth"] for one in found[:2]] == [5, 3]
    assert run(project, "git", "rev-parse", "HEAD").strip() in [one["commit"] for one in found[2:]]
    assert [one["kind"] for one in listed(capsys, "--commits", "1")] == ["workspace", "experiment", "commit"]


def test_intervals_are_those_of_the_tables(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = listed(capsys)[0]
    expected = parse_scores((project / "metrics/speech.csv").read_bytes(), "x")["haspi"].mean()
    own = workspace["means"]["HASPI enhanced"]
    assert (own["mean"], own["low"], own["high"]) == (expected.mean, expected.low, expected.high)


def test_the_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments"]) == 0
    text = capsys.readouterr().out
    heading, _, workspace, experiment, *commits = text.splitlines()
    commits, told = commits[:2], commits[2:]
    # Own parameters first; what is the same in all lines (the data set, unprocessed signals) is left out.
    assert heading.split() == ["experiment", "date", "(UTC)", "HASPI", "enhanced", "parameters"]
    assert workspace.endswith("]  system=Net, depth=5, gain=4")
    assert f"{GIVEN.mean() + 0.04:.4f} [" in workspace
    assert experiment.startswith("loud\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}er ")
    assert experiment.endswith("]  system=Net, depth=3, gain=2")
    assert [line.rpartition("]  ")[2] for line in commits] == ["system=C, gain=1", "system=C, gain=0"]
    notes = ["Brackets: 95", "Whether two differ", "Parameters: ", "hearlab experiments --wide"]
    assert [line.startswith(note) for line, note in zip(told[1:], notes, strict=True)] == [True] * 4


def test_the_table_with_a_column_for_each_parameter(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments", "--wide"]) == 0
    heading, _, workspace, *_ = capsys.readouterr().out.splitlines()
    assert heading.split()[3:] == ["HASPI", "enhanced", "system", "depth", "gain"]
    assert workspace.split()[-3:] == ["mine.net:Net", "5", "4"]


def test_the_table_as_a_csv_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = listed(capsys)
    assert main(["experiments", "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    for row, one in zip(rows, values, strict=True):
        mean = one["means"]["HASPI enhanced"]
        assert (row["experiment"], row["commit"], row["HAAQI"]) == (one["name"], one["commit"], "")
        assert float(row["HASPI enhanced"]) == one["scores"]["HASPI enhanced"]
        assert float(row["HASPI enhanced low"]) == mean["low"]
        own = one["parameters"]
        assert [row["enhance.system"], float(row["enhance.gain"])] == [own["enhance.system"], own["enhance.gain"]]
        assert row["enhance.params.depth"] == ("" if (depth := own["enhance.params.depth"]) is None else str(depth))


def test_without_dvc_its_extra_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiments"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "dvc", None)
    for form in ([], ["--json"], ["--csv"]):
        assert main(["experiments", *form]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert "DVC is not installed" in line
        assert line.endswith("pip install 'hearlab[pipeline]'")
    (project / "params.yaml").unlink()
    monkeypatch.chdir(project.parent)
    assert main(["experiments"]) == 1
    assert "pip install 'hearlab[pipeline]' and dvc repro make them" in capsys.readouterr().err


def test_names_of_experiments_are_whole(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "gain3-soft_clipTrue-attenuation0p001-2746c7"
    base = run(project, "git", "rev-parse", "HEAD").strip()
    (old,) = [line for line in run(project, "git", "for-each-ref", "--format=%(objectname)", "refs/exps").split()]
    run(project, "git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", old)
    commit(project, "A subject of more than thirty letters is cut")
    assert main(["experiments"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("gain3")] == [name]
    assert not [line for line in lines if "is cut" in line]


def test_an_average_of_a_subset_does_not_look_like_one_of_all(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (project / "params.yaml").open("a") as params:
        params.write("evaluate: {split: dev, scenes: {draw: 2, seed: 1}, listeners: null}\n")
    commit(project, "A subset")
    with (project / "params.yaml").open("a") as params:
        params.write("# all\n")
    text = (project / "params.yaml").read_text().replace("scenes: {draw: 2, seed: 1}", "scenes: null")
    (project / "params.yaml").write_text(text)
    assert main(["experiments"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if "evaluate.scenes.draw=2" in line and "A subset" in line]
    assert text.count("evaluate.scenes.draw") == 1
    assert "evaluate.listeners" not in text  # nobody is chosen, whether the key is there or not


def test_a_table_of_another_run_gives_no_interval(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech(project / "metrics" / "speech.csv", GIVEN)
    assert main(["experiments"]) == 0
    workspace = capsys.readouterr().out.splitlines()[2]
    assert f"{GIVEN.mean() + 0.04:.4f}" in workspace
    assert "[" not in workspace


def test_footnotes_are_of_what_is_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "metrics" / "speech.csv").unlink()
    run(project, "git", "checkout", "--quiet", "--orphan", "empty")
    for reference in run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split("\n"):
        if reference:
            run(project, "git", "update-ref", "-d", reference)
    assert main(["experiments"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("workspace ")


def test_nothing_to_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["experiments"]) == 1
    assert "holds no results" in capsys.readouterr().err
