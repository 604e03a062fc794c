"""`hearlab.open`: signals, systems and scores from Python, the same numbers as the pipeline's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_workspace import LISTENERS, OWN, RATE, SCENE, SONG, make_workspace, table

import hearlab
from hearlab.audio import read_audio, rms, write_wav
from hearlab.datasets.layout import STEMS
from hearlab.errors import InputError, ParameterError
from hearlab.files import read_yaml
from hearlab.lab import fixed
from hearlab.lab.laboratory import Lab
from hearlab.listeners import Listener
from hearlab.systems.base import BASELINE
from hearlab.systems.baseline import Baseline
from hearlab.versions.scratch import scratch_folder

ENHANCED = Path("data/demo/enhanced")


@pytest.fixture
def lab(finished: Path) -> Lab:
    return hearlab.open(finished)


@pytest.mark.slow
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


@pytest.mark.slow
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


class Passing:
    """A hearing aid that does nothing."""

    def speech(self, microphones: Any, rate: int, listener: Listener) -> Any:
        return microphones["CH1"]

    def music(self, stems: Any, rate: int, listener: Listener) -> Any:
        return stems


# What each change of a lab says of its gain, of the level of its scores, and of its system.
CHANGES: dict[str, tuple[Callable[[Lab], Lab], dict[str, Any]]] = {
    "gain": (lambda lab: lab.with_parameters("enhance.gain=12"), {"gain": 12.0}),
    "other gain": (lambda lab: lab.with_parameters("enhance.gain=-3"), {"gain": -3.0}),
    "level": (lambda lab: lab.with_parameters("evaluate.level=90"), {"level": 90.0}),
    "named": (lambda lab: lab.with_parameters("enhance.system=tiny_lab.net:Mine"), {"system": "Mine"}),
    "baseline": (lambda lab: lab.with_parameters(f"enhance.system={BASELINE}"), {"system": "Baseline"}),
    "object": (lambda lab: lab.with_system(Passing()), {"system": "Passing"}),
}


@pytest.mark.parametrize("first", CHANGES)
def test_each_change_keeps_those_before_it(lab: Lab, own: Path, first: str) -> None:
    once = CHANGES[first][0](lab)
    for second, (change, said) in CHANGES.items():
        if first == "object" and second in ("gain", "other gain"):  # nothing of it would be heard
            with pytest.raises(ParameterError, match=r"does not reach the object of with_system") as told:
                change(once)
            assert "enhance.gain" in str(told.value)
            continue
        wanted = {"gain": 0.0, "level": 100.0, "system": "Baseline"} | CHANGES[first][1] | said
        both = change(once)
        assert (both.params.enhance.gain, both.params.evaluate.level) == (wanted["gain"], wanted["level"]), second
        assert type(both.system).__name__ == wanted["system"], second
        assert lab.params.enhance.gain == 0.0, second
        assert isinstance(lab.system, Baseline), second


def test_changes_one_by_one_score_as_together(lab: Lab, own: Path) -> None:
    together = lab.with_parameters("enhance.gain=12", "evaluate.level=90")
    one_by_one = lab.with_parameters("enhance.gain=12").with_parameters("evaluate.level=90")
    assert one_by_one.score(SCENE, "L2") == together.score(SCENE, "L2") != lab.score(SCENE, "L2")
    heard = lab.signals(SCENE).microphones["CH1"]  # type: ignore[union-attr]
    softer = lab.with_parameters("evaluate.level=90")
    wanted = softer.score(SCENE, "L2", heard)
    assert lab.with_system(Passing()).with_parameters("evaluate.level=90").score(SCENE, "L2") == wanted
    assert softer.with_system(Passing()).score(SCENE, "L2") == wanted != softer.score(SCENE, "L2")


def test_what_a_system_does_not_take_is_said_once(finished: Path, own: Path, caplog: pytest.LogCaptureFixture) -> None:
    mine = hearlab.open(finished, "enhance.system=tiny_lab.net:Mine", "enhance.gain=6")
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("warning: enhance.gain: not used by tiny_lab.net:Mine, ")
    mine.with_parameters("evaluate.level=90").with_parameters("++enhance.params.gain=3")
    hearlab.open(finished, "enhance.gain=6").with_parameters("evaluate.level=90").with_system(Passing())
    assert len(caplog.records) == 1
    hearlab.open(finished, "enhance.gain=6").with_parameters("enhance.system=tiny_lab.net:Mine")
    assert len(caplog.records) == 2


def test_params_yaml_is_read_when_the_lab_is_opened(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "lab")
    lab = hearlab.open(root)
    content = read_yaml(root / "params.yaml")
    assert lab.with_parameters("seed=5").with_parameters(f"seed={content['seed']}").params == lab.params
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("gain: 0", "gain: 6"))
    assert lab.with_parameters("seed=5").params.enhance.gain == 0.0
    assert hearlab.open(root, "seed=5").params.enhance.gain == 6.0


def test_a_trial_keeps_the_sound(finished: Path, lab: Lab) -> None:
    trial = lab.trial(SCENE, "L1")
    assert trial.scores == table(finished / "metrics" / "speech.csv")[SCENE, "L1"]
    name = f"{SCENE}_L1_HA-output.wav"
    assert trial.sound == Path(".hearlab/try") / name
    assert (finished / trial.sound).read_bytes() == (finished / ENHANCED / name).read_bytes()
    remix = lab.trial("ærø", "L2").sound
    assert (finished / remix).read_bytes() == (
        finished / "data/demo/enhanced_music" / remix.relative_to(".hearlab/try")
    ).read_bytes()


def test_what_killed_trials_left_is_removed(finished: Path, lab: Lab) -> None:
    trials = finished / ".hearlab" / "try"
    (trials / ".trial-killed" / "made").mkdir(parents=True)
    with scratch_folder(trials, ".trial-") as of_another:
        lab.trial(SCENE, "L1")
        assert list(trials.glob(".trial-*")) == [of_another]


@pytest.mark.parametrize(
    ("name", "listener", "line"),
    [
        ("S9", "L1", r"scene or song: is not known \(found S9, wanted such as S1"),
        ("", "L1", r"scene or song: is not unique"),
        ("../x", "L1", "scene or song: is not known"),
        (SCENE, "L3", r"listeners\.json: unknown listener \(found L3, wanted one of L1, L2\)"),
        (SONG, "L1", r"listeners\.valid\.json: unknown listener \(found L1, wanted one of L2\)"),
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
