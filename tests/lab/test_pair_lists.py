"""`hearlab score METRIC --pairs`: many files, the numbers of single calls, resumed, with the failed rows told."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearlab.cli import main
from hearlab.compute.attempts import outcomes
from hearlab.errors import InputError
from hearlab.lab import pair_lists
from hearlab.lab.pair_lists import score_list
from hearlab.listeners import Audiogram, Listener
from waits import LONGEST, until

FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
PROGRAM = [sys.executable, "-P", "-c", "import sys; from hearlab.cli import main; sys.exit(main())"]


def listener(name: str, loss: float) -> Listener:
    return Listener(name, *(Audiogram([loss + ear] * 6, FREQUENCIES) for ear in (0, 5)))


PEOPLE = {one.id: one for one in (listener("L1", 10), listener("L2", 40))}


def sound(seed: int, rate: int = 24000, seconds: float = 0.7) -> np.ndarray:
    time_axis = np.arange(round(rate * seconds)) / rate
    tone = sum(np.sin(2 * np.pi * 130 * k * time_axis) / k for k in range(1, 15))
    noise = np.random.default_rng(seed).standard_normal((time_axis.size, 2))
    return 0.03 * (tone * (1 + np.sin(2 * np.pi * 4 * time_axis + 1)))[:, np.newaxis] + 0.002 * (1 + seed) * noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("clean", 0), ("a", 1), ("b", 4)):
        soundfile.write(tmp_path / f"{name}.wav", sound(seed), 24000, subtype="PCM_16")
    (tmp_path / "listeners.json").write_text(json.dumps({name: one.as_entry() for name, one in PEOPLE.items()}))
    return tmp_path


def listed(folder: Path, *rows: str, header: str = "reference,processed,listener,seed_name") -> Path:
    path = folder / "pairs.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(folder: Path, metric: str = "haspi", *more: str) -> int:
    output, people = str(folder / "scores.csv"), str(folder / "listeners.json")
    return main(["score", metric, "--pairs", str(folder / "pairs.csv"), "-o", output, "--listeners", people, *more])


def scores(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def single_text(
    folder: Path, metric: str, processed: str, name: str, seed: str | None, capsys: pytest.CaptureFixture[str]
) -> str:
    command = ["score", metric, "--reference", str(folder / "clean.wav"), "--processed", str(folder / processed)]
    command += ["--listener", name, "--listeners", str(folder / "listeners.json"), "--json"]
    assert main([*command, *(() if seed is None else ("--seed-name", seed))]) == 0
    return capsys.readouterr().out


def single(
    folder: Path, metric: str, processed: str, name: str, seed: str | None, capsys: pytest.CaptureFixture[str]
) -> dict:
    return json.loads(single_text(folder, metric, processed, name, seed, capsys))


@pytest.mark.parametrize("metric", ["haspi", "hasqi", "haaqi"])
def test_a_single_call_without_a_seed_is_a_row_without_one(
    folder: Path, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It once drew other noise each time, so that the fourth digit of a score could not be reported."""
    listed(folder, "clean.wav,b.wav,L2,")
    assert run(folder, metric) == 0
    capsys.readouterr()
    first = single_text(folder, metric, "b.wav", "L2", None, capsys)
    assert single_text(folder, metric, "b.wav", "L2", None, capsys) == first
    found, (row,) = json.loads(first), scores(folder)
    assert float(row[metric]) == found["score"]
    assert (row["seed_name"], found["seed_name"]) == ("clean", "clean")
    other = single(folder, metric, "b.wav", "L2", "another", capsys)
    assert [other[ear]["features"] for ear in ("left", "right")] != [
        found[ear]["features"] for ear in ("left", "right")
    ]


