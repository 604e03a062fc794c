"""The system whose filters are fitted: the baseline's music where nothing is fitted, and files that it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlab.datasets.layout import STEMS
from hearlab.errors import InputError, ParameterError
from hearlab.files import write_json
from hearlab.fitting.stem_filters import CENTRES, StemFilter
from hearlab.listeners import Audiogram, Listener
from hearlab.params import load_params
from hearlab.systems.base import FITTED, load_system, system_arguments
from hearlab.systems.baseline import Baseline
from hearlab.systems.fitted import Fitted, filters_content, filters_file

RATE = 44100
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000, 8000]
LISTENER = Listener(
    "L1", Audiogram([10, 20, 30, 40, 50, 60, 70], FREQUENCIES), Audiogram([40, 45, 50, 55, 60, 65, 70], FREQUENCIES)
)
ROUNDING = 1e-12  # of sums of products of numbers below 1
HALF = (-0.5,) * len(CENTRES)


def write(folder: Path, listener: Listener = LISTENER, **filters: dict[str, StemFilter]) -> None:
    for stem in STEMS:
        fitted = filters.get(stem, {"left": StemFilter(), "right": StemFilter()})
        content = filters_content(listener, stem, fitted, {"left": [0.2, 0.3], "right": None})
        path = filters_file(folder, listener.id, stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)


@pytest.fixture
def stems() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {stem: 0.02 * rng.standard_normal((6000, 2)) for stem in STEMS}


def test_nothing_fitted_is_the_baseline(tmp_path: Path, stems: dict[str, np.ndarray]) -> None:
    write(tmp_path)
    found, wanted = Fitted(filters=str(tmp_path)).music(stems, RATE, LISTENER), Baseline().music(stems, RATE, LISTENER)
    assert list(found) == list(STEMS)
    for stem in STEMS:
        np.testing.assert_allclose(found[stem], wanted[stem], rtol=0, atol=ROUNDING)
    microphones = {"CH1": stems["bass"]}
    speech = Fitted().speech(microphones, RATE, LISTENER)
    np.testing.assert_array_equal(speech, Baseline().speech(microphones, RATE, LISTENER))


def test_each_ear_and_stem_has_its_own_filters(tmp_path: Path, stems: dict[str, np.ndarray]) -> None:
    louder = {"left": StemFilter((6.0,) * len(CENTRES)), "right": StemFilter()}
    cleaner = {"left": StemFilter(), "right": StemFilter(shares={"drums": HALF})}
    write(tmp_path, bass=louder, vocals=cleaner)
    found, nalr = Fitted(filters=str(tmp_path)).music(stems, RATE, LISTENER), Baseline().music(stems, RATE, LISTENER)
    wanted = {name: samples.copy() for name, samples in nalr.items()}
    wanted["bass"][:, 0] *= 10 ** (6 / 20)
    wanted["vocals"][:, 1] -= 0.5 * nalr["drums"][:, 1]
    for stem in STEMS:
        np.testing.assert_allclose(found[stem], wanted[stem], rtol=0, atol=ROUNDING)


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edited(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edited


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (Path.unlink, "bass.json: there are no filters fitted to this listener; dvc repro fit_music makes it"),
        (edit(lambda content: content.update(stem="drums")), "bass.json: is no file of this stem's filters"),
        (
            edit(lambda content: content["listener"].update(audiogram_levels_l=[0] * 7)),
            "bass.json: listener: was fitted",
        ),
        (edit(lambda content: content["left"].pop("shares")), "bass.json: left: is damaged"),
        (edit(lambda content: content.update(right=3)), "bass.json: right: is damaged"),
        (edit(lambda content: content["left"]["correction"].pop()), "bass.json: left.correction: has other values"),
        (
            edit(lambda content: content["left"]["correction"].append(99)),
            "bass.json: left.correction: has other values",
        ),
        (edit(lambda content: content.update(frequencies=[1, 2])), "bass.json: frequencies: has other bands"),
        (lambda path: path.write_text("{"), "bass.json: "),
        (edit(lambda content: content["left"]["shares"].update(flute=HALF)), "stems: stem is missing"),
    ],
)
def test_filters_that_do_not_serve(
    tmp_path: Path, stems: dict[str, np.ndarray], spoil: Callable[[Path], None], line: str
) -> None:
    write(tmp_path)
    spoil(filters_file(tmp_path, "L1", "bass"))
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        Fitted(filters=str(tmp_path)).music(stems, RATE, LISTENER)
    assert "\n" not in str(caught.value)


def test_without_filters_or_with_unequal_stems(tmp_path: Path, stems: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"fitted: has no filters; run it by the stage enhance_music"):
        Fitted().music(stems, RATE, LISTENER)
    write(tmp_path)
    with pytest.raises(InputError, match="stems: differ in length"):
        Fitted(filters=str(tmp_path)).music({**stems, "bass": stems["bass"][:-1]}, RATE, LISTENER)
    with pytest.raises(InputError, match="stem bass: wrong shape"):
        Fitted(filters=str(tmp_path)).music({**stems, "bass": stems["bass"][:, 0]}, RATE, LISTENER)


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"step": 3}, f"{FITTED}: step: constructor has no such parameter"),
        ({"steps": "many"}, f"{FITTED}: steps: wrong value (found 'many', wanted a whole number"),
        ({"taps": -2}, f"{FITTED}: taps: wrong value"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], line: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(line)) as caught:
        load_system(FITTED, params)
    assert "\n" not in str(caught.value)


def test_made_from_params_yaml() -> None:
    """Its constructor takes nothing of the baseline's section."""
    enhance = load_params(Path(__file__).parents[2] / "params.yaml").enhance
    arguments = system_arguments(enhance.model_copy(update={"system": FITTED, "params": {"taps": 100}}))
    assert json.loads(arguments["constructor"]) == {"taps": 100}
