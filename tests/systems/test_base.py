"""Loading a system by its dotted name, and checking what it returns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlab.errors import InputError, ParameterError
from hearlab.systems import EnhancementSystem, check_music_output, check_speech_output, load_system
from hearlab.systems.base import is_baseline
from hearlab.systems.baseline import Baseline

MODULE = """
import numpy as np

NOT_A_CLASS = 3

class Both:
    def __init__(self, *, gain=1.0, weights=None):
        self.gain = gain
    def speech(self, microphones, rate, listener):
        return self.gain * microphones["CH1"]
    def music(self, stems, rate, listener):
        return stems

class Anything(Both):
    def __init__(self, **params):
        self.params = params

class Needs(Both):
    def __init__(self, weights, size=3):
        self.weights = weights

class Fails(Both):
    def __init__(self):
        raise OSError("no weights here")

class NoSpeech:
    def music(self, stems, rate, listener):
        return stems

class NoMusic:
    def speech(self, microphones, rate, listener):
        return microphones["CH1"]

class OtherArguments(Both):
    def speech(self, microphones, rate):
        return microphones["CH1"]

class Static:
    @staticmethod
    def speech(microphones, rate, listener):
        return microphones["CH1"]
    @classmethod
    def music(cls, stems, rate, listener):
        return stems
"""


@pytest.fixture
def entrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the module path with an entrant's modules; they are forgotten afterwards."""
    (tmp_path / "entrant_lab").mkdir()
    (tmp_path / "entrant_lab" / "__init__.py").touch()
    (tmp_path / "entrant_lab" / "net.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("entrant_lab"):
            del sys.modules[name]


# --- loading


def test_loads_with_parameters(entrant: Path) -> None:
    system: Any = load_system("entrant_lab.net:Both", {"gain": 2.0})
    assert isinstance(system, EnhancementSystem)
    assert system.gain == 2.0


def test_constructor_that_takes_anything(entrant: Path) -> None:
    system: Any = load_system("entrant_lab.net:Anything", {"alpha": 1, "beta": [2]})
    assert system.params == {"alpha": 1, "beta": [2]}


def test_static_and_class_methods(entrant: Path) -> None:
    system = load_system("entrant_lab.net:Static", {})
    assert system.music({}, 44100, None) == {}  # type: ignore[arg-type]


def test_loads_the_baseline() -> None:
    name = "hearlab.systems.baseline:Baseline"
    assert is_baseline(name)
    assert not is_baseline("entrant_lab.net:Both")
    assert isinstance(load_system(name, {"gain": 3, "nalr": {"taps": 140}}), Baseline)


@pytest.mark.parametrize("name", ["", "net", "net.Both", "net:", ":Both", "my-lab.net:Both", "net:Both()", "a..b:C", 3])
def test_malformed_name(name: Any) -> None:
    with pytest.raises(ParameterError, match=r"^enhance\.system: malformed name .*wanted package\.module:Class"):
        load_system(name, {})


@pytest.mark.parametrize("name", ["entrant_lab.nets:Both", "entrant_labs.net:Both", "entrant_lab.net.deep:Both"])
def test_no_such_module(entrant: Path, name: str) -> None:
    with pytest.raises(ParameterError, match=r"^enhance\.system: no such module .*PYTHONPATH"):
        load_system(name, {})


def test_module_that_needs_another(entrant: Path) -> None:
    (entrant / "entrant_lab" / "deep.py").write_text("import a_library_nobody_has")
    with pytest.raises(
        ParameterError, match=r"entrant_lab\.deep needs a module that is not installed \(found a_library_nobody_has\)"
    ):
        load_system("entrant_lab.deep:Net", {})


@pytest.mark.parametrize(("text", "told"), [("1 +", "SyntaxError"), ("1 / 0", "ZeroDivisionError: division by zero")])
def test_module_that_cannot_be_imported(entrant: Path, text: str, told: str) -> None:
    (entrant / "entrant_lab" / "broken.py").write_text(text)
    with pytest.raises(ParameterError, match=rf"entrant_lab\.broken cannot be imported \(found {told}") as caught:
        load_system("entrant_lab.broken:Net", {})
    assert caught.value.__cause__ is not None


def test_no_such_class(entrant: Path) -> None:
    with pytest.raises(ParameterError, match=r"entrant_lab\.net has no such class \(found Bath, wanted one of .*Both"):
        load_system("entrant_lab.net:Bath", {})
    with pytest.raises(ParameterError, match=r"is not a class \(found NOT_A_CLASS"):
        load_system("entrant_lab.net:NOT_A_CLASS", {})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("NoSpeech", r"speech: method is missing \(wanted speech\(microphones, rate, listener\)\)"),
        ("NoMusic", r"music: method is missing \(wanted music\(stems, rate, listener\)\)"),
        ("OtherArguments", r"speech: method takes other arguments \(found speech\(self, microphones, rate\)"),
    ],
)
def test_missing_method(entrant: Path, name: str, line: str) -> None:
    with pytest.raises(ParameterError, match=rf"^entrant_lab\.net:{name}: {line}"):
        load_system(f"entrant_lab.net:{name}", {})


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        (
            "Both",
            {"gian": 3},
            r"gian: constructor has no such parameter \(wanted one of gain, weights\); did you mean g",
        ),
        ("NoInit", {"gain": 3}, r"gain: constructor has no such parameter \(wanted no parameters\)"),
        ("Needs", {"size": 3}, r"weights: constructor needs a parameter; .*\+enhance\.params\.weights="),
        ("Fails", {}, r"could not be constructed \(found OSError: no weights here\)"),
    ],
)
def test_parameters_that_do_not_fit(entrant: Path, name: str, params: dict[str, Any], line: str) -> None:
    path = entrant / "entrant_lab" / "net.py"
    path.write_text(path.read_text() + "\nclass NoInit(Static):\n    pass\n")
    with pytest.raises(ParameterError, match=rf"^entrant_lab\.net:{name}: {line}") as caught:
        load_system(f"entrant_lab.net:{name}", params)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"gain": "loud"}, "gain: wrong value .*found 'loud'"),
        ({"soft_clip": 1}, "soft_clip: wrong value .*true or false"),
        ({"nalr": {"taps": 221}}, "nalr.taps: wrong number of taps .*found 221"),
        ({"nalr": {"tap": 220}}, "nalr.tap: unknown key .*one of taps"),
        ({"nalr": 220}, "nalr: must be keys and values"),
        ({"compressor": {"threshold": -1}}, "compressor.threshold: wrong value .*found -1"),
        ({"compressor": {"ratio": 2}}, "compressor.ratio: unknown key .*attack"),
    ],
)
def test_wrong_values_for_the_baseline(params: dict[str, Any], line: str) -> None:
    with pytest.raises(ParameterError, match=rf"^hearlab\.systems\.baseline:Baseline: {line}"):
        load_system("hearlab.systems.baseline:Baseline", params)


