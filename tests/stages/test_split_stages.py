"""Each split by itself: scenes without the packages of the others, what is missing, links to packaged scenes."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_params import write_params

from hearlab.compute import notes, object_store
from hearlab.compute.memo import Memo
from hearlab.compute.timings import unit_seconds
from hearlab.datasets.demo.speech.room_files import rpf_text
from hearlab.datasets.demo.speech.rooms import SOURCES, draw_room
from hearlab.errors import InputError, ParameterError
from hearlab.files import md5_of
from hearlab.params import load_params
from hearlab.scenes import build_rooms, build_scenes
from hearlab.scenes.renderer import scene_outputs
from hearlab.scenes.scene_json import scenes_to_json
from hearlab.stages import run_stage, stage_units
from hearlab.stages.build_scenes import difference, scene_config
from hearlab.stages.render_scenes import render_options

Make = Callable[..., Path]
COUNTS = {
    f"datasets.clarity.splits.{split}.{what}": number
    for split, rooms, scenes in (("train", 2, 5), ("dev", 2, 3), ("demo", 2, 4))
    for what, number in (("rooms", rooms), ("scenes", scenes))
}
LONG = 10_000_000  # samples: longer than any scene


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def metadata(folder: Path) -> None:
    """Lists of recordings of train and dev, as the core package holds them."""
    both = ("train", "dev")
    lists: dict[str, list[dict[str, Any]]] = {
        "target_speech_list": [
            {"wavfile": f"{split}{k}", "dataset": split, "nsamples": 90_000 + k} for split in both for k in range(9)
        ],
        "masker_speech_list": [
            {"speaker": f"s{split}{k}", "dataset": split, "nsamples": LONG} for split in both for k in range(3)
        ],
        "masker_nonspeech_list": [
            {"ID": f"n{split}{k}", "class": "Fan", "dataset": split, "nsamples": LONG}
            for split in both
            for k in range(3)
        ],
        "masker_music_list": [
            {"file": f"{split}{k}.mp3", "dataset": split, "nsamples": LONG} for split in both for k in range(3)
        ],
    }
    for name, entries in lists.items():
        put(folder / f"{name}.json", entries)


def rooms(folder: Path, first: int, count: int) -> None:
    for number in range(first, first + count):
        room = draw_room(f"R{number:05d}", 0)
        for source in SOURCES:
            put(folder / f"{room.name}_{source}.rpf", rpf_text(room, source, 44100))


@pytest.fixture
def clarity(repository: Make) -> Path:
    """The core package's part that scenes are built from: metadata and dev rooms."""
    data = repository({"dataset": "clarity", **COUNTS}) / "data" / "clarity"
    metadata(data / "inputs" / "clarity_data" / "metadata")
    rooms(data / "inputs" / "clarity_data" / "dev" / "rooms" / "rpf", 6001, 2)
    return data


def scenes_text(data: Path, split: str) -> str:
    return (data / "scene_lists" / f"scenes.{split}.json").read_text()


def test_scenes_of_a_split_without_the_rooms_of_those_before_it(clarity: Path) -> None:
    run_stage("build_scenes", ["demo"])
    run_stage("build_scenes", ["dev"])
    assert not (clarity / "scene_lists" / "scenes.train.json").exists()
    alone = {split: scenes_text(clarity, split) for split in ("dev", "demo")}
    rooms(clarity / "inputs" / "clarity_data" / "train" / "rooms" / "rpf", 1, 2)
    run_stage("build_scenes")
    assert {split: scenes_text(clarity, split) for split in alone} == alone

    # The published way: one stream, real rooms, train, dev and demo in turn.
    params, rng = load_params(), random.Random(0)
    data = clarity / "inputs" / "clarity_data"
    for split, source, first, scenes, selection in (
        ("train", "train", 1, 5, "SEQUENTIAL"),
        ("dev", "dev", 6001, 3, "SEQUENTIAL"),
        ("demo", "dev", 6001, 4, "RANDOM"),
    ):
        config = scene_config(
            params,
            source,
            count=scenes,
            first=first,
            room_selection=selection,
            target_selection="SEQUENTIAL",
            shuffle_rooms=False,
        )
        drawn = build_scenes(config, build_rooms(data / source / "rooms" / "rpf", first, 2), data / "metadata", rng=rng)
        assert scenes_text(clarity, split) == scenes_to_json([{**scene, "dataset": split} for scene in drawn])


def test_the_demo_split_uses_its_own_recordings_where_they_are_listed(clarity: Path) -> None:
    folder = clarity / "inputs" / "clarity_data" / "metadata"
    for path in folder.glob("*_list.json"):
        entries = json.loads(path.read_text())
        own = [{**entry, "dataset": "demo"} for entry in entries[:3]]
        put(path, entries + own)
    run_stage("build_scenes", ["demo"])
    targets = {scene["target"]["name"] for scene in json.loads(scenes_text(clarity, "demo"))}
    assert targets <= {"train0", "train1", "train2"}


