"""Stages learning_scenes and train_enhancer: from nothing to the weights that enhance_speech uses."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs hearlab[music]")
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "training")]

from scene_files import LISTENERS, write_scenes  # noqa: E402
from stage_params import write_params  # noqa: E402

from hearlab.compute.memo import Memo  # noqa: E402
from hearlab.datasets.demo import SENTENCES  # noqa: E402
from hearlab.datasets.demo.speech import recordings  # noqa: E402
from hearlab.datasets.layout import ClarityData, Workspace  # noqa: E402
from hearlab.enhancement.weights import load_enhancer  # noqa: E402
from hearlab.errors import InputError, ParameterError  # noqa: E402
from hearlab.files import write_json  # noqa: E402
from hearlab.learners import LEARNED  # noqa: E402
from hearlab.params import load_params  # noqa: E402
from hearlab.params.learn import SCENES_OF_A_ROOM  # noqa: E402
from hearlab.stages import enhance_speech, run_stage, stage_units  # noqa: E402
from hearlab.stages.learn import learning_scenes, train_enhancer  # noqa: E402

Make = Callable[..., Path]
FILES = Workspace(Path("data/demo"))
CHECKPOINT = Path(".hearlab/checkpoints/enhancer.pt")
SMALL = {
    "enhance.system": LEARNED,
    "learn.model": {"bands": 8, "hidden_size": 8, "layers": 1},
    "learn.processes": 1,
    "learn.rooms": 2,
    "learn.validation": 1,
    "learn.excerpt": 0.9,
    "learn.steps": 4,
    "learn.batch_size": 2,
    "learn.fine": {"steps": 1, "batch_size": 1, "learning_rate": 0.001},
    "learn.validate_every": 2,
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """`repository(changes)` goes to a workspace with params.yaml, listeners, and three scenes to train with."""

    def make(changes: dict[str, Any] | None = None, scenes: int = 3) -> Path:
        write_params(tmp_path, {**SMALL, **(changes or {})})
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HEARLAB_WORKERS", "1")
        names = [name for _, name in write_scenes(FILES.rendered("learning"), scenes)]
        write_json(FILES.scenes("learning"), [{"scene": name} for name in names])
        write_json(FILES.clarity.listeners, {one.id: one.as_entry() for one in LISTENERS})
        return tmp_path

    return make


def weights() -> bytes:
    return (FILES.enhancer / "enhancer.pth").read_bytes()


def test_nothing_is_made_or_trained_for_other_systems(repository: Make) -> None:
    repository({"enhance.system": "hearlab.systems.baseline:Baseline"})
    params = load_params()
    assert stage_units("learning_scenes", params) == []
    assert stage_units("train_enhancer", params) == []
    for stage in ("learning_scenes", "train_enhancer"):
        run_stage(stage)
    assert list(FILES.enhancer.iterdir()) == []
    assert json.loads(FILES.scenes("learning").read_text()) == []
    repository({"learn.weights": "own.pth"})
    assert stage_units("train_enhancer", load_params()) == []


@pytest.mark.slow
def test_trained_and_trained_again_to_the_same_bytes(repository: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    repository()
    run_stage("train_enhancer")
    first = weights()
    assert not CHECKPOINT.exists()
    description = json.loads((FILES.enhancer / "enhancer.json").read_text())
    assert description["parameters"] == sum(
        value.numel() for value in load_enhancer(FILES.enhancer / "enhancer.pth").parameters()
    )
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    run_stage("train_enhancer")
    assert weights() == first


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_bytes(repository: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    repository()

    def stop(state: Any) -> None:
        if state.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_enhancer, "_show", stop)
    with pytest.raises(KeyboardInterrupt):
        run_stage("train_enhancer")
    assert CHECKPOINT.exists()
    steps: list[int] = []
    monkeypatch.setattr(train_enhancer, "_show", lambda state: steps.append(state.step))
    run_stage("train_enhancer")
    assert steps == [4, 5]
    resumed = weights()
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    run_stage("train_enhancer")
    assert steps[2:] == [2, 4, 5]
    assert weights() == resumed


def test_a_full_disk_while_a_checkpoint_is_written_loses_nothing(
    repository: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Training goes on without checkpoints, and one line says so; no half of one is left."""
    repository()
    own = os.fsync

    def full(file: int) -> None:
        if os.readlink(f"/proc/self/fd/{file}").endswith("checkpoint"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(file)

    monkeypatch.setattr(os, "fsync", full)
    run_stage("train_enhancer")
    assert weights()
    assert not list(CHECKPOINT.parent.glob("*"))
    assert capfd.readouterr().err.count("warning: ") == 1


def test_the_weights_are_part_of_a_pair_s_key(repository: Make) -> None:
    repository()
    params = load_params()
    unit = enhance_speech.pair_unit(params, "S06001", LISTENERS[0])
    FILES.rendered("dev").mkdir(parents=True)
    for channel in range(4):
        (FILES.rendered("dev") / f"S06001_mix_CH{channel}.wav").write_bytes(b"a sound")
    run_stage("train_enhancer")
    before = unit.key(Memo(Path.cwd()).identities(), "code")[0]
    (FILES.enhancer / "enhancer.pth").unlink()
    (FILES.enhancer / "enhancer.pth").write_bytes(b"other weights")
    assert unit.key(Memo(Path.cwd()).identities(), "code")[0] != before


def test_without_weights_enhancing_says_what_to_do(repository: Make) -> None:
    repository()
    with pytest.raises(InputError, match=r"enhancer\.pth: the hearing aid has no weights; train it: dvc repro train_e"):
        enhance_speech.check(load_params())


@pytest.mark.parametrize(
    ("learned", "scored", "warnings"), [("train", "train", 1), ("train", "dev", 0), ("learning", "train", 0)]
)
def test_a_warning_where_scenes_are_scored_that_were_trained_with(
    repository: Make, caplog: pytest.LogCaptureFixture, learned: str, scored: str, warnings: int
) -> None:
    repository({"learn.split": learned, "evaluate.split": scored})
    enhance_speech.warn_of_training_scenes(load_params())
    assert caplog.text.count(f"was trained with {learned}, and {scored} is scored") == warnings


def test_bad_input(repository: Make) -> None:
    repository(scenes=1)
    with pytest.raises(InputError, match=r"the split learning of the data set demo has too few training scenes"):
        run_stage("train_enhancer")
    repository({"learn.device": "cuda"})
    if not torch.cuda.is_available():
        with pytest.raises(Exception, match="no CUDA device here"):
            run_stage("train_enhancer")
    repository({"learn.listeners": "listeners/nobody.csv"})
    for stage in ("check_params", "train_enhancer"):
        with pytest.raises(InputError, match=r"listeners/nobody\.csv"):
            run_stage(stage)
    repository({"learn.loss": "stoi"})
    with pytest.raises(ParameterError, match=r"learn\.loss: wrong value"):
        load_params()


def test_scenes_of_a_room() -> None:
    """The parameters count them before they are made."""
    assert SCENES_OF_A_ROOM == SENTENCES


def test_learning_rooms_hold_nothing_of_the_demo_s_other_splits(tmp_path: Path) -> None:
    """No room, talker, noise or piece of music of dev or train is heard in training: all have names of their own."""
    from hearlab.datasets.demo import FIRST_LEARNING_ROOM, make_learning_room

    make_learning_room(tmp_path, FIRST_LEARNING_ROOM + 3, seed=2)
    data = ClarityData(tmp_path)
    names = {
        "target": {entry["speaker"] for entry in json.loads((data.metadata / "target_speech_list.json").read_text())},
        "speech": {entry["speaker"] for entry in json.loads((data.metadata / "masker_speech_list.json").read_text())},
        "noise": {entry["ID"] for entry in json.loads((data.metadata / "masker_nonspeech_list.json").read_text())},
        "music": {entry["file"] for entry in json.loads((data.metadata / "masker_music_list.json").read_text())},
    }
    for split in ("train", "dev"):
        assert not names["target"] & set(recordings.TARGET_TALKERS[split])
        assert not names["speech"] & set(recordings.INTERFERING_TALKERS[split])
        numbers = {f"{number:03d}" for number in recordings.NOISE_NUMBERS[split]}
        assert not {name.rpartition("_")[2] for name in names["noise"]} & numbers
        assert not names["music"] & set(recordings.MUSIC_FILES[split])
    assert {path.name[:6] for path in data.rpf("train").glob("*.rpf")} == {"R20004"}
    assert len(names["target"]) == len(names["speech"]) == 2
    assert len(names["noise"]) == 3


@pytest.mark.slow
def test_learning_scenes_are_rendered_in_the_pipeline_s_files(repository: Make) -> None:
    from hearlab.stages import prepare

    root = repository({"learn.rooms": 2})
    for path in FILES.rendered("learning").glob("*"):
        path.unlink()
    FILES.clarity.listeners.unlink()
    prepare.run(load_params())
    run_stage("learning_scenes")
    scenes = json.loads(FILES.scenes("learning").read_text())
    assert [scene["scene"] for scene in scenes] == ["S20001", "S20002", "S20003", "S20004"]
    assert [scene["room"] for scene in scenes] == ["R20001", "R20001", "R20002", "R20002"]
    assert {scene["scene"] for scene in scenes} == {path.name[:6] for path in FILES.rendered("learning").glob("*.wav")}
    dev = {path.name for path in (root / "data/demo/inputs/clarity_data/dev/targets").iterdir()}
    assert not {f"{scene['target']['name']}.wav" for scene in scenes} & dev
    assert learning_scenes.scene_names(20002) == ["S20003", "S20004"]
    run_stage("train_enhancer")
    assert weights()
