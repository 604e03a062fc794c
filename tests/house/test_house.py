"""No circle, no import upward, no long module, no crowded folder, and a picture that shows what is there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

import house
from house_picture import draw

RULES: dict[str, Callable[[house.Modules], list[str]]] = {
    "no circle": house.circles,
    "no module above 400 lines": house.long_modules,
    "no folder with more than 15 modules": house.crowded_folders,
}


@cache
def modules_of(root: str) -> house.Modules:
    return house.read(house.REPOSITORY / root)


def none_of(broken: list[str]) -> None:
    """Fail with the lines alone: each names file, line and import."""
    if broken:
        pytest.fail("\n" + "\n".join(broken), pytrace=False)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("root", house.ROOTS)
def test_every_folder_keeps_the_rules(root: str, rule: str) -> None:
    none_of(RULES[rule](modules_of(root)))


@pytest.mark.parametrize("room", [room for floor in house.FLOORS for room in floor])
def test_a_room_imports_from_lower_floors_only(room: str) -> None:
    place = f"src/hearlab/{room.replace('.', '/')}"
    upward = [line for line in house.upward_imports(modules_of("src")) if line.startswith("upward")]
    none_of([line for line in upward if f"{place}/" in line or f"{place}.py" in line])


def test_every_module_has_a_room_and_every_room_exists() -> None:
    none_of([line for line in house.upward_imports(modules_of("src")) if not line.startswith("upward")])


def test_the_limits_are_those_of_the_names_above() -> None:
    assert (house.LONGEST_MODULE, house.FULLEST_FOLDER) == (400, 15)


@pytest.mark.slow
def test_the_picture_shows_the_house_that_is_there() -> None:
    drawn = house.PICTURE.read_text(encoding="utf-8")
    if drawn != house.picture(modules_of("src")):
        pytest.fail("docs/images/house.svg is out of date: run python tools/house.py", pytrace=False)
    # Each room is in it, as text.
    texts = {element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
    assert {room.rpartition(".")[2] for floor in house.FLOORS for room in floor} <= {
        (text or "").removesuffix("/").removesuffix(".py") for text in texts
    }


# The script on small trees: it can fail.


@pytest.fixture(autouse=True)
def small_house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "tmp_path" in request.fixturenames:
        monkeypatch.setattr(house, "FLOORS", ({"ground": "", "cellar": ""}, {"hall": "the way in"}, {"roof": ""}))


def tree(root: Path, files: Mapping[str, str]) -> house.Modules:
    """Modules of a package named hearlab below `root`."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "hearlab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return house.read(root)


def test_a_circle_is_found(tmp_path: Path) -> None:
    files = {
        "ground.py": "import os\nfrom hearlab import hall\n",
        "hall.py": "def late() -> None:\n    from hearlab.roof import top\n",
        "roof.py": "from hearlab.ground import low\n",
    }
    (found,) = house.circles(tree(tmp_path, files))
    for part in (
        "ground.py:2 imports hearlab.hall",
        "hall.py:2 imports hearlab.roof",
        "roof.py:1 imports hearlab.ground",
    ):
        assert part in found


@pytest.mark.parametrize(
    "closing",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hearlab.roof.two import Two\n",
        "import importlib\nimportlib.import_module('hearlab.roof.two')\n",
        "from ..roof import two\n",
        "import hearlab.roof.two as other\n",
    ],
)
def test_a_circle_between_folders_is_found_however_it_is_imported(tmp_path: Path, closing: str) -> None:
    """No two modules import each other here, but the folders do."""
    files = {"hall/one.py": "", "hall/three.py": closing, "roof/two.py": ""}
    assert not house.circles(tree(tmp_path, files))
    (found,) = house.circles(tree(tmp_path, {"roof/four.py": "from hearlab.hall.one import x\n"}))
    assert "hall/three.py" in found
    assert "roof/four.py" in found