def test_what_is_missing_is_told_with_its_package(clarity: Path) -> None:
    with pytest.raises(InputError, match=r"build_scenes@train needs the package cec2-train \(found no train/rooms/rpf"):
        run_stage("build_scenes", ["train"])
    with pytest.raises(InputError, match=r"build_scenes@train needs the package cec2-train"):
        run_stage("build_scenes")
    run_stage("build_scenes", ["dev"])
    with pytest.raises(InputError, match=r"render_scenes@dev needs the package cec2-core \(found no dev/scenes\)"):
        run_stage("render_scenes", ["dev"])
    run_stage("build_scenes", ["demo"])
    with pytest.raises(
        InputError, match=r"needs the packages cec2-core and cec2-hoairs \(found no hrir, no dev/rooms/H"
    ):
        run_stage("render_scenes", ["demo"])
    with pytest.raises(InputError, match=r"prepare_music needs the packages cad1-metadata and musdb18hq"):
        run_stage("prepare_music")
    with pytest.raises(ParameterError, match="unknown split"):
        run_stage("build_scenes", ["evaluation"])


def test_the_evaluation_set_is_listed_and_linked_from_its_files(clarity: Path) -> None:
    """No published package of it is known here: its files are in the layout of the other splits."""
    run_stage("build_scenes", ["eval"])
    assert json.loads((clarity / "scene_lists" / "scenes.eval.json").read_text()) == []
    run_stage("render_scenes", ["eval"])
    inputs = clarity / "inputs" / "clarity_data"
    put(
        inputs / "metadata" / "scenes.eval.json", [{"scene": "S08501", "dataset": "eval", "room": "R08501", "SNR": 1.5}]
    )
    run_stage("build_scenes", ["eval"])
    with pytest.raises(InputError, match=r"render_scenes@eval needs the package"):
        run_stage("render_scenes", ["eval"])
    names = scene_outputs("S08501", render_options(load_params().render.model_dump(exclude={"source"})))
    for name in names:
        put(inputs / "eval" / "scenes" / name, name)
    run_stage("render_scenes", ["eval"])
    linked = clarity / "rendered" / "eval"
    assert sorted(path.name for path in linked.iterdir()) == sorted(names)
    assert all((linked / name).samefile(inputs / "eval" / "scenes" / name) for name in names)


def test_a_split_whose_pairs_the_metadata_do_not_name_is_refused_before_anything_runs(clarity: Path) -> None:
    write_params(clarity.parents[1], {"dataset": "clarity", "evaluate.split": "eval"})
    put(clarity / "clarity_data" / "metadata" / "listeners.json", {})
    with pytest.raises(InputError, match=r"names no pairs of evaluate.split \(found no scenes_listeners.eval.json\)"):
        run_stage("check_params")
    put(clarity / "clarity_data" / "metadata" / "scenes_listeners.eval.json", {})
    run_stage("check_params")


