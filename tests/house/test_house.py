"""No circle, no import upward, no long module, no crowded folder, and a picture that shows what is there."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
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


def test_the_picture_shows_the_house_that_is_there() -> None:
    drawn = house.PICTURE.read_text(encoding="utf-8")
    if drawn != house.picture(modules_of("src")):
        pytest.fail("docs/images/house.svg is out of date: run python tools/house.py", pytrace=False)
    # Each room is in it, as text.
    texts = {element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
    assert {room.rpartition(".")[2] for floor in house.FLOORS for room in floor} <= {
        (text or "").removesuffix("/").removesuffix(".py") for text in texts
    }


# The script on small trees, to see that it can fail.

FLOORS = ({"ground": "", "tools": ""}, {"hall": ""}, {"roof": ""})


def tree(folder: Path, **files: str) -> house.Modules:
    """Modules of a package `home`; `__` in a name is a folder, `x__init` is the `__init__.py` of x."""
    root = folder / "home"
    for name, text in files.items():
        path = root / (name.replace("__init", "/__init__").replace("__", "/", 0 if "__init" in name else -1) + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "__init__.py").touch()
    return house.read(folder)


def test_a_circle_is_found(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        ground="import os\nfrom home import hall\n",
        hall="def late() -> None:\n    from home.roof import top\n",
        roof="from home.ground import low\n",
    )
    (found,) = house.circles(modules)
    for line in ("ground.py:2 imports home.hall", "hall.py:2 imports home.roof", "roof.py:1 imports home.ground"):
        assert line in found


@pytest.mark.parametrize(
    "closing",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from home.b.two import Two\n",
        "import importlib\nimportlib.import_module('home.b.two')\n",
        "from ..b import two\n",
        "import home.b.two as other\n",
    ],
)
def test_a_circle_between_folders_is_found_however_it_is_imported(tmp_path: Path, closing: str) -> None:
    """No two modules import each other here: the folders do."""
    modules = tree(tmp_path, a__one="import home.b.three\n", b__three="", b__two="", a__four=closing)
    assert not house.circles({name: module for name, module in modules.items() if name != "home.a.four"})
    modules = tree(tmp_path, b__two="from home.a.one import x\n")
    (found,) = house.circles(modules)
    assert "home.b" in found
    assert "home.a" in found


def test_a_package_and_its_module_are_a_circle(tmp_path: Path) -> None:
    assert house.circles(tree(tmp_path, hall__init="from .door import x\n", hall__door="from home.hall import x\n"))


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        ground="",
        tools="",
        hall__init="",
        hall__door="import home.ground\n",
        roof="from home import ground\nfrom home.hall.door import handle\n",
    )
    assert not house.upward_imports(modules, FLOORS, "home")
    modules = tree(tmp_path, hall__door="\n\nfrom home.roof import chimney\n", tools="import home.ground\n")
    upward, same_floor = sorted(house.upward_imports(modules, FLOORS, "home"))
    assert "hall/door.py:3 imports home.roof" in upward
    assert "tools.py:1 imports home.ground" in same_floor


def test_a_module_without_a_room_and_a_room_without_a_module_are_found(tmp_path: Path) -> None:
    missing, homeless = house.upward_imports(tree(tmp_path, ground="", hall="", roof="", shed=""), FLOORS, "home")
    assert "tools has a floor" in missing
    assert "shed" in homeless


def test_long_modules_and_crowded_folders_are_found(tmp_path: Path) -> None:
    modules = tree(tmp_path, hall="x = 1\n" * 401, roof="x = 1\n" * 400, **{f"shed__tool{n}": "" for n in range(16)})
    (long,) = house.long_modules(modules)
    assert "hall.py has 401 lines" in long
    (crowded,) = house.crowded_folders(modules)
    assert "shed has 16 modules" in crowded


def test_check_fails_where_the_picture_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for root in house.ROOTS:
        (tmp_path / root).mkdir()
    package = tmp_path / "src/hearlab"
    tree(tmp_path / "src", x="")
    (tmp_path / "src/home").rename(package)
    (package / "x.py").unlink()
    (package / "low.py").write_text("")
    (package / "high.py").write_text("from hearlab.low import x\n")
    monkeypatch.setattr(house, "REPOSITORY", tmp_path)
    monkeypatch.setattr(house, "PICTURE", tmp_path / "house.svg")
    monkeypatch.setattr(house, "FLOORS", ({"low": "below"}, {"high": "above"}))
    monkeypatch.setattr(house.broken_rules, "__defaults__", (tmp_path,))
    monkeypatch.setattr(house.upward_imports, "__defaults__", (house.FLOORS, "hearlab"))
    assert house.main(["--check"]) == 1
    assert "house.svg is out of date" in capsys.readouterr().err
    assert house.main([]) == 0
    assert "2 modules in 2 rooms on 2 floors, 1 arrows between rooms" in capsys.readouterr().out
    assert house.main(["--check"]) == 0
    (package / "low.py").write_text("from hearlab import high\n")
    assert house.main(["--check"]) == 1
    assert "upward: src/hearlab/low.py:1 imports hearlab.high" in capsys.readouterr().err


def test_arrows_that_follow_from_others_are_not_drawn() -> None:
    floors = [{"low": "a < b"}, {"middle": ""}, {"high": ""}]
    svg = draw(floors, {("high", "middle"), ("middle", "low"), ("high", "low")}, {"low": 1})
    titles = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["high imports middle", "middle imports low"]
    assert svg == draw(floors, [("middle", "low"), ("high", "low"), ("high", "middle")], {"low": 1})
