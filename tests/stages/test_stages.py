"""What the stages refuse, before or after any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlab.audio import write_wav
from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.code.definitions import Reached
from hearlab.errors import InputError, ParameterError
from hearlab.files import read_yaml
from hearlab.params import check_params, flat, load_params
from hearlab.scoring.tracks import METRICS, TRACKS
from hearlab.stages import STAGES, module_name, run_stage, stage_units
from hearlab.stages.check_params import OF_BASELINE, untaken_params
from hearlab.stages.enhance_speech import used_channels
from hearlab.stages.score_speech import write_results
from hearlab.systems.baseline import Baseline
from hearlab.systems.learned import Learned

Make = Callable[..., Path]
AUDIOGRAM = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [20] * 6,
    "audiogram_levels_r": [30] * 6,
}


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def paired(repository: Make) -> Path:
    """A data set with one scene in the lists, two listeners, and no audio."""
    folder = repository()
    data = folder / "data" / "demo"
    put(data / "inputs" / "clarity_data" / "metadata" / "listeners.json", {"L1": AUDIOGRAM, "L2": AUDIOGRAM})
    put(data / "inputs" / "clarity_data" / "metadata" / "scenes_listeners.dev.json", {"S1": ["L1", "L2"]})
    put(data / "scene_lists" / "scenes.dev.json", [{"scene": "S1", "SNR": 1.0, "room": "R1"}])
    put(data / "scene_lists" / "rooms.dev.json", [{"name": "R2"}])
    return folder


def microphones(folder: Path, samples: np.ndarray) -> None:
    for channel in range(4):
        write_wav(folder / "data" / "demo" / "rendered" / "dev" / f"S1_mix_CH{channel}.wav", samples, 44100)


def test_every_stage_of_dvc_yaml_exists() -> None:
    import importlib

    text = (Path(__file__).resolve().parents[2] / "dvc.yaml").read_text()
    for name in STAGES:
        assert f"cmd: hearlab stage {name}" in text
        module = importlib.import_module(module_name(name))
        # Either a list of units, or one piece.
        assert callable(getattr(module, "units", None)) is not callable(getattr(module, "run", None))


def test_unknown_stage(repository: Make) -> None:
    repository()
    with pytest.raises(ParameterError, match=r"unknown stage \(found score, .*did you mean score_speech|unknown stage"):
        run_stage("score")
    with pytest.raises(ParameterError, match="wrong number of arguments"):
        run_stage("render_scenes")
    with pytest.raises(ParameterError, match="unknown split"):
        run_stage("render_scenes", ["test"])


def test_parameters_of_the_baseline_that_a_system_does_not_take() -> None:
    content = read_yaml(Path(__file__).resolve().parents[2] / "params.yaml")
    assert flat(OF_BASELINE).items() <= flat(content["enhance"]).items()

    def told(system: str, **changes: Any) -> str:
        enhance = content["enhance"] | {"system": system} | changes
        return untaken_params(check_params(content | {"enhance": enhance}))

    changes: dict[str, Any] = {"gain": 6, "nalr": {"taps": 100}, "soft_clip": False}
    assert told("hearlab.systems.baseline:Baseline", **changes) == ""
    assert told("hearlab.systems.learned:Learned", **changes) == ""
    assert told("my_lab.net:Mine") == told("my_lab.net:Mine", soft_clip=False) == ""  # the remix is clipped by it
    line = told("my_lab.net:Mine", **changes)
    assert line.startswith("enhance.gain, enhance.nalr.taps: not used by my_lab.net:Mine, ")
    assert line.endswith("-S ++enhance.params.gain=6.0")


def test_check_params_warns_once_of_what_is_not_taken(repository: Make, caplog: pytest.LogCaptureFixture) -> None:
    repository({"enhance.system": "hearlab.systems.fitted:Fitted", "enhance.gain": 6})
    run_stage("check_params")
    assert [record.getMessage()[:21] for record in caplog.records] == ["warning: enhance.gain"]


def test_a_misspelt_system_is_told_by_check_params(repository: Make) -> None:
    repository({"enhance.system": "hearlab.systems.baseline:Baselin"})
    with pytest.raises(ParameterError, match=r"enhance\.system: .*no such class .*Baseline"):
        run_stage("check_params")


def test_own_params_reach_the_baseline_s_constructor(repository: Make) -> None:
    repository({"enhance.params": {"gian": 3}})
    with pytest.raises(ParameterError, match="gian: constructor has no such parameter"):
        run_stage("check_params")


def test_real_data_that_is_not_there(repository: Make) -> None:
    repository({"dataset": "clarity"})
    with pytest.raises(InputError, match=r"prepare needs the package cec2-core \(found no metadata, no hrir\)"):
        run_stage("prepare")


def test_more_rooms_than_the_demo_has(repository: Make) -> None:
    repository({"datasets.demo.splits.dev.rooms": 1000})
    with pytest.raises(InputError, match=r"datasets\.demo\.splits\.dev\.rooms: the demo world has fewer rooms"):
        run_stage("prepare")


def test_a_scene_in_an_unknown_room(paired: Path) -> None:
    with pytest.raises(UnitsFailed, match=r"S1: .*rooms\.dev\.json: lacks a room that scene S1 names \(found R1\)"):
        run_stage("render_scenes", ["dev"])


def test_a_scene_with_a_time_that_is_no_number_stops_no_other(paired: Path) -> None:
    source = {"name": "T1", "time_start": 0, "time_end": None}
    scenes = [
        {"scene": name, "SNR": 1.0, "room": "R1", "dataset": "dev", "listener": {"hrir_filename": []}, "target": source}
        for name in ("S1", "S2")
    ]
    put(paired / "data/demo/scene_lists/scenes.dev.json", scenes)
    put(paired / "data/demo/scene_lists/rooms.dev.json", [{"name": "R1"}])
    assert [unit.inputs for unit in stage_units("render_scenes", load_params(), "dev")] == [(), ()]
    with pytest.raises(UnitsFailed, match=r"2 of 2 units failed\n  2 units \(S1, S2\): "):
        run_stage("render_scenes", ["dev"])


def test_lists_of_the_wrong_form(paired: Path) -> None:
    put(paired / "data" / "demo" / "scene_lists" / "scenes.dev.json", {"scene": "S1"})
    with pytest.raises(InputError, match=r"scenes\.dev\.json: must hold a list"):
        run_stage("render_scenes", ["dev"])
    put(paired / "data" / "demo" / "scene_lists" / "scenes.dev.json", [{"name": "S1"}])
    with pytest.raises(InputError, match=r"scenes\.dev\.json: 0\.scene: is not a name: it is no text"):
        run_stage("render_scenes", ["dev"])
    put(paired / "data" / "demo" / "scene_lists" / "scenes.dev.json", [{"scene": "S1"}] * 2)
    with pytest.raises(InputError, match=r"scenes\.dev\.json: S1: is listed twice"):
        run_stage("score_speech")
    put(paired / "data" / "demo" / "scene_lists" / "scenes.dev.json", "[{]")
    with pytest.raises(InputError, match=r"scenes\.dev\.json: line 1 column 3: is not valid JSON"):
        run_stage("render_scenes", ["dev"])


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"S1": ["L1", "L9"]}, r"scenes_listeners\.dev\.json: unknown listener \(found L9"),
        ({"S7": ["L1"]}, r"scenes_listeners\.dev\.json: S7: names a scene that .*scenes\.dev\.json lacks"),
        ({"S1": "L1"}, r"scenes_listeners\.dev\.json: must map each scene to a list of listeners"),
        ([], r"scenes_listeners\.dev\.json: must map each scene"),
        ({"S1": ["L1", "L1"]}, r"scenes_listeners\.dev\.json: S1: names a listener twice"),
    ],
)
def test_wrong_pairs(paired: Path, pairs: object, message: str) -> None:
    put(paired / "data" / "demo" / "inputs" / "clarity_data" / "metadata" / "scenes_listeners.dev.json", pairs)
    for stage in ("enhance_speech", "score_speech"):
        with pytest.raises(InputError, match=message):
            run_stage(stage)


def test_microphone_files_that_are_missing_or_wrong(paired: Path) -> None:
    with pytest.raises(UnitsFailed, match=r"2 of 2 .*\n  2 units \(S1 L1, S1 L2\): .*S1_mix_CH0\.wav: no such file"):
        run_stage("enhance_speech")
    microphones(paired, np.zeros((1000, 2), dtype=np.int16))
    with pytest.raises(UnitsFailed, match=r"S1_mix_CH1\.wav: is silent"):
        run_stage("enhance_speech")
    microphones(paired, np.ones(1000, dtype=np.int16))
    with pytest.raises(UnitsFailed, match=r"S1_mix_CH1\.wav: channels: wrong number of channels \(found 1, wanted 2"):
        run_stage("enhance_speech")
    assert list((paired / "data" / "demo" / "enhanced").iterdir()) == []


def test_microphones_that_the_baseline_does_not_use_are_not_read(paired: Path) -> None:
    microphones(paired, np.random.RandomState(0).randint(-9, 9, (5000, 2)).astype(np.int16))
    for channel in (0, 2, 3):
        put(paired / f"data/demo/rendered/dev/S1_mix_CH{channel}.wav", f"no audio {channel}")
    run_stage("enhance_speech")
    files = sorted(path.name for path in (paired / "data" / "demo" / "enhanced").iterdir())
    assert files == ["S1_L1_HA-output.wav", "S1_L2_HA-output.wav"]


@pytest.mark.parametrize(
    ("system", "there", "read"),
    [
        ("hearlab.systems.baseline:Baseline", [0, 1, 2, 3], [1]),
        ("hearlab.systems.learned:Learned", [0, 1, 2, 3], [1, 2, 3]),
        ("hearlab.systems.learned:Learned", [0, 1], [0, 1]),  # it says itself what it lacks
        ("my_lab.beam:Beamformer", [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
)
def test_which_microphones_are_read(system: str, there: list[int], read: list[int]) -> None:
    enhancer = Learned() if "Learned" in system else Baseline()
    assert list(used_channels(enhancer, system, there)) == read


def test_a_listener_without_needed_frequencies(paired: Path) -> None:
    short = {**AUDIOGRAM, "audiogram_cfs": [500, 750, 1000, 2000, 4000, 6000]}
    put(paired / "data/demo/inputs/clarity_data/metadata/listeners.json", {"L1": AUDIOGRAM, "L2": short})
    microphones(paired, np.random.RandomState(0).randint(-9, 9, (5000, 2)).astype(np.int16))
    with pytest.raises(UnitsFailed, match=r"1 of 2 units failed\n  S1 L2: audiogram: frequencies: does not reach"):
        run_stage("enhance_speech")
    # The other listener's output is finished and written.
    files = [path.name for path in (paired / "data" / "demo" / "enhanced").iterdir()]
    assert files == ["S1_L1_HA-output.wav"]


def test_scoring_without_enhanced_files(paired: Path) -> None:
    noise = np.random.RandomState(0).randint(-9999, 9999, (60000, 2)).astype(np.int16)
    microphones(paired, noise)
    for name in ("target_CH1", "target_anechoic_CH1"):
        write_wav(paired / "data" / "demo" / "rendered" / "dev" / f"S1_{name}.wav", noise, 44100)
    with pytest.raises(UnitsFailed, match=r"2 units \(S1 L1, S1 L2\): .*S1_L1_HA-output\.wav: no such file"):
        run_stage("score_speech")
    assert not (paired / "metrics").exists()
    for listener in ("L1", "L2"):
        silent = np.zeros((60000, 2), dtype=np.int16)
        silent[:, 0] = 5
        path = paired / "data" / "demo" / "enhanced" / f"S1_{listener}_HA-output.wav"
        write_wav(path, silent, 44100)
    # One silent ear passes the file check; the metric's own message then names file and ear.
    with pytest.raises(UnitsFailed, match=r"S1_L1_HA-output\.wav: cannot be scored for L1: .*right"):
        run_stage("score_speech")


def test_results_without_the_unprocessed_condition(tmp_path: Path) -> None:
    scores = [
        {"scene": "S1", "listener": "L1", "enhanced": 0.25},
        {"scene": "S2", "listener": "L1", "enhanced": 0.75},
    ]
    write_results(tmp_path, scores, {"S1": -3.0, "S2": 3.0})
    assert (tmp_path / "speech.csv").read_text() == "scene,listener,haspi\nS1,L1,0.25\nS2,L1,0.75\n"
    assert (tmp_path / "speech_unprocessed.csv").read_text() == "scene,listener,haspi\n"
    assert json.loads((tmp_path / "speech.json").read_text()) == {"haspi": {"pairs": 2, "enhanced": 0.5}}


def test_every_metric_has_its_column_and_its_averages(tmp_path: Path) -> None:
    scores = [
        {
            "scene": "S1",
            "listener": "L1",
            "enhanced": 0.5,
            "unprocessed": 0.25,
            "hasqi/enhanced": 0.75,
            "hasqi/unprocessed": 0.5,
        },
        {
            "scene": "S1",
            "listener": "L2",
            "enhanced": 1.0,
            "unprocessed": 0.75,
            "hasqi/enhanced": 0.25,
            "hasqi/unprocessed": 0.5,
        },
    ]
    write_results(tmp_path, scores, {"S1": -3.0}, TRACKS["speech"].metrics)
    table = (tmp_path / "speech.csv").read_text()
    assert table == "scene,listener,haspi,hasqi\nS1,L1,0.5,0.75\nS1,L2,1.0,0.25\n"
    averages = json.loads((tmp_path / "speech.json").read_text())
    assert averages == {
        "haspi": {"pairs": 2, "enhanced": 0.75, "unprocessed": 0.5, "improvement": 0.25},
        "hasqi": {"pairs": 2, "enhanced": 0.5, "unprocessed": 0.5, "improvement": 0.0},
    }
    points = (tmp_path / "plots" / "haspi_snr.csv").read_text().splitlines()
    assert points[0] == "scene,listener,snr,condition,haspi,hasqi"
    assert points[-1] == "S1,L2,-3.0,unprocessed,0.75,0.5"


def test_an_unknown_metric_is_found_before_any_work(repository: Make) -> None:
    repository({"evaluate.speech_metrics": ["haspi", "hasquy"]})
    with pytest.raises(ParameterError, match=r"evaluate\.speech_metrics: unknown metric \(found hasquy"):
        run_stage("check_params")


@pytest.mark.parametrize("chosen", [["haspi"], ["haspi", "hasqi"]])
def test_the_key_of_a_pair_covers_its_metrics_and_no_others(paired: Path, repository: Make, chosen: list[str]) -> None:
    repository({"evaluate.speech_metrics": chosen})
    scorers = {METRICS[name].scorer for name in chosen}
    for unit in stage_units("score_speech", load_params()):
        assert set(unit.code) == scorers
        assert {key for names in unit.arguments["conditions"].values() for key in names.values()} == scorers
        # The table of tracks itself is not part of the code: another row there makes no pair anew.
        start = (
            (unit.function.__module__, unit.function.__qualname__),
            *(tuple(name.split(":")) for name in unit.code),
        )
        reached = Reached()
        reached.add(start)
        assert {tuple(scorer.split(":")) for scorer in scorers} <= reached.definitions
        assert ("hearlab.scoring.tracks", "TRACKS") not in reached.definitions
