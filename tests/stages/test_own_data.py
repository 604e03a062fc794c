"""The stages on an own data set: links, conversions, what is read of them, and a track that is not there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hearlab.audio import read_audio, resample, rms
from hearlab.datasets.layout import STEMS
from hearlab.datasets.own.importing import import_data
from hearlab.errors import InputError, ParameterError
from hearlab.files import md5_of
from hearlab.lab.materials import Materials
from hearlab.listeners import load_listeners
from hearlab.params import Params, load_params
from hearlab.stages import run_stage, stage_units
from hearlab.stages.enhance_speech import enhanced, read_microphones
from hearlab.stages.prepare import check_unedited
from hearlab.stages.score_speech import scene_reference
from hearlab.stages.separate_music import link_home_weights
from own_recordings import recordings, songs

INPUTS = Path("data/clinic/inputs")
SCENES = INPUTS / "clarity_data" / "dev" / "scenes"


@pytest.fixture
def imported(repository: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A workspace with the data set `clinic`, of recordings elsewhere; gives their folders."""
    root = repository()
    own = recordings(tmp_path_factory.mktemp("recordings"))
    import_data(root, "clinic", **own)
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("dataset: demo", "dataset: clinic", 1))
    return own


def prepare() -> None:
    for stage in ("prepare", "build_scenes train", "build_scenes dev", "build_additional_scenes", "render_scenes dev"):
        name, *arguments = stage.split()
        run_stage(name, arguments)


def test_recordings_are_linked_and_others_converted(imported: dict[str, Path]) -> None:
    for _ in range(2):
        prepare()
        for folder in (SCENES, Path("data/clinic/rendered/dev")):
            assert len(list(folder.iterdir())) == 6
            assert (folder / "Café one_mix_CH1.wav").samefile(imported["mixtures"] / "Café one.wav")
    noisy, _ = soundfile.read(imported["mixtures"] / "two.flac")
    assert np.array_equal(read_audio(SCENES / "two_mix_CH1.wav", rate=44100, channels=2)[0], noisy)
    clean, _ = soundfile.read(imported["references"] / "two.wav")  # one channel of 24 bits: exact, in both ears
    converted, _ = read_audio(SCENES / "two_target_anechoic_CH1.wav")
    assert np.array_equal(converted, np.column_stack([clean, clean]))
    slow, rate = soundfile.read(imported["mixtures"] / "three_mix.wav")
    wanted = resample(slow, rate, 44100).astype(np.float32)
    assert np.array_equal(read_audio(SCENES / "three_mix_CH1.wav", rate=44100)[0], wanted)


def test_each_listener_hears_each_recording_with_the_microphones_that_there_are(imported: dict[str, Path]) -> None:
    prepare()
    units = stage_units("enhance_speech", load_params())
    assert [unit.id for unit in units[:3]] == ["Café one A B", "Café one Zoë", "three A B"]
    assert len(units) == 6
    assert all(unit.arguments["channels"] == [1] and len(unit.inputs) == 1 for unit in units)
    for unit in stage_units("score_speech", load_params()):
        assert unit.arguments["scaled"] is False
        assert not [name for name in unit.inputs if name.endswith("_target_CH1.wav")]


def test_a_recording_outside_of_the_subset_can_be_tried(imported: dict[str, Path]) -> None:
    """As a scene of the demo can: it is found by its front microphones, the only pair that there is."""
    prepare()
    subset = Params.model_validate_json(load_params().model_dump_json().replace('"scenes":null', '"scenes":["three"]'))
    material, listener = Materials(subset).pair("two", "Zoë")
    assert (material.track.name, material.name, listener.id) == ("speech", "two", "Zoë")


def test_without_songs_the_music_stages_have_nothing_to_do(imported: dict[str, Path]) -> None:
    for stage in ("prepare_music", "train_separator", "separate_music", "enhance_music", "score_music"):
        run_stage(stage)
    assert json.loads(Path("metrics/music.json").read_text()) == {"haaqi": {"pairs": 0}}
    assert Path("metrics/music.csv").read_text().startswith("song,listener,score,")


