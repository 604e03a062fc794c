"""The hearlab command: scoring files, exit codes, one line for each error."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hearlab
from hearlab.audio import resample
from hearlab.cli import command_parser, main
from hearlab.listeners import load_listeners
from hearlab.metrics import haspi, haspi_better_ear, hasqi_better_ear, unit_seed
from hearlab.scoring.tracks import METRICS, TRACKS

RATE = 16000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Speech-like noise bursts, a noisier copy of them, and a listener."""
    rng = np.random.RandomState(0)
    seconds = np.arange(2 * RATE) / RATE
    envelope = np.clip(np.sin(2 * np.pi * 4 * seconds), 0, None)[:, None]
    clean = 0.05 * envelope * rng.standard_normal((2 * RATE, 2))
    noisy = clean + 0.01 * rng.standard_normal(clean.shape)
    soundfile.write(tmp_path / "clean.wav", clean, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "noisy.flac", noisy, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "mono.wav", clean[:, 0], RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "noisy44.wav", resample(noisy, RATE, 44100), 44100, subtype="PCM_16")
    audiogram = {
        "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
        "audiogram_levels_l": [10, 10, 20, 30, 40, 50],
        "audiogram_levels_r": [20, 20, 30, 40, 50, 60],
    }
    (tmp_path / "listeners.json").write_text(json.dumps({"L0064": audiogram}))
    return tmp_path


def score(
    files: Path, *arguments: str, reference: str = "clean.wav", processed: str = "noisy.flac", metric: str = "haspi"
) -> list[str]:
    names = ["--reference", str(files / reference), "--processed", str(files / processed)]
    listener = ["--listener", "L0064", "--listeners", str(files / "listeners.json")]
    return ["score", metric, *names, *listener, *arguments]


