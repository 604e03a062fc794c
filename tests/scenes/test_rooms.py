"""Rooms from RAVEN project files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.scenes.rooms import build_rooms
from hearlab.scenes.scene_json import rooms_to_json

PROJECT = """\
# Raven-Config =
[Global]
ProjectName = CuboidRoom_6.9933x3x3
# ProjectName = CuboidRoom_1x1x1
[Rooms]
#Room Temperature [\u00b0C] =
Model = e:/Some Folder/HOA_IR_Round2/{room}.ac
[PrimarySources]
#sources positions =
sourcePositions = {source}
sourceViewVectors = -0.385, 0.923, 0.000
sourceUpVectors = 0.000,0.000,1.000
[Receiver]
receiverPositions = -0.100, 5.200, 1.200
receiverViewVectors = -0.071,-0.997, 0.000
"""
SOURCES = {
    "t": "-0.300, 2.400, 1.200",
    "i1": "0.400,4.000,1.200",
    "i2": "0.400,3.100,1.200",
    "i3": "0.200,3.700,1.200",
}
ROOM = {
    "name": "R00001",
    "dimensions": "6.9933x3x3",
    "target": {"position": [-0.3, 2.4, 1.2], "view_vector": [-0.385, 0.923, 0.0]},
    "listener": {"position": [-0.1, 5.2, 1.2], "view_vector": [-0.071, -0.997, 0.0]},
    "interferers": [{"position": [0.4, 4.0, 1.2]}, {"position": [0.4, 3.1, 1.2]}, {"position": [0.2, 3.7, 1.2]}],
}


@pytest.fixture
def rpf(tmp_path: Path) -> Path:
    for room in ("R00001", "R00002"):
        for source, position in SOURCES.items():
            text = PROJECT.format(room=room, source=position)
            (tmp_path / f"{room}_{source}.rpf").write_bytes(text.replace("\n", "\r\n").encode("utf-8"))
    return tmp_path


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_reads_rooms_in_order_with_the_published_structure(rpf: Path) -> None:
    rooms = build_rooms(rpf, 1, 2)
    assert rooms == [ROOM, ROOM | {"name": "R00002"}]
    assert list(rooms[0]) == list(ROOM)


def test_number_of_interferers(rpf: Path) -> None:
    assert build_rooms(rpf, 1, 1, interferers=1)[0]["interferers"] == ROOM["interferers"][:1]
    assert build_rooms(rpf, 1, 1, interferers=0)[0]["interferers"] == []
    assert build_rooms(rpf, 1, 0) == []


def test_comment_in_another_encoding(rpf: Path) -> None:
    path = rpf / "R00001_t.rpf"
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    assert build_rooms(rpf, 1, 1) == [ROOM]


def test_json_text(rpf: Path) -> None:
    text = rooms_to_json(build_rooms(rpf, 1, 1))
    assert json.loads(text) == [ROOM]
    assert text.startswith('[\n  {\n    "name": "R00001",\n    "dimensions": "6.9933x3x3",\n    "target": {\n')
    assert '      "position": [\n        -0.3000,\n        2.4000,\n        1.2000\n      ],\n' in text
    assert text.endswith("    ]\n  }\n]")


def test_real_room(golden: Path, real_data: Path) -> None:
    rooms = build_rooms(real_data / "dev" / "rooms" / "rpf", 6001, 1)
    assert rooms == json.loads((golden / "rooms.R06001.json").read_text())
    assert json.loads(rooms_to_json(rooms)) == rooms


@pytest.mark.parametrize(
    "field",
    ["ProjectName", "Model", "sourcePositions", "sourceViewVectors", "receiverPositions", "receiverViewVectors"],
)
def test_missing_field_is_named(rpf: Path, field: str) -> None:
    _edit(rpf / "R00001_t.rpf", f"\n{field} =", f"\n#{field} =")
    with pytest.raises(InputError, match=rf"R00001_t\.rpf: {field}: field is missing"):
        build_rooms(rpf, 1, 1)


@pytest.mark.parametrize(
    "vector",
    ["0.4,4.0", "0.4,4.0,1.2,1.0", "0.4,four,1.2", "", "nan,1,1", "1,inf,1", "1,999,1", "-999,1,1", "true,1,1"],
)
def test_vector_that_is_not_three_numbers(rpf: Path, vector: str) -> None:
    _edit(rpf / "R00001_i1.rpf", SOURCES["i1"], vector)
    with pytest.raises(InputError, match=r"R00001_i1\.rpf: sourcePositions: is not a vector .*wanted three numbers"):
        build_rooms(rpf, 1, 1)


@pytest.mark.parametrize(
    "name", ["CuboidRoom", "CuboidRoom_3x4", "CuboidRoom_axbxc", "CuboidRoom_1x2x3x4", "CuboidRoom_3x999x3"]
)
def test_wrong_dimensions(rpf: Path, name: str) -> None:
    _edit(rpf / "R00001_t.rpf", "CuboidRoom_6.9933x3x3", name)
    with pytest.raises(InputError, match=rf"R00001_t\.rpf: ProjectName: .*'{name}'"):
        build_rooms(rpf, 1, 1)


def test_file_of_another_room(rpf: Path) -> None:
    _edit(rpf / "R00001_i2.rpf", "R00001.ac", "R00007.ac")
    with pytest.raises(InputError, match=r"R00001_i2\.rpf: Model: names another room \(found R00007, wanted R00001\)"):
        build_rooms(rpf, 1, 1)


def test_file_without_a_room_name(rpf: Path) -> None:
    _edit(rpf / "R00001_i2.rpf", "R00001.ac", "R000012.ac")
    with pytest.raises(InputError, match=r"R00001_i2\.rpf: Model: names no room"):
        build_rooms(rpf, 1, 1)


def test_missing_file_and_folder(rpf: Path) -> None:
    (rpf / "R00002_i3.rpf").unlink()
    with pytest.raises(InputError, match=r"R00002_i3\.rpf: no such file"):
        build_rooms(rpf, 1, 2)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        build_rooms(rpf / "nowhere", 1, 1)


@pytest.mark.parametrize(("first", "count", "interferers"), [(-1, 2, 3), (1, -1, 3), (99999, 2, 3), (1, 1, -1)])
def test_wrong_numbers(rpf: Path, first: int, count: int, interferers: int) -> None:
    with pytest.raises(InputError, match="rooms: "):
        build_rooms(rpf, first, count, interferers)


def test_a_view_vector_that_means_no_answer(rpf: Path) -> None:
    _edit(rpf / "R00001_t.rpf", "-0.071,-0.997, 0.000", "999,0,0")
    with pytest.raises(
        InputError, match=r"R00001_t\.rpf: receiverViewVectors: is not a vector .*from -1\.001 to 1\.001"
    ):
        build_rooms(rpf, 1, 1)
