"""`hearlab compare` with several systems: the correction for many comparisons, and tables for papers and programs."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare_support import run, speech
from hearlab.errors import InputError, ParameterError
from hearlab.scoring.statistics import holm
from hearlab.text import width
from waits import LONGEST

GIVEN = np.random.default_rng(1).beta(1, 2, (12, 3)) * 0.8 + 0.05
STEADY = 0.02 * np.arange(12)[:, None] / 11
ODD = r"[a]_50%&#{x}|~^\*.csv"  # what LaTeX and Markdown read as commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noise = np.random.default_rng(4).normal(0, 0.05, (12, 1))
    speech(tmp_path / "a.csv", GIVEN)
    speech(tmp_path / ODD, GIVEN + 0.1 + STEADY)
    speech(tmp_path / "noise.csv", np.clip(GIVEN + noise - noise.mean() + 0.002, 0, 1))
    return tmp_path


def weak(folder: Path) -> Path:
    """A gain with p = 0.01 or so: conclusive by itself, and not one of ten."""
    gains = np.array([0.03, 0.02, 0.028, 0.024, 0.035, 0.01, 0.03, 0.022, -0.01, -0.012, 0.018, -0.008])
    return speech(folder / "weak.csv", GIVEN + gains[:, None])


def values(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    run(folder, *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_each_is_compared_with_the_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = values(folder, capsys, "a.csv", ODD, "noise.csv", "a.csv")
    assert [one["verdict_holm"] for one in found["comparisons"]] == ["better", "inconclusive", "same"]
    assert (found["correction"], found["tests"], found["left_out"]) == ("holm", 2, [])
    alone = [values(folder, capsys, "a.csv", name)["comparisons"][0] for name in (ODD, "noise.csv", "a.csv")]
    for one, by_itself in zip(found["comparisons"], alone, strict=True):
        assert one["overall"] == by_itself["overall"]
    # Scores that are equal on every pair can be no false finding: they do not count.
    assert [one["p_holm"] for one in found["comparisons"]] == [*holm([one["overall"]["p"] for one in alone[:2]]), 1.0]


def test_one_of_many_needs_more_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak(folder)
    (alone,) = values(folder, capsys, "a.csv", "weak.csv")["comparisons"]
    assert alone["verdict"] == "better"
    assert 0.005 < alone["overall"]["p"] < 0.05
    found = values(folder, capsys, "a.csv", "weak.csv", *["noise.csv"] * 9)["comparisons"][0]
    assert (found["verdict"], found["verdict_holm"]) == ("better", "inconclusive")
    assert found["p_holm"] == pytest.approx(10 * alone["overall"]["p"])


def test_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", ODD, "noise.csv", "a.csv")
    text = capsys.readouterr().out
    assert max(width(line) for line in text.splitlines()) <= 100
    assert "corrected for the 2 comparisons with A in all metrics shown (equal scores" in " ".join(text.split())
    (row,) = [line for line in text.splitlines() if line.startswith("B  ") and line.endswith("better")]
    assert "+0.1100  +0.1058 to +0.1142" in row
    assert "- C: the interval includes 0; p >= 0.05 in the permutation test" in text


def test_names_that_begin_alike_are_not_cut_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("first", "loading0p001-system-836e12", "loading0p001-system-836e9f", "a name of its own that is cut")
    run(folder, "a.csv", "noise.csv", ODD, "a.csv", *(part for label in labels for part in ("--label", label)))
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if re.search(r"  12  0\.", line)]
    assert [re.split(r" {2,}", row)[1] for row in rows] == [*labels[1:3], "a name of its ow…"]


def test_what_is_said_of_several_systems_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", *["noise.csv"] * 5, *["a.csv"] * 4)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("- ")]
    assert [line.partition(":")[0] for line in lines] == ["- B, C, D, E, F", "- G, H, I, J"]


def test_systems_that_are_all_equal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", "a.csv", "a.csv")
    assert "all scores are equal to those of A, so there is no p to correct" in capsys.readouterr().out


def test_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("a.csv", "noise.csv", "a.csv", "weak.csv")
    weak(folder)
    labels = ("--label", "Ours", "--label", "weak.csv=Weak = weak", "--label", "Noise")
    run(folder, *names[:2], "weak.csv", "--csv", *labels)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["system"] for row in rows] == ["Ours", "Noise", "Weak = weak"]
    assert [row["source"] for row in rows] == ["a.csv", "noise.csv", "weak.csv"]
    run(folder, *names[:2], "weak.csv", *labels)
    text = capsys.readouterr().out
    assert "C  Weak = weak: weak.csv" in text
    assert "\nC  Weak = weak  " in text
    run(folder, *names[:2], *labels[:2])
    assert "A  Ours: a.csv" in capsys.readouterr().out
    for wrong, problem in (("a.csv=", "is empty"), (" ", "is empty")):
        with pytest.raises(ParameterError, match=f"--label: {problem}"):
            run(folder, *names[:2], "--label", wrong)
    with pytest.raises(ParameterError, match="--label: is one too many"):
        run(folder, *names[:2], *["--label", "x"] * 3)


def test_what_cannot_be_compared_is_named_and_the_others_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "others.csv").write_text("scene,listener,haspi\nS1,L1,0.5\n")
    found = values(folder, capsys, "a.csv", "others.csv", ODD)
    (line,) = found["left_out"]
    assert line.startswith("B, others.csv, is left out: compare: A and B share no pairs")
    assert [one["b"] for one in found["comparisons"]] == [ODD]
    run(folder, "a.csv", "others.csv", ODD, "--csv")
    printed = capsys.readouterr()
    assert "others.csv" in printed.err
    assert "others.csv" not in printed.out
    with pytest.raises(InputError, match="A and B share no pairs"):
        run(folder, "a.csv", "others.csv", "--csv")


def test_what_a_table_has_no_room_for_is_told_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means over fewer pairs, or over a subset, must not look like those over all."""
    speech(folder / "half.csv", GIVEN[:8])
    for form in ("--csv", "--md", "--latex"):
        run(folder, "a.csv", "half.csv", "noise.csv", form)
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert line.startswith("half.csv: haspi: left out: 12 pairs that only A has")
        assert "left out" not in printed.out