def test_a_package_and_its_module_can_be_a_circle(tmp_path: Path) -> None:
    files = {"hall/__init__.py": "from .door import x\n", "hall/door.py": ""}
    assert not house.circles(tree(tmp_path, files))
    assert house.circles(tree(tmp_path, {"hall/door.py": "from hearlab.hall import y\n"}))


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    files = {
        "ground.py": "",
        "cellar.py": "",
        "hall/__init__.py": "",
        "hall/door.py": "import hearlab.ground\n",
        "roof.py": "from hearlab import ground\nfrom hearlab.hall.door import handle\n",
    }
    assert not house.upward_imports(tree(tmp_path, files))
    modules = tree(
        tmp_path,
        {"hall/door.py": "\n\nfrom hearlab.roof import chimney\n", "cellar.py": "import hearlab.ground\n"},
    )
    same_floor, upward = house.upward_imports(modules)
    assert "cellar.py:1 imports hearlab.ground" in same_floor
    assert "hall/door.py:3 imports hearlab.roof" in upward


def test_a_module_without_a_room_and_a_room_without_a_module_are_found(tmp_path: Path) -> None:
    files = dict.fromkeys(("ground.py", "hall.py", "roof.py", "shed.py"), "")
    missing, homeless = house.upward_imports(tree(tmp_path, files))
    assert "cellar has a floor" in missing
    assert "shed" in homeless


def test_long_modules_and_crowded_folders_are_found(tmp_path: Path) -> None:
    files = {"hall.py": "x = 1\n" * 401, "roof.py": "x = 1\n" * 400}
    files |= {f"shed/tool{number}.py": "" for number in range(16)}
    modules = tree(tmp_path, files)
    (long,) = house.long_modules(modules)
    assert "hall.py has 401 lines" in long
    (crowded,) = house.crowded_folders(modules)
    assert "shed has 16 modules" in crowded


def test_check_fails_for_an_old_picture_and_a_broken_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(house, "REPOSITORY", tmp_path)
    monkeypatch.setattr(house, "PICTURE", tmp_path / "house.svg")
    files = {
        "ground.py": "",
        "cellar.py": "",
        "hall/__init__.py": "",
        "hall/door.py": "import hearlab.ground\n",
        "roof.py": "",
    }
    tree(tmp_path / "src", files)
    assert house.main(["--check"]) == 1
    assert "house.svg is out of date" in capsys.readouterr().err
    assert house.main([]) == 0
    assert "4 modules in 4 rooms on 3 floors, 1 lines; 1 arrows between rooms" in capsys.readouterr().out
    assert house.main(["--check"]) == 0
    tree(tmp_path / "src", {"hall/window.py": "from hearlab import roof\n"})
    assert house.main(["--check"]) == 1
    errors = capsys.readouterr().err
    assert "upward: src/hearlab/hall/window.py:1 imports hearlab.roof" in errors
    assert "house.svg is out of date" in errors  # two modules in the hall


def test_arrows_that_follow_from_others_are_not_drawn() -> None:
    floors = [{"low": "a < b"}, {"middle": ""}, {"high": ""}]
    svg = draw(floors, {("high", "middle"), ("middle", "low"), ("high", "low")}, {"low": 1})
    titles = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["high imports middle", "middle imports low"]
    assert svg == draw(floors, [("middle", "low"), ("high", "low"), ("high", "middle")], {"low": 1})


def test_the_table_of_floors_is_that_of_the_rules() -> None:
    page = (house.REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE))
    listed = [{name.replace("/", ".") for name in re.findall(r"`([\w/]+)`: ", rows[str(n)])} for n in range(len(rows))]
    assert listed == [set(floor) for floor in house.FLOORS]


@pytest.mark.parametrize("room", ["kernels", "ear", "fitting", "scenes", "separation", "metrics"])
def test_numeric_rooms_know_nothing_of_versions_units_and_runs(room: str) -> None:
    imported = {target for source, target in house.room_arrows(modules_of("src")) if source == room}
    assert not imported & {"versions", "compute", "tracking"}