@pytest.mark.parametrize("metric", ["haspi", "hasqi", "haaqi"])
def test_the_numbers_of_single_calls(folder: Path, metric: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed(folder, "clean.wav,a.wav,L2,S1", "clean.wav,b.wav,L1,")
    assert run(folder, metric) == 0
    assert "2 of 2 pairs have scores" in capsys.readouterr().out
    for row, (processed, name, seed) in zip(
        scores(folder), (("a.wav", "L2", "S1"), ("b.wav", "L1", "clean")), strict=True
    ):
        wanted = single(folder, metric, processed, name, seed, capsys)
        assert [float(row[key]) for key in (metric, "left", "right")] == [
            wanted["score"],
            wanted["left"]["score"],
            wanted["right"]["score"],
        ]
        assert (row["processed"], row["listener"], row["seed_name"]) == (processed, name, seed)


def test_audiograms_in_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = listed(
        folder,
        "clean.wav,a.wav,40 40 40 40 40 40,45;45;45;45;45;45",
        'clean.wav,a.wav,"10,10,10,10,10,10",15 15 15 15 15',
        header="reference,processed,audiogram_left,audiogram_right",
    )
    assert main(["score", "haspi", "--pairs", str(pairs), "-o", str(folder / "scores.csv")]) == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith(f"{pairs}: line 3: audiogram_right: is no audiogram (found 15 15 15 15 15, wanted 6 or 8")
    (row,) = scores(folder)
    assert float(row["haspi"]) == single(folder, "haspi", "a.wav", "L2", "clean", capsys)["score"]


def test_only_what_is_missing_or_changed_is_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(folder, "clean.wav,a.wav,L1,", "clean.wav,b.wav,L1,")
    ran: list[str] = []
    real = pair_lists._outcomes
    monkeypatch.setattr(
        pair_lists, "_outcomes", lambda units, *rest: ran.extend(unit.id for unit in units) or real(units, *rest)
    )
    assert run(folder) == 0
    first = scores(folder)
    assert run(folder) == 0
    assert (ran, scores(folder)) == (["line 2", "line 3"], first)
    soundfile.write(folder / "a.wav", sound(9), 24000, subtype="PCM_16")
    listed(folder, "clean.wav,b.wav,L1,", "clean.wav,b.wav,L1,", "clean.wav,a.wav,L1,", "clean.wav,a.wav,L1,S2")
    ran.clear()
    assert run(folder) == 0
    assert ran == ["line 4", "line 5"]
    rows = scores(folder)
    assert [row["processed"] for row in rows] == ["b.wav", "b.wav", "a.wav", "a.wav"]
    assert rows[0]["key"] == rows[1]["key"] == first[1]["key"]
    assert rows[2]["haspi"] != first[0]["haspi"]
    ran.clear()
    assert run(folder, "haspi", "--level", "90") == 0
    assert len(ran) == 3  # one pair is listed twice


def test_failed_rows_are_told_and_the_others_finished(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    rows = ["clean.wav,a.wav,L1,", "clean.wav,lost.wav,L1,", "clean.wav,broken.wav,L1,", "clean.wav,a.wav,L9,", "x,y"]
    pairs = listed(folder, *rows, ",a.wav,L1,", "clean.wav,b.wav,L1,")
    assert run(folder, "haspi", "--json") == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["scored"], found["before"]) == (2, 0)
    assert found["mean"] == pytest.approx(np.mean([float(row["haspi"]) for row in scores(folder)]))
    assert [one["line"] for one in found["failed"]] == [3, 4, 5, 6, 7]
    causes = ["No such file", "broken.wav", "unknown listener", "has 2 cells", "reference: is empty"]
    lines = err.splitlines()[-5:]
    for line, number, cause in zip(lines, (3, 4, 5, 6, 7), causes, strict=True):
        assert line.startswith(f"{pairs}: line {number}: ")
        assert cause in line
    soundfile.write(folder / "lost.wav", sound(2), 24000, subtype="PCM_16")
    assert run(folder, "haspi", "--json") == 1
    assert (found := json.loads(capsys.readouterr().out))["before"] == 2
    assert found["scored"] == 3


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("reference,heard,listener", "processed: lacks a column"),
        ("reference,processed", r"listener \(or audiogram_left and audiogram_right\): lacks a column"),
        ("reference,processed,listener,scene", "scene: has an unknown column"),
        ("reference,processed,listener,listener", "names a column twice"),
        ("", "reference, processed"),
    ],
)
def test_other_columns(folder: Path, header: str, line: str) -> None:
    listed(folder, header=header)
    with pytest.raises(InputError, match=line):
        score_list("haspi", folder / "pairs.csv", folder / "scores.csv", lambda: (PEOPLE, folder), level=100.0)