def test_a_recording_that_changed_since_it_was_imported(imported: dict[str, Path]) -> None:
    prepare()
    changed, lost = imported["mixtures"] / "two.flac", imported["references"] / "Café one.wav"
    samples, rate = soundfile.read(changed)
    soundfile.write(changed, samples * 0.5, rate)
    lost.unlink()
    with pytest.raises(InputError) as error:
        run_stage("prepare")
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert any("two.flac: the recording has changed since it was imported; import it again" in line for line in lines)
    assert any("Café one.wav: the recording cannot be read" in line for line in lines)
    assert any("in a clone without the recordings `dvc checkout` brings" in line for line in lines)


def test_targets_set_the_level_of_the_references(
    repository: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, folder = repository(), tmp_path_factory.mktemp("recordings")
    own = recordings(folder)
    for path in own["references"].iterdir():
        samples, rate = soundfile.read(path)
        name = f"{path.stem.removesuffix('_clean')}_target.wav"
        (folder / "targets").mkdir(exist_ok=True)
        soundfile.write(folder / "targets" / name, 0.25 * samples, rate)
    import_data(root, "clinic", **own, targets=folder / "targets")
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("dataset: demo", "dataset: clinic", 1))
    prepare()
    assert len(list(SCENES.iterdir())) == 9
    assert not [unit for unit in stage_units("score_speech", load_params()) if "scaled" in unit.arguments]
    reference, target = (SCENES / f"Café one_{signal}_CH1.wav" for signal in ("target_anechoic", "target"))
    as_it_is = scene_reference(reference)
    assert rms(scene_reference(reference, target)) == pytest.approx(0.25 * rms(as_it_is), rel=1e-3)
    assert np.array_equal(as_it_is, read_audio(reference)[0])


def test_songs(repository: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    root, folder = repository(), tmp_path_factory.mktemp("recordings")
    own = songs(folder / "songs")
    import_data(root, "clinic", songs=own, listeners=recordings(folder)["listeners"])
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("dataset: demo", "dataset: clinic", 1))
    run_stage("prepare_music")
    audio = INPUTS / "cadenza_data" / "task1" / "audio" / "musdb18hq" / "train"
    assert (audio / "Ñandú" / "mixture.wav").samefile(own / "Ñandú" / "mixture.wav")
    stems = [read_audio(audio / "plain" / f"{stem}.wav", rate=44100, channels=2)[0] for stem in STEMS]
    mixture, _ = read_audio(audio / "plain" / "mixture.wav", rate=44100, channels=2)
    assert np.max(np.abs(mixture - np.sum(stems, axis=0))) < 1e-6
    # Nothing is scored of speech.
    prepare()
    run_stage("enhance_speech")
    run_stage("score_speech")
    assert json.loads(Path("metrics/speech.json").read_text()) == {"haspi": {"pairs": 0}}
    with pytest.raises(InputError, match="weights"):  # own songs are separated by published weights
        run_stage("separate_music")


def test_the_reference_is_that_of_the_front_microphones(imported: dict[str, Path]) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("reference_channel: 1", "reference_channel: 2"))
    with pytest.raises(ParameterError, match=r"render.reference_channel: wrong value \(found 2, wanted 1\)"):
        load_params()