def test_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", ODD, "noise.csv", "--csv")
    first, second, third = csv.DictReader(capsys.readouterr().out.splitlines())
    found = values(folder, capsys, "a.csv", ODD, "noise.csv")["comparisons"]
    assert (first["system"], first["difference"], first["verdict"]) == ("a.csv", "", "")
    assert float(first["mean"]) == pytest.approx(GIVEN.mean(), abs=1e-7)
    for row, one in zip((second, third), found, strict=True):
        difference = one["overall"]["difference"]
        expected = [difference["mean"], difference["low"], difference["high"], one["overall"]["p"], one["p_holm"]]
        written = [float(row[name]) for name in ("difference", "low", "high", "p", "p_holm")]
        assert written == pytest.approx(expected, abs=1e-8)
    assert (second["system"], second["verdict"]) == (ODD, "better")


def test_latex(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", ODD, "noise.csv", "--latex")
    text = capsys.readouterr().out
    rules = [r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"]
    assert [rule for rule in rules if rule in text.splitlines()] == rules
    body = [line.removeprefix(r"\raggedright ") for line in text[text.index(r"\toprule") :].splitlines()[1:-2]]
    assert body.pop(1) == r"\midrule"
    assert body[0] == r"HASPI (12 scenes) & mean & \multicolumn{2}{c}{difference to A} & p (Holm) \\"
    escaped = r"{[}a]\_50\%\&\#\{x\}\textbar{}\textasciitilde{}\textasciicircum{}\textbackslash{}{*}.csv"
    assert body[2].replace(r"\allowbreak{}", "").startswith(escaped + " & 0.")
    assert re.search(r"& \+0\.1100 & \[\+0\.1058, \+0\.1142\] & 0\.0010 \\\\$", body[2])
    # Every row has the columns that the tabular has, whatever stands in a name.
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body[1:]} == {4}
    assert all(line.endswith(r" \\") for line in body)
    assert not re.search(r"[^$]-", body[3].split("&", 1)[1])  # minus signs, no hyphens


def test_a_system_with_fewer_scenes_says_so_in_latex(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech(folder / "half.csv", GIVEN[:8] + 0.01)
    run(folder, "a.csv", "noise.csv", "half.csv", "--latex")
    text = capsys.readouterr().out
    assert "half.csv (8 scenes) & " in text.replace(r"\allowbreak{}", "")
    assert "\nnoise.csv & " in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,array"])
@pytest.mark.parametrize("labels", [("A", "gain 6, clip"), ("loading0p001-systemmy_lab-" * 3, "x" * 60)])
def test_a_latex_table_fits_the_text_of_an_article(
    folder: Path, capsys: pytest.CaptureFixture[str], labels: tuple[str, str], packages: str
) -> None:
    """With the package that it says it needs, and beside array, which many classes load."""
    run(folder, "a.csv", "noise.csv", "--latex", "--label", labels[0], "--label", labels[1])
    table = capsys.readouterr().out
    assert re.findall(r"\\usepackage\{(.*?)\}", table) == ["booktabs"]
    text = (
        f"\\documentclass{{article}}\\usepackage{{{packages}}}\\begin{{document}}\\noindent\n{table}\\end{{document}}\n"
    )
    (folder / "table.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "table.tex"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="latin-1",
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_markdown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a.csv", ODD, "--md")
    lines = capsys.readouterr().out.splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]} == {8}
    assert lines[3].startswith(r"| \[a\]\_50%\&\#{x}\|\~^\\\*.csv | 12 | ")
    assert lines[-1].startswith("p (Holm) is corrected for the 1 comparison with A")


def test_tables_by_group_are_of_two_systems(folder: Path) -> None:
    with pytest.raises(InputError, match="--by: goes with A and one B"):
        run(folder, "a.csv", ODD, "noise.csv", "--by", "snr")