def test_score_equals_the_function(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(files, "--seed-name", "S06001", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    clean, noisy = (soundfile.read(files / name)[0] for name in ("clean.wav", "noisy.flac"))
    listener = load_listeners(files / "listeners.json")["L0064"]
    wanted = haspi_better_ear(clean, noisy, RATE, listener, rng=unit_seed("S06001"))
    assert result["score"] == wanted.score
    assert result["score"] == max(result["left"]["score"], result["right"]["score"])
    assert len(result["left"]["features"]) == 10
    assert main(score(files, "--seed-name", "S06001")) == 0
    assert capsys.readouterr().out.startswith(f"HASPI {wanted.score:.4f} (left ")


def test_a_typed_audiogram_and_a_table_give_the_listener_s_score(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--reference", str(files / "clean.wav"), "--processed", str(files / "noisy.flac"), "--seed-name", "x"]
    (files / "clinic.csv").write_text(
        "listener;ear;250;500;1000;2000;4000;6000\nL0064;L;10;10;20;30;40;50\nL0064;R;20;20;30;40;50;60\n"
    )
    typed = ["--audiogram", "10,10,20,30,40,50", "--audiogram-right", "20,20,30,40,50,60"]
    table = ["--listener", "L0064", "--listeners", str(files / "clinic.csv")]
    printed = []
    for listener in (score(files)[6:], typed, table):
        assert main(["score", "haspi", *names, *listener]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == printed[2]


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ([], "one listener is needed (wanted --listener with --listeners, or --audiogram)"),
        (["--audiogram", "1,2,3,4,5,6", "--listener", "L0064"], "one listener is needed"),
        (["--audiogram-right", "1,2,3,4,5,6"], "one listener is needed"),
        (["--listener", "L0064"], "--listeners is missing"),
        (["--audiogram", "1,2"], "audiogram: left ear: is none"),
    ],
)
def test_no_listener_or_two(files: Path, capsys: pytest.CaptureFixture[str], listener: list[str], message: str) -> None:
    names = ["--reference", str(files / "clean.wav"), "--processed", str(files / "noisy.flac")]
    assert main(["score", "haspi", *names, *listener]) != 0
    assert message in capsys.readouterr().err


def test_quality_of_speech(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(files, "--seed-name", "S06001", "--json", metric="hasqi")) == 0
    result = json.loads(capsys.readouterr().out)
    clean, noisy = (soundfile.read(files / name)[0] for name in ("clean.wav", "noisy.flac"))
    listener = load_listeners(files / "listeners.json")["L0064"]
    wanted = hasqi_better_ear(clean, noisy, RATE, listener, rng=unit_seed("S06001"))
    assert result["score"] == wanted.score == max(result["left"]["score"], result["right"]["score"])
    assert result["left"]["nonlinear"] == wanted.left.nonlinear
    assert result["right"]["linear"] == wanted.right.linear
    assert result["level"] == 100.0
    assert main(score(files, "--seed-name", "S06001", metric="hasqi")) == 0
    assert capsys.readouterr().out.startswith(f"HASQI {wanted.score:.4f} (left ")


def test_a_row_of_the_table_of_tracks_is_all_that_another_metric_takes(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = TRACKS["speech"]
    twin = replace(METRICS["hasqi"], name="twin", about="the same under another name")
    monkeypatch.setitem(TRACKS, "speech", replace(speech, metrics=(*speech.metrics, twin)))
    monkeypatch.setitem(METRICS, "twin", twin)
    printed = {}
    for name in ("hasqi", "twin"):
        assert main(score(files, "--seed-name", "S06001", metric=name)) == 0
        printed[name] = capsys.readouterr().out
    assert printed["twin"] == printed["hasqi"].replace("HASQI", "TWIN")


def test_other_rates_and_mono(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(files, "--seed-name", "x", "--json", processed="noisy44.wav")) == 0
    mixed = json.loads(capsys.readouterr().out)
    clean, noisy = soundfile.read(files / "clean.wav")[0], soundfile.read(files / "noisy44.wav")[0]
    left = load_listeners(files / "listeners.json")["L0064"].left
    wanted = haspi(clean[:, 0], RATE, noisy[:, 0], 44100, left, level=100.0, rng=unit_seed("x"))
    assert mixed["left"]["score"] == wanted.score
    assert main(score(files, "--seed-name", "x", "--json", reference="mono.wav")) == 0
    mono = json.loads(capsys.readouterr().out)
    noisy = soundfile.read(files / "noisy.flac")[0]
    wanted = haspi(clean[:, 0], RATE, noisy[:, 0], RATE, left, level=100.0, rng=unit_seed("x"))
    # A mono file is heard with both ears.
    assert mono["left"]["score"] == wanted.score
    assert mono["right"]["score"] != mono["left"]["score"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--listener", "L64"], r"listeners.json: unknown listener (found L64, wanted one of L0064"),
        (["--processed", "nothing.wav"], "nothing.wav: no such file"),
        (["--reference", "listeners.json"], "listeners.json: cannot be read as audio"),
    ],
)
def test_one_line_and_exit_code_one(
    files: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    option, value = change
    arguments = score(files)
    arguments[arguments.index(option) + 1] = value if option == "--listener" else str(files / value)
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_silent_and_short_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(files / "silent.wav", np.zeros((RATE, 2)), RATE)
    assert main(score(files, processed="silent.wav")) == 1
    assert "silent.wav: is silent" in capsys.readouterr().err
    soundfile.write(files / "short.wav", 0.1 * np.ones((20, 2)), RATE)
    assert main(score(files, reference="short.wav", processed="short.wav")) == 1
    assert "short.wav: cannot be scored against" in capsys.readouterr().err
    soundfile.write(files / "three.wav", 0.1 * np.ones((RATE, 3)), RATE)
    assert main(score(files, processed="three.wav")) == 1
    assert "three.wav: channels: wrong number of channels (found 3, wanted 1 or 2)" in capsys.readouterr().err


def test_debug_shows_the_traceback(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", *score(files, processed="nothing.wav")]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_wrong_stage_is_a_wrong_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stage", "scores_speech"]) == 2
    assert "did you mean score_speech?" in capsys.readouterr().err
    assert main(["stage", "prepare"]) == 2
    assert "params.yaml: no such file; run from the root of the repository" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """Nothing can be said; the exit code is what it would be."""
    command = f'exec "{sys.executable}" -m hearlab.cli stage none {closed}'
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 2


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    command = f'rmdir "$PWD"; exec "{sys.executable}" -m hearlab.cli stage check_params'
    (tmp_path / "gone").mkdir()
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "hearlab: the current folder: has been removed; change to one that is there\n"


def test_the_installed_command_runs() -> None:
    command = Path(sys.executable).with_name("hearlab")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"hearlab {hearlab.__version__}\n"


def help_texts(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, str]]:
    """The help of a parser and of all that are below it."""
    yield name, parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, below in action.choices.items():
                yield from help_texts(below, f"{name} {inner}")


def test_no_help_text_shows_a_doubled_percent_sign() -> None:
    """argparse formats the help of an argument, where it has to be doubled, and not the text above the arguments."""
    texts = dict(help_texts(command_parser(), "hearlab"))
    assert {"hearlab", "hearlab compare", "hearlab leaderboard add"} <= texts.keys()
    assert [name for name, text in texts.items() if "%%" in text or "%(" in text] == []
    assert "95 % interval" in " ".join(texts["hearlab compare"].split())
