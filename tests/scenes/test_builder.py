"""Drawing scenes: the published bytes for a seed, limits of what is drawn, and errors that name the place."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearlab.errors import InputError
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.scene_json import rooms_to_json, scenes_to_json
from scene_configuration import scene_configuration

# A file has four decimals.
HALF_DIGIT = 0.5001e-4

ROOMS: list[dict[str, Any]] = [
    {
        "name": f"R{number:05d}",
        "dimensions": "6x4x3",
        "target": {"position": [0.3 * number, 2.0, 1.2], "view_vector": [0.0, 1.0, 0.0]},
        "listener": {"position": [-0.1, 3.5, 1.2], "view_vector": [0.0, -1.0, 0.0]},
        "interferers": [{"position": [0.5 * k, 1.0, 1.2]} for k in range(3)],
    }
    for number in range(1, 6)
]
LISTS: dict[str, list[dict[str, Any]]] = {
    "targets.json": [{"wavfile": f"T{k}", "nsamples": 90000 + k, "dataset": "train"} for k in range(8)]
    + [{"wavfile": "T9", "nsamples": 90000, "dataset": "dev"}],
    "speech.json": [{"speaker": f"s{k}", "nsamples": 900000, "dataset": "train"} for k in range(3)],
    "noise.json": [
        {"ID": f"{kind}_{k}", "class": kind, "nsamples": 400000, "dataset": "train"}
        for kind in ("Fan", "Kettle")
        for k in range(3)
    ],
    "music.json": [{"file": f"0/{k}.mp3", "nsamples": 700000, "dataset": "train"} for k in range(3)],
}
UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def _config(**changes: Any) -> dict[str, Any]:
    """Scenes of the lists, rooms and heads of these tests, with values at `section__key` replaced."""
    own = {
        "random_seed": 3,
        "dataset": "train",
        "scene_datasets__scene_start_index": 1,
        "target__target_speakers": "targets.json",
        "interferer__speech_interferers": "speech.json",
        "interferer__noise_interferers": "noise.json",
        "interferer__music_interferers": "music.json",
        "listener__heads": ["A", "B"],
        "listener__channels": ["ED", "BTE_fr"],
    }
    return scene_configuration(**{**own, **changes})


def _write(folder: Path, lists: dict[str, Any]) -> Path:
    for name, content in lists.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("metadata"), LISTS)


# --- the published scenes

EVERYTHING_RANDOM: dict[str, Any] = {
    "scene_datasets__room_selection": "RANDOM",
    "target__target_selection": "RANDOM",
    "shuffle_rooms": True,
    "target__pre_samples_range": [0, 0],
    "interferer__start_time_range": [0, 500000],
    "interferer__end_early_time_range": [100000, 500000],
    "interferer__number": [1, 2, 3],
}


@pytest.mark.parametrize(
    ("changes", "sha256"),
    [
        ({}, "ca3ba4ac74497e51173e386d0e450dfd5dfb0970112c2e6a22a2b7b2c2991711"),
        (EVERYTHING_RANDOM, "d139a963c645f125c8d5698cc1f62a87f70d0c59acb1f0720fce461fdda869b6"),
    ],
    ids=["sequential", "random"],
)
def test_bytes_that_the_published_code_writes_for_the_small_lists(
    metadata: Path, changes: dict[str, Any], sha256: str
) -> None:
    # Hashes of what pyclarity 0.9.0 saves for CONFIG, ROOMS and LISTS; a change of these changes the hashes.
    text = scenes_to_json(build_scenes(_config(**changes), ROOMS, metadata))
    assert hashlib.sha256(text.encode()).hexdigest() == sha256, text[:2000]


@pytest.mark.parametrize("name", ["scenes.seed0", "scenes.additional.seed0"])
def test_published_bytes(golden: Path, real_data: Path, name: str) -> None:
    rooms = json.loads((real_data / "metadata" / "rooms.dev.json").read_text())
    config = json.loads((golden / f"{name}.config.json").read_text())
    scenes = build_scenes(config, rooms, real_data / "metadata")
    published = (golden / f"{name}.json").read_text()
    assert scenes_to_json(scenes) == published
    assert scenes == json.loads(published)


def test_a_stream_goes_on_over_several_data_sets(metadata: Path) -> None:
    rng = random.Random(3)
    first, second = (build_scenes(_config(), ROOMS, metadata, rng=rng) for _ in range(2))
    assert first == build_scenes(_config(), ROOMS, metadata)
    assert second != first


def test_the_global_stream_is_left_alone(metadata: Path) -> None:
    random.seed(5)
    state = random.getstate()
    scenes = build_scenes(_config(), ROOMS, metadata)
    assert random.getstate() == state
    random.seed(6)
    assert build_scenes(_config(), ROOMS, metadata) == scenes


def test_nothing_given_is_changed(metadata: Path) -> None:
    config, rooms = _config(shuffle_rooms=True), copy.deepcopy(ROOMS)
    build_scenes(config, rooms, metadata)
    assert config == _config(shuffle_rooms=True)
    assert rooms == ROOMS


def test_structure_of_a_scene(metadata: Path) -> None:
    scene = build_scenes(_config(scene_datasets__scene_start_index=6001), ROOMS, metadata)[0]
    assert list(scene) == ["dataset", "room", "scene", "target", "duration", "interferers", "SNR", "listener"]
    assert (scene["dataset"], scene["room"], scene["scene"]) == ("train", "R00001", "S06001")
    assert list(scene["target"]) == ["name", "time_start", "time_end"]
    assert list(scene["interferers"][0]) == ["position", "time_start", "time_end", "type", "name", "offset"]
    assert list(scene["listener"]) == ["rotation", "hrir_filename"]


def test_a_turn_that_would_begin_before_the_scene_begins_with_it(metadata: Path) -> None:
    config = _config(target__pre_samples_range=[0, 0], listener__relative_start_time_range=[-2000, -1000])
    scenes = build_scenes(config, ROOMS, metadata)
    assert {scene["listener"]["rotation"][0]["sample"] for scene in scenes} == {0}
    # The published list holds an integer here, without decimals.
    assert '"sample": 0,' in scenes_to_json(scenes)


def test_json_text_of_other_values() -> None:
    text = rooms_to_json([{"a": [], "b": {}, "c": True, "d": None, "e": -0.00001, "f": "\u00e9"}])
    members = ['"a": []', '"b": {}', '"c": true', '"d": null', '"e": -0.0000', '"f": "\\u00e9"']
    assert text == "[\n  {\n    " + ",\n    ".join(members) + "\n  }\n]"
    with pytest.raises(InputError, match=r"scenes\[0\]\.SNR: is not a finite number"):
        scenes_to_json([{"SNR": math.nan}])
    with pytest.raises(InputError, match=r"scenes\[0\]\.name: cannot be written as JSON"):
        scenes_to_json([{"name": Path("x")}])


# --- selection


def test_sequential_rooms_and_targets_go_round(metadata: Path) -> None:
    scenes = build_scenes(_config(), ROOMS, metadata)
    assert [scene["room"] for scene in scenes[:7]] == [ROOMS[k % 5]["name"] for k in range(7)]
    targets = [scene["target"]["name"] for scene in scenes]
    assert sorted(targets[:8]) == [f"T{k}" for k in range(8)]
    assert targets[8:] == targets[:4]


def test_shuffled_rooms_go_round_in_another_order(metadata: Path) -> None:
    rooms = [scene["room"] for scene in build_scenes(_config(shuffle_rooms=True), ROOMS, metadata)]
    assert sorted(rooms[:5]) == [room["name"] for room in ROOMS]
    assert rooms[:5] != [room["name"] for room in ROOMS]
    assert rooms[5:10] == rooms[:5]


def test_random_rooms_and_targets_repeat(metadata: Path) -> None:
    config = _config(scene_datasets__room_selection="RANDOM", target__target_selection="RANDOM")
    scenes = build_scenes(config, ROOMS, metadata)
    assert len({scene["room"] for scene in scenes[:5]}) < 5
    assert len({scene["target"]["name"] for scene in scenes[:8]}) < 8


def test_no_scenes(metadata: Path) -> None:
    assert build_scenes(_config(scene_datasets__n_scenes=0), [], metadata) == []
    assert scenes_to_json([]) == "[]"


RANGES = st.tuples(st.integers(0, 60000), st.integers(0, 60000)).map(sorted)


@settings(max_examples=40, deadline=None, suppress_health_check=UNCHECKED)
@given(
    seed=st.integers(0, 2**32 - 1),
    pre=RANGES,
    post=RANGES,
    start=RANGES,
    early=RANGES,
    number=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    snr=st.tuples(st.floats(-30, 0), st.floats(0, 30)),
    mean=st.floats(-60, 60),
    deviation=st.floats(0.1, 20),
    final=st.tuples(st.floats(-20, 0), st.floats(0, 20)),
    selection=st.sampled_from(["SEQUENTIAL", "RANDOM"]),
)
def test_what_is_drawn_stays_within_its_limits(
    metadata: Path,
    seed: int,
    pre: list[int],
    post: list[int],
    start: list[int],
    early: list[int],
    number: list[int],
    snr: tuple[float, float],
    mean: float,
    deviation: float,
    final: tuple[float, float],
    selection: str,
) -> None:
    config = _config(
        random_seed=seed,
        scene_datasets__room_selection=selection,
        target__pre_samples_range=pre,
        target__post_samples_range=post,
        target__target_selection=selection,
        interferer__start_time_range=start,
        interferer__end_early_time_range=early,
        interferer__number=number,
        snr_range=list(snr),
        listener__angle_initial_mean=mean,
        listener__angle_initial_sd=deviation,
        listener__angle_final_range=list(final),
    )
    scenes = build_scenes(config, ROOMS, metadata)
    assert scenes == build_scenes(config, ROOMS, metadata)
    assert json.loads(scenes_to_json(scenes)) == scenes
    lengths = {entry["wavfile"]: entry["nsamples"] for entry in LISTS["targets.json"]}
    lengths |= {entry["speaker"] + ".wav": entry["nsamples"] for entry in LISTS["speech.json"]}
    lengths |= {entry["ID"] + ".wav": entry["nsamples"] for entry in LISTS["noise.json"]}
    lengths |= {entry["file"]: entry["nsamples"] for entry in LISTS["music.json"]}
    for scene in scenes:
        target, duration = scene["target"], scene["duration"]
        assert target["name"] != "T9"
        assert pre[0] <= target["time_start"] <= pre[1]
        assert target["time_end"] - target["time_start"] == lengths[target["name"]]
        assert post[0] <= duration - target["time_end"] <= post[1]
        assert snr[0] - HALF_DIGIT <= scene["SNR"] <= snr[1] + HALF_DIGIT

        kinds = [interferer["type"] for interferer in scene["interferers"]]
        assert len(kinds) in number
        assert kinds.count("music") <= 1
        positions = [interferer["position"] for interferer in scene["interferers"]]
        assert positions == sorted(set(positions))
        assert set(positions) <= {1, 2, 3}
        for interferer in scene["interferers"]:
            begin, end = interferer["time_start"], interferer["time_end"]
            assert min(duration, start[0]) <= begin <= min(duration, start[1])
            assert end == begin or duration - early[1] <= end <= duration - early[0]
            assert 0 <= interferer["offset"] <= lengths[interferer["name"]] - (end - begin)

        room = next(room for room in ROOMS if room["name"] == scene["room"])
        delta = [t - r for t, r in zip(room["target"]["position"], room["listener"]["position"], strict=True)]
        towards = math.degrees(math.atan2(delta[1], delta[0]))
        first, last = scene["listener"]["rotation"]
        assert first["sample"] >= 0
        before, after = first["angle"] - towards, last["angle"] - towards
        # Both angles lie on the same side of the target, which is drawn.
        assert any(
            abs(side * before - mean) <= 2 * deviation + HALF_DIGIT
            and final[0] - HALF_DIGIT <= side * after <= final[1] + HALF_DIGIT
            for side in (1, -1)
        )
        head = scene["listener"]["hrir_filename"][0].removesuffix("-ED")
        assert head in ("A", "B")
        assert scene["listener"]["hrir_filename"] == [f"{head}-ED", f"{head}-BTE_fr"]


# --- wrong input


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"snr_ranges": [0, 1]}, "snr_ranges: unknown key .*did you mean snr_range"),
        ({"listener__head": ["A"]}, "listener.head: unknown key .*did you mean heads"),
        ({"scene_datasets__n_scenes": -1}, "scene_datasets.n_scenes: wrong value .*found -1"),
        ({"scene_datasets__n_scenes": 2.5}, "scene_datasets.n_scenes: wrong value .*found 2.5"),
        ({"scene_datasets__n_scenes": True}, "scene_datasets.n_scenes: wrong value .*found true"),
        ({"scene_datasets__room_selection": "SHUFFLE"}, "room_selection: wrong value .*'SEQUENTIAL' or 'RANDOM'"),
        ({"target__target_selection": "random"}, 'target.target_selection: wrong value .*found "random"'),
        ({"target__pre_samples_range": [5, 2]}, "target.pre_samples_range: the first value must not exceed"),
        ({"target__pre_samples_range": [5]}, "target.pre_samples_range"),
        ({"target__pre_samples_range": [0.5, 2]}, "target.pre_samples_range.0: wrong value"),
        ({"interferer__number": []}, "interferer.number: wrong value"),
        ({"interferer__number": [0]}, "interferer.number.0: wrong value .*found 0"),
        ({"interferer__start_time_range": [-1, 2]}, "interferer.start_time_range.0: wrong value .*found -1"),
        ({"snr_range": "loud"}, 'snr_range: wrong value .*found "loud"'),
        ({"snr_range": [0, math.nan]}, "snr_range.1: wrong value"),
        ({"listener__heads": []}, "listener.heads: wrong value"),
        ({"listener__angle_initial_sd": 0}, "listener.angle_initial_sd: wrong value .*greater than 0"),
        ({"listener__duration_sd": -1}, "listener.duration_sd: wrong value"),
        ({"random_seed": "zero"}, 'random_seed: wrong value .*found "zero"'),
        ({"shuffle_rooms": "no"}, 'shuffle_rooms: wrong value .*found "no"'),
        ({"scene_datasets__scene_start_index": 99999}, "scene_datasets: scene numbers must have five digits"),
    ],
)
def test_wrong_configuration(metadata: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=f"^scene configuration: .*{line}"):
        build_scenes(_config(**changes), ROOMS, metadata)


@pytest.mark.parametrize("section", [None, "target", "interferer", "listener", "scene_datasets"])
def test_every_missing_key_is_named(metadata: Path, section: str | None) -> None:
    keys = _config() if section is None else _config()[section]
    for key in keys:
        config = _config()
        del (config if section is None else config[section])[key]
        place = key if section is None else f"{section}.{key}"
        with pytest.raises(InputError, match=f"^scene configuration: {place}: key is missing"):
            build_scenes(config, ROOMS, metadata)


def test_no_room(metadata: Path) -> None:
    with pytest.raises(InputError, match="rooms: there is no room"):
        build_scenes(_config(), [], metadata)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda room: room.pop("name"), r"rooms: \[1\]\.name: is not a name: it is no text"),
        (lambda room: room.update(name="R00001"), r"rooms: \[1\]\.name: two rooms have the same name"),
        (lambda room: room.pop("listener"), r"rooms: R00002\.listener\.position"),
        (lambda room: room["target"].update(position=[1, 2]), r"rooms: R00002\.target\.position: .*\[1, 2\]"),
        (lambda room: room["target"].update(position=[1, 2, "a"]), r"rooms: R00002\.target\.position"),
        (lambda room: room.pop("interferers"), r"rooms: R00002\.interferers"),
        (lambda room: room["interferers"].clear(), r"room R00002: interferers: has too few positions \(found 0"),
    ],
)
def test_wrong_room(metadata: Path, edit: Any, line: str) -> None:
    rooms = copy.deepcopy(ROOMS)
    edit(rooms[1])
    with pytest.raises(InputError, match=line):
        build_scenes(_config(), rooms, metadata)


def test_no_target_of_the_data_set(metadata: Path) -> None:
    with pytest.raises(InputError, match=r"targets\.json: dataset: lists no target .*wanted eval"):
        build_scenes(_config(dataset="eval"), ROOMS, metadata)


def test_no_interferer_of_the_data_set(metadata: Path) -> None:
    with pytest.raises(InputError, match=r"(speech|noise|music)\.json: nsamples: .*found none of this data set"):
        build_scenes(_config(dataset="dev"), ROOMS, metadata)


def test_no_interferer_long_enough(tmp_path: Path) -> None:
    lists = copy.deepcopy(LISTS)
    for entry in lists["noise.json"]:
        entry["nsamples"] = 4000
    with pytest.raises(
        InputError,
        match=r"noise\.json: nsamples: has no noise interferer of data set train that is long enough among those like "
        r"(Fan|Kettle)_0\.wav for scene S\d{5} \(found 4000 samples at most, wanted 2\d{5} samples\)",
    ):
        build_scenes(_config(), ROOMS, _write(tmp_path, lists))


@pytest.mark.parametrize("name", list(LISTS))
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "no such file"),
        ("[{", r"line 1 column \d+: is not valid JSON"),
        ("{}", "must hold a list of recordings"),
        ("[3]", r"\[0\]: must be an object"),
    ],
)
def test_broken_list(tmp_path: Path, name: str, content: str | None, line: str) -> None:
    path = _write(tmp_path, LISTS) / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InputError, match=rf"{name}: {line}"):
        build_scenes(_config(), ROOMS, tmp_path)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        (name, field, value)
        for name, entries in LISTS.items()
        for field in entries[0]
        for value in ((None, "long", 0, True, 2.5) if field == "nsamples" else (None, 7, ""))
    ],
)
def test_wrong_field_of_a_list(tmp_path: Path, name: str, field: str, value: Any) -> None:
    lists = copy.deepcopy(LISTS)
    lists[name][2][field] = value
    with pytest.raises(InputError, match=rf"{name}: \[2\]\.{field}: is not a"):
        build_scenes(_config(), ROOMS, _write(tmp_path, lists))
    del lists[name][2][field]
    with pytest.raises(InputError, match=rf"{name}: \[2\]\.{field}: field is missing"):
        build_scenes(_config(), ROOMS, _write(tmp_path, lists))