def test_prepare_makes_empty_folders_for_packages_that_are_not_here(
    clarity: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = clarity / "clarity_data"  # put there by hand
    put(home / "hrir" / "HRIRs_MAT" / "A-ED.mat", "")
    put(home / "metadata" / "listeners.json", {})
    with pytest.raises(InputError, match=r"the metadata are not complete \(found no metadata/hrir_data\.json\)"):
        run_stage("prepare")
    put(home / "metadata" / "hrir_data.json", {})
    with caplog.at_level(logging.WARNING, "hearlab"):
        run_stage("prepare")
    warnings = [record.getMessage() for record in caplog.records]
    assert "inside of the repository, where `git clean -fdx` deletes them" in warnings[0]
    told = [line for line in warnings if "is not here" in line]
    assert [line.split()[3] for line in told] == ["cec2-train", "cec2-hoairs"]
    assert "build_scenes@train" in told[0]
    assert "render_scenes@demo" in told[1]
    for part in ("train/rooms/rpf", "train/scenes", "dev/rooms/HOA_IRs", "dev/targets"):
        assert list((clarity / "inputs" / "clarity_data" / part).iterdir()) == []


def test_lists_that_differ_from_the_package_s(clarity: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_stage("build_scenes", ["dev"])
    folder = clarity / "inputs" / "clarity_data" / "metadata"
    scenes = json.loads(scenes_text(clarity, "dev"))
    put(folder / "scenes.dev.json", [*scenes, {"scene": "S09999"}])
    put(folder / "rooms.dev.json", (clarity / "scene_lists" / "rooms.dev.json").read_text())
    with caplog.at_level(logging.WARNING, "hearlab"):
        run_stage("build_scenes", ["dev"])
    assert caplog.records == []
    scenes[1]["interferers"][0]["offset"] = -7
    put(folder / "scenes.dev.json", scenes)
    with caplog.at_level(logging.WARNING, "hearlab"):
        run_stage("build_scenes", ["dev"])
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "build_scenes dev: 1 of 3 differ from the package's scenes.dev.json; S06002.interferers[0].offset: built "
    )
    assert record.getMessage().endswith(", packaged -7")


def test_differences_are_named_by_their_place() -> None:
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert difference({"a": [1]}, {"a": [1, 2]}) == ".a: built [1, 2], packaged [1]"
    assert difference({}, {"a": 1}) == ".a: not in the package"
    assert difference(None, {"a": 1}) == ": not in the package"


# --- links to packaged scenes -------------------------------------------------------------------------------------


OUT, INDEX = Path("data/clarity/rendered/dev"), Path("data/clarity/units/render_scenes.dev.json")


@pytest.fixture
def package(repository: Make) -> Path:
    """The package's files of three scenes, two of which are listed; a workspace without DVC."""
    data = repository({"dataset": "clarity"}) / "data" / "clarity"
    put(data / "scene_lists" / "scenes.dev.json", [{"scene": name} for name in ("S1", "S2")])
    put(data / "scene_lists" / "rooms.dev.json", [])
    for scene in ("S1", "S2", "S3"):
        for name in scene_outputs(scene):
            put(data / "inputs" / "clarity_data" / "dev" / "scenes" / name, name)
    return Path("data/clarity/inputs/clarity_data/dev/scenes")


def link_all() -> list[Path]:
    run_stage("render_scenes", ["dev"])
    return sorted(OUT.iterdir())


def test_packaged_scenes_are_linked(
    package: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(OUT / "old.wav", "surplus")
    read: list[str] = []
    monkeypatch.setattr(notes, "md5_of", lambda path: read.append(str(path)) or md5_of(path))
    monkeypatch.setattr(object_store, "md5_of", lambda path: read.append(str(path)) or md5_of(path))
    found = link_all()
    assert [path.name for path in found] == sorted(name for scene in ("S1", "S2") for name in scene_outputs(scene))
    assert all(os.path.samefile(path, package / path.name) for path in found)
    assert f"linked from {package}" in capfd.readouterr().err
    # Read once, for their identity.
    assert sorted(read) == [str(Path.cwd() / package / path.name) for path in found]
    index = json.loads(INDEX.read_text())
    assert [unit["id"] for unit in index["units"]] == ["S1", "S2"]
    assert [unit["result"] for unit in index["units"]] == [{"source": "packaged"}] * 2
    # How long links take tells nothing of rendering.
    assert unit_seconds(Path(".hearlab")) == {}

    text = INDEX.read_text()
    link_all()
    assert "2 done before" in capfd.readouterr().err
    assert INDEX.read_text() == text
    assert Memo(Path()).unfinished == {}


def test_a_changed_file_of_the_package_is_linked_anew(package: Path) -> None:
    link_all()
    name = "S2_mix_CH1.wav"
    os.unlink(package / name)
    (package / name).write_text("another")
    link_all()
    assert (OUT / name).read_text() == "another"
    assert (OUT / "S2_mix_CH0.wav").read_text() == "S2_mix_CH0.wav"


def test_a_package_on_another_disk_is_copied(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def across(source: str, target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", across)
    mode = (package / "S1_hr.wav").stat().st_mode
    for path in link_all():
        assert path.read_bytes() == (package / path.name).read_bytes()
        assert not path.resolve().is_relative_to(package.resolve())
    assert (package / "S1_hr.wav").stat().st_mode == mode


def test_missing_files_of_the_package_are_named(package: Path) -> None:
    for name in scene_outputs("S2"):
        os.unlink(package / name)
    with pytest.raises(
        InputError, match=r"lacks files of 1 of 2 scenes \(found no S2_\w+\.wav, no S2_\w+\.wav, no .* and 11 more\)"
    ):
        link_all()
    assert not OUT.exists()
    assert not INDEX.exists()


def test_listing_units_links_nothing(package: Path) -> None:
    listed = stage_units("render_scenes", load_params(), "dev")
    assert [unit.id for unit in listed] == ["S1", "S2"]
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("dataset", "source", "wanted"),
    [
        ("demo", "auto", "rrrr"),
        ("clarity", "auto", "pprr"),
        ("clarity", "rendered", "rrrr"),
        ("clarity", "packaged", "pprr"),
        ("demo", "packaged", "pprr"),
    ],
)
def test_where_the_scenes_of_each_split_come_from(repository: Make, dataset: str, source: str, wanted: str) -> None:
    repository({"dataset": dataset, "render.source": source})
    params = load_params()
    splits = ("train", "dev", "demo", "train_additional")
    assert "".join(params.scene_source(split)[0] for split in splits) == wanted
