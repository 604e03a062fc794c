"""The demo data set as files: the challenge's layout and formats, the same bytes from the same seed."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import loadmat, wavfile

from hearlab.datasets.demo import DEMO_HEADS, make_demo
from hearlab.datasets.demo.listeners import demo_listeners, scene_listeners
from hearlab.datasets.demo.speech.heads import HEADS
from hearlab.datasets.demo.speech.hrir_files import hrir_mat
from hearlab.datasets.demo.speech.recordings import targets
from hearlab.datasets.demo.speech.rooms import draw_room
from hearlab.datasets.layout import MICROPHONES, ClarityData
from hearlab.errors import InputError
from hearlab.listeners import load_listeners
from hearlab.scenes import build_rooms, build_scenes
from scene_configuration import scene_configuration

RATE = 44100
ROOMS = {"dev": ["R06001", "R06002"], "train": ["R00001"]}
SOURCES = ("t", "i1", "i2", "i3")

# What the challenge's files hold (names of fields only).
MAT_FIELDS = {
    "M_data", "M_directions", "M_headpos", "T_shft_common", "c_channel_names", "c_data_dims", "c_legend_headpos",
    "c_mic_names", "c_mic_types", "n_samples_rejected", "s_locname", "s_subj_info", "s_type", "s_vpname", "srate",
}  # fmt: skip
LIST_FIELDS = {
    "target_speech_list": {
        "prompt", "prompt_id", "speaker", "wavfile", "index", "dot", "dataset", "sex", "nsamples", "duration", "fs",
    },
    "masker_speech_list": {"utterances", "dataset", "type", "speaker", "nsamples", "duration", "fs"},
    "masker_nonspeech_list": {"ID", "class", "source", "file", "dataset", "type", "nsamples", "duration", "fs"},
    "masker_music_list": {
        "track", "artist", "album", "file", "duration", "dataset", "fs", "type", "license", "nsamples",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> ClarityData:
    """A small demo world: two dev scenes, one train scene."""
    root = tmp_path_factory.mktemp("demo") / "clarity_data"
    make_demo(root, 3, dev_scenes=2, train_scenes=1)
    return ClarityData(root)


def _list(demo: ClarityData, name: str) -> list[dict]:
    return json.loads((demo.metadata / f"{name}.json").read_text())


def _files(demo: ClarityData) -> dict[str, list[tuple[Path, dict]]]:
    """The file of every entry of the metadata, named as the published scene builder and renderer do."""
    names = {
        "target_speech_list": lambda e: demo.target(e["dataset"], e["wavfile"]),
        "masker_speech_list": lambda e: demo.interferer(e["dataset"], "speech", e["speaker"] + ".wav"),
        "masker_nonspeech_list": lambda e: demo.interferer(e["dataset"], "noise", e["ID"] + ".wav"),
        "masker_music_list": lambda e: demo.interferer(e["dataset"], "music", e["file"]),
    }
    return {name: [(path(entry), entry) for entry in _list(demo, name)] for name, path in names.items()}


def _content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_layout_is_the_challenges(demo: ClarityData) -> None:
    expected = {demo.hrir(f"{head}-{microphone}") for head in DEMO_HEADS for microphone in MICROPHONES}
    expected |= {demo.listeners, demo.hrir_metadata, *(demo.scenes_listeners(split) for split in ROOMS)}
    for split, rooms in ROOMS.items():
        expected |= {demo.rpf(split).parent / "ac" / f"{room}.ac" for room in rooms}
        for room, source in itertools.product(rooms, SOURCES):
            expected |= {demo.rpf(split) / f"{room}_{source}.rpf", demo.room_response(split, room, source)}
    for name, files in _files(demo).items():
        expected |= {demo.metadata / f"{name}.json"} | {path for path, _ in files}
    # Equality also says that no temporary file was left.
    assert {path for path in demo.root.rglob("*") if path.is_file()} == expected


@pytest.mark.slow
def test_two_runs_give_the_same_bytes_and_items_do_not_depend_on_each_other(demo: ClarityData, tmp_path: Path) -> None:
    # Another folder, a moment later, with fewer scenes, over remains of something else, several parts at a time.
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "listeners.json").write_text("{")
    make_demo(tmp_path, 3, dev_scenes=1, train_scenes=0, threads=3)
    first, second = _content(demo.root), _content(tmp_path)
    assert len(second) > 30
    about_all = {name for name in second if name.startswith("metadata/masker_")}
    about_all |= {"metadata/target_speech_list.json", "metadata/scenes_listeners.dev.json"}
    assert not [name for name in second.keys() - about_all if second[name] != first[name]]
    for name in about_all - {"metadata/scenes_listeners.dev.json"}:
        dev = [entry for entry in json.loads(first[name]) if entry["dataset"] == "dev"]
        assert json.loads(second[name]) == dev[: len(json.loads(second[name]))]


def test_head_related_responses_have_the_challenges_fields(demo: ClarityData) -> None:
    assert len(DEMO_HEADS) == 2
    contents = []
    for head, microphone in itertools.product(DEMO_HEADS, MICROPHONES):
        mat = loadmat(demo.hrir(f"{head}-{microphone}"))
        assert {name for name in mat if not name.startswith("__")} == MAT_FIELDS
        assert mat["M_data"].shape == (256, 91, 2)
        assert mat["M_data"].dtype == np.float64
        assert np.isfinite(mat["M_data"]).all()
        assert mat["M_directions"].shape == (2, 91)
        assert mat["srate"].item() == RATE
        assert mat["s_vpname"].item() == head
        assert mat["s_locname"].item() == microphone
        contents.append(mat["M_data"].tobytes())
    assert len(set(contents)) == len(contents), "every head and microphone has its own responses"


def test_decoder_metadata_has_the_challenges_shapes(demo: ClarityData) -> None:
    metadata = json.loads(demo.hrir_metadata.read_text())
    assert set(metadata) == {"selected_channels", "matrix", "weights"}
    assert len(metadata["selected_channels"]) == 91
    assert all(isinstance(used, bool) for used in metadata["selected_channels"])
    assert sum(metadata["selected_channels"]) == 79
    assert np.shape(metadata["matrix"]) == (79, 64)
    assert np.shape(metadata["weights"]) == (64,)


def test_room_responses_are_49_channels_of_float32(demo: ClarityData) -> None:
    for split, rooms in ROOMS.items():
        for room, source in itertools.product(rooms, SOURCES):
            rate, response = wavfile.read(demo.room_response(split, room, source))
            assert rate == RATE
            assert response.dtype == np.float32
            assert response.shape[1] == 49
            assert 0.2 * RATE <= response.shape[0] <= 0.25 * RATE
            assert np.isfinite(response).all()


@pytest.mark.parametrize("name", LIST_FIELDS)
def test_metadata_lists_tell_the_truth(demo: ClarityData, name: str) -> None:
    files = _files(demo)[name]
    assert {entry["dataset"] for _, entry in files} == {"train", "dev"}
    for path, entry in files:
        assert set(entry) == LIST_FIELDS[name]
        samples, rate = soundfile.read(path, always_2d=True)
        assert samples.shape == (entry["nsamples"], 1)
        assert rate == entry["fs"] == RATE
        assert entry["duration"] == pytest.approx(entry["nsamples"] / RATE)
        assert np.abs(samples).max() < 1.0, "not clipped"
        if name == "target_speech_list":
            assert 1.5 <= entry["duration"] <= 2.7
        else:
            assert entry["duration"] >= 8


def test_each_class_of_noise_is_in_both_splits(demo: ClarityData) -> None:
    # The published builder draws a class first, then a file of the split; a class without one would stop it.
    classes = {split: set() for split in ROOMS}
    for entry in _list(demo, "masker_nonspeech_list"):
        classes[entry["dataset"]].add(entry["class"])
    assert classes["dev"] == classes["train"]
    assert len(classes["dev"]) >= 3


def test_one_piece_of_music_is_mp3_as_in_the_challenge(demo: ClarityData) -> None:
    kinds = Counter(Path(entry["file"]).suffix for entry in _list(demo, "masker_music_list"))
    assert kinds[".mp3"] == 1
    assert kinds[".wav"] >= 1
    assert all("/" in entry["file"] for entry in _list(demo, "masker_music_list"))


def test_project_files_hold_what_the_published_builder_reads(demo: ClarityData) -> None:
    for split, rooms in ROOMS.items():
        for room, source in itertools.product(rooms, SOURCES):
            content = (demo.rpf(split) / f"{room}_{source}.rpf").read_bytes()
            assert content.count(b"\n") == content.count(b"\r\n") > 10
            text = content.decode().replace("\r\n", "\n")
            assert re.search(r"R\d{5}", text).group() == room
            assert re.search(r"^ProjectName = CuboidRoom_[\d.]+x[\d.]+x[\d.]+$", text, re.MULTILINE)
            for field in ("sourcePositions", "sourceViewVectors", "receiverPositions", "receiverViewVectors"):
                # It takes the first line that holds the name and reads what stands behind the equals sign.
                line = next(line for line in text.split("\n") if field in line)
                assert len([float(number) for number in line.split("=")[-1].split(",")]) == 3


def test_rooms_and_scenes_can_be_built(demo: ClarityData) -> None:
    rooms = build_rooms(demo.rpf("dev"), 6001, 2)
    for room in rooms:
        listener, target = room["listener"], room["target"]
        towards = np.subtract(target["position"], listener["position"])
        # The view vectors have three decimals.
        np.testing.assert_allclose(listener["view_vector"], towards / np.linalg.norm(towards), atol=6e-4)
        np.testing.assert_allclose(target["view_vector"], np.negative(listener["view_vector"]), atol=1e-9)
        length, width, height = map(float, room["dimensions"].split("x"))
        for position in (listener["position"], target["position"], *(i["position"] for i in room["interferers"])):
            assert abs(position[0]) <= width / 2 - 0.5 + 1e-9
            assert 0.5 - 1e-9 <= position[1] <= length - 0.5 + 1e-9
            assert 0 < position[2] < height
    config = scene_configuration(target__pre_samples_range=[33075, 44100], target__post_samples_range=[22050, 22050])
    assert config["listener"]["heads"] == list(DEMO_HEADS)
    scenes = build_scenes(config, rooms, demo.metadata)
    assert len(scenes) == 12
    for scene in scenes:
        for interferer in scene["interferers"]:
            assert demo.interferer("dev", interferer["type"], interferer["name"]).is_file()


def test_walls_are_a_valid_ac3d_model(demo: ClarityData) -> None:
    lines = (demo.rpf("dev").parent / "ac" / "R06001.ac").read_text().split("\n")
    assert lines[0] == "AC3Db"
    materials = sum(line.startswith("MATERIAL") for line in lines)
    assert lines[1 + materials : 3 + materials] == ["OBJECT world", "kids 6"]
    assert lines.count("OBJECT poly") == 6
    corners = []
    for at, line in enumerate(lines):
        if line.startswith("numvert"):
            polygon = np.array([list(map(float, row.split())) for row in lines[at + 1 : at + 5]])
            corners.append(polygon)
            # Flat, and its normal points into the room.
            normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[1])
            assert np.ptp(polygon[:, np.argmax(np.abs(normal))]) == 0
        if line.startswith("mat "):
            assert 0 <= int(line.split()[1]) < materials
    centre = np.mean(np.concatenate(corners), axis=0)
    for polygon in corners:
        assert np.dot(np.cross(polygon[1] - polygon[0], polygon[2] - polygon[1]), centre - polygon[0]) > 0


def test_listeners_go_from_mild_to_severe_and_slope(demo: ClarityData) -> None:
    listeners = load_listeners(demo.listeners)
    assert len(listeners) == 8
    ears = [ear for listener in listeners.values() for ear in (listener.left, listener.right)]
    assert {ear.severity for ear in ears} == {"mild", "moderate", "severe"}
    for ear in ears:
        assert ear.frequencies.tolist() == [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
        assert set(ear.levels % 5) == {0}
        assert ear.levels.min() >= 0
        assert ear.levels.max() <= 80
        assert ear.levels[-3:].mean() >= ear.levels[:3].mean() + 10
    differing = [np.any(one.left.levels != one.right.levels) for one in listeners.values()]
    assert sum(differing) >= 6
    apart = [np.abs(one.left.levels - one.right.levels).max() for one in listeners.values()]
    assert max(apart) <= 25


def test_scenes_share_the_listeners_evenly(demo: ClarityData) -> None:
    listeners = list(load_listeners(demo.listeners))
    assert list(json.loads(demo.scenes_listeners("dev").read_text())) == ["S06001", "S06002"]
    pairs = scene_listeners([f"S{number:05d}" for number in range(6001, 6013)])
    heard = Counter(itertools.chain.from_iterable(pairs.values()))
    assert set(heard) == set(listeners)
    assert max(heard.values()) - min(heard.values()) <= 1
    assert all(len(set(three)) == 3 for three in pairs.values())


def test_another_seed_gives_another_world(demo: ClarityData) -> None:
    room = draw_room("R06001", 4)
    assert build_rooms(demo.rpf("dev"), 6001, 1)[0]["listener"]["position"] != room.listener.tolist()
    assert hrir_mat(HEADS["DemoA"], "ED", RATE, 4) != demo.hrir("DemoA-ED").read_bytes()
    sentence = next(targets("dev", 1, RATE, 4))
    assert sentence.entry["prompt"] != _list(demo, "target_speech_list")[1]["prompt"]
    assert demo_listeners(4) != json.loads(demo.listeners.read_text())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"dev_scenes": 0}, "dev_scenes"), ({"train_scenes": -1}, "train_scenes"), ({"seed": -1}, "seed")],
)
def test_impossible_numbers_are_refused(tmp_path: Path, arguments: dict[str, int], field: str) -> None:
    with pytest.raises(InputError) as caught:
        make_demo(tmp_path, **arguments)
    assert caught.value.field == field
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file")
    with pytest.raises(InputError, match="not a folder"):
        make_demo(tmp_path / "here")
