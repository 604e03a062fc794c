"""`hearlab.open`: signals, systems and scores from Python, the same numbers as the pipeline's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_workspace import LISTENERS, OWN, RATE, SCENE, SONG, table

import hearlab
from hearlab.audio import read_audio, rms, write_wav
from hearlab.datasets.layout import STEMS
from hearlab.errors import InputError, ParameterError
from hearlab.lab import fixed
from hearlab.lab.laboratory import Lab
from hearlab.listeners import Listener
from hearlab.systems.baseline import Baseline

ENHANCED = Path("data/demo/enhanced")


@pytest.fixture
def lab(finished: Path) -> Lab:
    return hearlab.open(finished)


def test_the_scores_are_the_pipeline_s(finished: Path, lab: Lab) -> None:
    speech, before = (table(finished / "metrics" / name) for name in ("speech.csv", "speech_unprocessed.csv"))
    music = table(finished / "metrics" / "music.csv")
    assert {(SCENE, "L1"), (SCENE, "L2")} == set(speech)
    for (scene, listener), row in speech.items():
        assert 0 < row["haspi"] < 1
        assert lab.score(scene, listener) == row
        assert lab.score(scene, listener, lab.enhance(scene, listener)) == row
        assert lab.score(scene, listener, finished / ENHANCED / f"{scene}_{listener}_HA-output.wav") == row
        assert lab.unprocessed(scene, listener) == before[scene, listener] != row
    (pair,) = music
    wanted = {"haaqi": music[pair].pop("score"), **music[pair]}
    assert lab.score(*pair) == wanted
    assert lab.score(*pair, lab.enhance(*pair)) == wanted
    assert lab.score(*pair, finished / "data/demo/enhanced_music") == wanted
    assert len(set(wanted.values())) == len(wanted) == 9


def test_a_process_beside_this_one_gives_the_same(
    finished: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch, own: Path, tmp_path: Path
) -> None:
    """As in a notebook whose numpy was loaded before."""
    monkeypatch.setattr(fixed, "is_as_pipeline", lambda: False)
    wanted = table(finished / "metrics" / "speech.csv")[SCENE, "L1"]
    assert lab.score(SCENE, "L1") == wanted
    assert lab._pipeline is not None
    process = lab._pipeline._process
    assert process is not None
    mine = lab.with_parameters("enhance.system=tiny_lab.net:Mine")
    assert mine.score(SCENE, "L1", lab.enhance(SCENE, "L1")) == wanted
    write_wav(tmp_path / "slow.wav", np.zeros((9, 2), np.int16), 8000)
    with pytest.raises(InputError, match=r"_HA-output\.wav: sample rate: wrong sample rate \(found 8000 Hz"):
        lab.score(SCENE, "L1", tmp_path / "slow.wav")
    process.kill()
    with pytest.raises(InputError, match=r"the process that scores: has ended \(found exit code -9\); try it again"):
        lab.score(SCENE, "L1")
    assert lab.score(SCENE, "L1") == wanted
    process = lab._pipeline._process
    lab.close()
    assert process.poll() == 0


def test_the_signals(finished: Path, lab: Lab) -> None:
    assert (lab.scenes, lab.songs) == ([SCENE], [SONG])
    assert lab.pairs(SCENE) == list(lab.listeners(SCENE)) == list(LISTENERS)
    assert lab.pairs(SONG) == ["L2"]
    scene = lab.signals(SCENE)
    assert list(scene.microphones) == ["CH0", "CH1", "CH2", "CH3"]
    file = finished / f"data/demo/rendered/dev/{SCENE}_mix_CH2.wav"
    np.testing.assert_array_equal(scene.microphones["CH2"], read_audio(file)[0])
    assert scene.reference.dtype == np.float64
    for ear in (0, 1):  # as loud as the target in the room, and not as the file of the reference
        assert rms(scene.reference[:, ear]) == pytest.approx(rms(scene.target[:, ear]), rel=1e-12)
    song = lab.signals(SONG)
    assert (scene.rate, song.rate, set(song.stems)) == (RATE, RATE, set(STEMS))
    np.testing.assert_allclose(song.stems["bass"], 0.5 * song.references["bass"], atol=1 / 32768)


def test_other_parameters_and_systems(lab: Lab) -> None:
    plain = lab.score(SCENE, "L2")
    louder = lab.with_parameters("enhance.gain=12")
    assert louder.score(SCENE, "L2") != plain == lab.score(SCENE, "L2")
    assert lab.with_system(Baseline(gain=12.0)).score(SCENE, "L2") == louder.score(SCENE, "L2")
    assert isinstance(lab.system, Baseline)
    with pytest.raises(ParameterError, match=r"params\.yaml: enhance\.gian: unknown key .*did you mean gain"):
        lab.with_parameters("+enhance.gian=3")
    both = lab.with_parameters("evaluate.speech_metrics=[haspi,hasqi]")
    assert both.score(SCENE, "L2")["haspi"] == plain["haspi"] != both.score(SCENE, "L2")["hasqi"]


def test_a_trial_keeps_the_sound(finished: Path, lab: Lab) -> None:
    killed = finished / ".hearlab" / "try" / ".trial-killed"
    (killed / "x").mkdir(parents=True)
    os.utime(killed, (0, 0))
    trial = lab.trial(SCENE, "L1")
    assert trial.scores == table(finished / "metrics" / "speech.csv")[SCENE, "L1"]
    name = f"{SCENE}_L1_HA-output.wav"
    assert trial.sound == Path(".hearlab/try") / name
    assert (finished / trial.sound).read_bytes() == (finished / ENHANCED / name).read_bytes()
    remix = lab.trial("ærø", "L2").sound
    assert (finished / remix).read_bytes() == (
        finished / "data/demo/enhanced_music" / remix.relative_to(".hearlab/try")
    ).read_bytes()
    assert not [path for path in (finished / ".hearlab/try").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "listener", "line"),
    [
        ("S9", "L1", r"scene or song: is not known \(found S9, wanted such as S1"),
        ("", "L1", r"scene or song: is not unique"),
        ("../x", "L1", "scene or song: is not known"),
        (SCENE, "L3", r"listeners\.json: unknown listener \(found L3"),
        (SONG, "L1", r"listeners\.valid\.json: unknown listener \(found L1"),
    ],
)
def test_unknown_names(lab: Lab, name: str, listener: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        lab.enhance(name, listener)


class Silent(Baseline):
    def speech(self, microphones: Any, rate: int, listener: Listener) -> Any:
        return 0 * super().speech(microphones, rate, listener)


def test_a_sound_that_cannot_be_scored_is_kept_and_named(finished: Path, lab: Lab) -> None:
    kept = f".hearlab/try/{SCENE}_L1_HA-output.wav"
    (finished / kept).unlink(missing_ok=True)
    with pytest.raises(InputError) as error:
        lab.with_system(Silent()).trial(SCENE, "L1")
    assert str(error.value).startswith(f"{kept}: ")
    assert "silent" in str(error.value)
    assert not read_audio(finished / kept, silence=True)[0].any()


def test_a_song_that_is_not_evaluated_can_be_tried(lab: Lab) -> None:
    none_of_them = lab.with_parameters("evaluate.songs=[another]", "evaluate.small_test=true")
    assert none_of_them.score(SONG, "L2") == lab.score(SONG, "L2")


def test_what_is_no_output(lab: Lab) -> None:
    with pytest.raises(InputError, match=r"output\.speech: must return an array"):
        lab.score(SCENE, "L1", [0.0])
    with pytest.raises(InputError, match=r"output\.music: must return|output: must return a dictionary"):
        lab.score(SONG, "L2", np.zeros((9, 2)))
    with pytest.raises(InputError, match="no such file"):
        lab.score(SCENE, "L1", "missing.wav")


class Failing:
    """A system whose helper fails."""

    def speech(self, microphones: object, rate: int, listener: object) -> object:
        return self._helper()

    def _helper(self) -> object:
        return np.ones(3) + np.ones(4)

    def music(self, stems: object, rate: int, listener: object) -> object:
        sys.exit("enough")


def test_an_error_names_the_line_of_the_user(lab: Lab) -> None:
    mine = lab.with_system(Failing())  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"test_laboratory\.py: line \d+, in _helper: ValueError: operands could"
    ) as told:
        mine.enhance(SCENE, "L1")
    cause = told.value.__cause__
    assert isinstance(cause, ValueError)
    assert cause.__traceback__ is not None
    assert cause.__traceback__.tb_frame.f_code.co_name == "speech"  # the traceback begins in the user's code
    with pytest.raises(
        InputError, match=r"test_laboratory\.py: line \d+, in music: the program was ended by sys\.exit"
    ):
        mine.enhance(SONG, "L2")


def test_a_package_that_cannot_be_imported(lab: Lab, own: Path) -> None:
    (own / "net.py").write_text("import json\n" + OWN + "\n\nraise KeyError('no such weights')\n")
    with pytest.raises(InputError, match=r"tiny_lab/net\.py: line \d+, in <module>: KeyError: 'no such weights'"):
        _ = lab.with_parameters("enhance.system=tiny_lab.net:Mine").system


def test_it_opens_quickly_and_lazily(finished: Path) -> None:
    code = "import sys, hearlab; assert 'numpy' not in sys.modules; print(hearlab.open('.').scenes)"
    done = subprocess.run([sys.executable, "-c", code], cwd=finished, capture_output=True, text=True)
    assert done.stdout == f"['{SCENE}']\n", done.stderr
    with pytest.raises(AttributeError, match="no attribute 'shut'"):
        _ = hearlab.shut
    with pytest.raises(ParameterError, match=r"params\.yaml: no such file"):
        hearlab.open(finished / "data")