# --- outputs


def test_good_output_becomes_float64() -> None:
    output = np.ones((5, 2), dtype=np.float32)
    checked = check_speech_output(output, "my_lab.net:Net")
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, output)


def _with(value: float) -> np.ndarray:
    output = np.zeros((5, 2))
    output[3, 1] = value
    return output


WRONG = [
    (None, "must return an array .*found NoneType"),
    ([[0.0, 0.0]], "must return an array .*found list"),
    (np.zeros((5, 2), dtype=np.int16), "must return floats .*found int16"),
    (np.zeros((5, 2), dtype=complex), "must return floats .*found complex128"),
    (np.zeros(5), r"returned the wrong shape .*found \(5,\), wanted .*\(n, 2\)"),
    (np.zeros((5, 1)), r"returned the wrong shape .*found \(5, 1\)"),
    (np.zeros((2, 5)), r"returned the wrong shape .*found \(2, 5\).*transpose it"),
    (np.zeros((0, 2)), r"returned the wrong shape .*found \(0, 2\)"),
    (_with(np.nan), "sample 3 channel 1: is not a finite number .*found nan"),
    (_with(-np.inf), "sample 3 channel 1: is not a finite number .*found -inf"),
]


def test_a_tensor_gets_the_hint_how_to_make_an_array_of_it() -> None:
    tensor = pytest.importorskip("torch", reason="torch is not installed: make test installs it").zeros(5, 2)
    hint = r"must return an array \(found torch\.Tensor, .*\); return tensor\.detach\(\)\.cpu\(\)\.numpy\(\)"
    with pytest.raises(InputError, match=hint):
        check_speech_output(tensor, "my_lab.net:Net")
    check_speech_output(tensor.detach().cpu().numpy(), "my_lab.net:Net")


@pytest.mark.parametrize(("output", "line"), WRONG)
def test_wrong_speech_output(output: Any, line: str) -> None:
    with pytest.raises(InputError, match=rf"^my_lab\.net:Net\.speech for S06001 L0064: {line}"):
        check_speech_output(output, "my_lab.net:Net", unit="S06001 L0064")
    with pytest.raises(InputError, match=rf"^my_lab\.net:Net\.speech: {line}"):
        check_speech_output(output, "my_lab.net:Net")


@pytest.mark.parametrize(("output", "line"), WRONG)
def test_wrong_stem(output: Any, line: str) -> None:
    stems = {"vocals": np.zeros((5, 2)), "bass": np.zeros((5, 2))}
    with pytest.raises(InputError, match=rf"^my_lab\.net:Net\.music: bass: {line}"):
        check_music_output({**stems, "bass": output}, stems, "my_lab.net:Net")


def test_music_output() -> None:
    stems = {"vocals": np.zeros((5, 2)), "bass": np.zeros((5, 2))}
    longer = {"bass": np.ones((7, 2), dtype=np.float32), "vocals": np.ones((7, 2))}
    checked = check_music_output(longer, stems, "my_lab.net:Net")
    assert list(checked) == ["vocals", "bass"]
    assert all(stem.dtype == np.float64 and stem.shape == (7, 2) for stem in checked.values())
    for wrong, line in [
        (None, "must return a dictionary .*found NoneType"),
        ({"vocals": stems["vocals"]}, "the keys it was given .*found vocals, wanted vocals, bass"),
        (stems | {"drums": stems["bass"]}, "the keys it was given .*found vocals, bass, drums"),
        (stems | {"bass": np.zeros((6, 2))}, "stems differ in length .*found vocals 5, bass 6"),
    ]:
        with pytest.raises(InputError, match=rf"^my_lab\.net:Net\.music: .*{line}"):
            check_music_output(wrong, stems, "my_lab.net:Net")