def test_no_other_file_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed(folder, "clean.wav,a.wav,L1,")
    (folder / "scores.csv").write_text("my,notes\n1,2\n")
    assert run(folder) == 1
    assert "is no file of haspi scores (found my, notes" in capsys.readouterr().err
    assert (folder / "scores.csv").read_text() == "my,notes\n1,2\n"


def test_scores_of_files_that_are_not_there_now_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that was not mounted once took all scores of the list with it."""
    listed(folder, "clean.wav,a.wav,L1,", "clean.wav,b.wav,L1,")
    assert run(folder) == 0
    first = scores(folder)
    for name in ("a.wav", "b.wav"):
        (folder / name).rename(folder / f"away-{name}")
        assert run(folder) == 1
        assert scores(folder) == first
    assert "0 of 2 pairs have scores" in capsys.readouterr().out
    assert run(folder, "haspi", "--level", "90") == 1  # nothing tells that they are not of this level: none is lost
    assert scores(folder) == first
    (folder / "away-b.wav").rename(folder / "b.wav")
    assert run(folder, "haspi", "--level", "90") == 1
    (row,) = scores(folder)  # scores of two levels are not put into one file
    assert row["processed"] == "b.wav"


def test_scores_of_another_list_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed(folder, "clean.wav,a.wav,L1,")
    assert run(folder) == 0
    first = scores(folder)
    listed(folder, "clean.wav,b.wav,L1,")
    assert run(folder) == 1
    assert "holds scores of other pairs than the list (found clean.wav, a.wav)" in capsys.readouterr().err
    listed(folder, "clean.wav,a.wav,L9,")
    assert run(folder) == 1
    assert "unknown listener" in capsys.readouterr().err
    assert scores(folder) == first
    listed(folder, "clean.wav,a.wav,L1,S2")  # another seed of the same files
    assert run(folder) == 0
    assert scores(folder)[0]["seed_name"] == "S2"


@pytest.mark.slow
def test_what_is_finished_at_ctrl_c_is_kept(folder: Path) -> None:
    rows = [f"clean.wav,{name}.wav,L1,{number}" for number in range(400) for name in ("a", "b")]
    listed(folder, *rows)
    output, people = folder / "scores.csv", folder / "listeners.json"
    command = [*PROGRAM, "score", "haspi", "--pairs", "pairs.csv", "-o", output, "--listeners", people]
    environment = {**os.environ, "HEARLAB_WORKERS": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    until(output.exists, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; what was finished is kept, run it again to go on"
    kept = scores(folder)
    assert 0 < len(kept) < len(rows)
    assert [row["seed_name"] for row in kept] == [row.rpartition(",")[2] for row in rows[: len(kept)]]
    assert not [path.name for path in folder.iterdir() if ".part-" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize("where", [outcomes.WORKERS, outcomes.RAY])
def test_the_same_numbers_in_workers(folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == outcomes.RAY:
        pytest.importorskip("ray")
    rows = [f"clean.wav,{name}.wav,{person},S{n}" for n in range(3) for name in ("a", "b") for person in ("L1", "L2")]
    listed(folder, *rows, "lost.wav,a.wav,L1,")
    assert run(folder) == 1
    here = scores(folder)
    (folder / "scores.csv").unlink()
    monkeypatch.setattr(outcomes._Choice, "of", lambda *arguments: where)
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    assert run(folder) == 1
    assert scores(folder) == here
    assert len(here) == len(rows)