def test_recordings_on_another_disk(
    imported: dict[str, Path],
    other_disk: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEARLAB_PACKAGES", str(tmp_path_factory.mktemp("home")))
    own = recordings(other_disk / "own recordings")
    import_data(Path(), "clinic", **own, replace=True)
    prepare()
    linked = SCENES / "Café one_mix_CH1.wav"
    assert linked.samefile(own["mixtures"] / "Café one.wav")
    assert linked.is_symlink()
    assert os.stat(linked).st_dev != os.stat(SCENES).st_dev


def test_an_edit_of_what_prepare_made_is_not_lost(imported: dict[str, Path]) -> None:
    prepare()
    listeners = INPUTS / "clarity_data" / "metadata" / "listeners.json"
    made = md5_of(listeners)
    run_stage("prepare")  # what it made itself, it may make again
    content = listeners.read_text().replace("60.0", "65.0", 1)
    listeners.chmod(0o644)
    listeners.write_text(content)
    with pytest.raises(InputError, match=r"listeners.json: was changed by hand, and prepare would overwrite it; move"):
        run_stage("prepare")
    assert listeners.read_text() == content
    os.replace(listeners, "mine.json")
    run_stage("prepare")
    assert md5_of(listeners) == made
    # A run that was killed: what it left is no edit.
    check_unedited("prepare", listeners.parent)
    listeners.write_text(content)
    run_stage("prepare")
    assert md5_of(listeners) == made
    # Music, too.
    run_stage("prepare_music")
    people = INPUTS / "cadenza_data" / "task1" / "metadata" / "musdb18hq" / "listeners.valid.json"
    people.write_text(content)
    with pytest.raises(InputError, match=r"listeners.valid.json: was changed by hand, and prepare_music would"):
        run_stage("prepare_music")


def test_an_edit_after_a_failed_prepare_is_not_lost(imported: dict[str, Path]) -> None:
    """A run that fails before it makes anything is not one that was killed: what differs later was edited."""
    prepare()
    listeners, recording = INPUTS / "clarity_data" / "metadata" / "listeners.json", imported["references"] / "two.wav"
    recording.rename("away.wav")
    with pytest.raises(InputError, match="the recording cannot be read"):
        run_stage("prepare")
    os.replace("away.wav", recording)
    run_stage("prepare")  # nothing was edited
    recording.rename("away.wav")
    with pytest.raises(InputError, match="the recording cannot be read"):
        run_stage("prepare")
    os.replace("away.wav", recording)
    content = listeners.read_text().replace("60.0", "65.0", 1)
    listeners.write_text(content)
    with pytest.raises(InputError, match=r"listeners.json: was changed by hand"):
        run_stage("prepare")
    assert listeners.read_text() == content


class Beam:
    """A system that takes two pairs of microphones."""

    def speech(self, microphones: dict[str, Any], rate: int, listener: object) -> Any:
        return microphones["CH1"] + microphones["CH2"]

    def music(self, stems: dict[str, Any], rate: int, listener: object) -> dict[str, Any]:
        return stems


class Misspelt(Beam):
    def speech(self, microphones: dict[str, Any], rate: int, listener: object) -> Any:
        return microphones["CH4"]


def test_a_system_that_wants_other_microphones(imported: dict[str, Path]) -> None:
    prepare()
    scenes = Path("data/clinic/rendered/dev")
    microphones = read_microphones(scenes, "two", [1])
    person = load_listeners("datasets/clinic/listeners.json")["Zoë"]
    with pytest.raises(InputError) as error:
        enhanced(Beam(), "lab:Beam", microphones, "two", person, scenes.as_posix())
    line = (
        "data/clinic/rendered/dev: two has no microphones CH2, which lab:Beam asks for (found CH1, wanted CH2); import "
    )
    assert str(error.value).startswith(line)
    with pytest.raises(KeyError, match="CH4"):  # a mistake of the system's own
        enhanced(Misspelt(), "lab:Misspelt", microphones, "two", person, scenes.as_posix())


def test_a_description_that_git_does_not_know_is_told_by_check_params(imported: dict[str, Path]) -> None:
    run_stage("check_params")
    os.rename("datasets/clinic", "away")
    with pytest.raises(
        InputError, match=r"datasets/clinic: no such data set here; git add datasets/clinic params\.yaml"
    ):
        run_stage("check_params")


def test_an_experiment_in_a_folder_of_its_own_finds_the_weights_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, place = tmp_path / "home", tmp_path / "experiment"
    for path in (home / "params.yaml", home / "data/demo/separator/bass.pth", home / "data/weights/bass-1.pth"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    (place / "data/weights").mkdir(parents=True)
    (place / "data/weights/own.pth").write_text("stays")
    (home / "data/weights/own.pth").write_text("another")
    monkeypatch.chdir(place)
    link_home_weights(Path("data/weights"))  # no experiment of DVC's
    assert [path.name for path in Path("data/weights").iterdir()] == ["own.pth"]
    monkeypatch.setenv("DVC_ROOT", str(home))
    for weights in ("data/demo/separator", "data/weights", "data/weights/bass-1.pth", "data/none"):
        link_home_weights(Path(weights))
    assert Path("data/demo/separator/bass.pth").read_text() == "bass.pth"
    assert Path("data/weights/bass-1.pth").samefile(home / "data/weights/bass-1.pth")
    assert Path("data/weights/own.pth").read_text() == "stays"
    assert not Path("data/none").exists()
    monkeypatch.chdir(home)
    link_home_weights(Path("data/weights"))
    assert not [path for path in Path("data").rglob("*") if path.is_symlink()]
