"""The examples in the docstrings of the public interface, which docs/reference/*.md shows, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHOWN = re.compile(r"^::: ([\w.]+)((?:\n    .*)*)", re.MULTILINE)
MEMBERS = re.compile(r"members: \[([^\]]*)\]")
# They need a workspace with the demo's results.
ON_THE_DEMO = {"hearlab.lab.laboratory"}
# What functions give back: the examples of those functions show them.
GIVEN_BACK = {
    "BetterEarResult",
    "ClusteredMean",
    "HaaqiResult",
    "HaspiResult",
    "HasqiResult",
    "PairedDifference",
    "SceneSignals",
    "SignFlipTest",
    "SilentItemWarning",
    "SongSignals",
    "Trial",
}


def shown() -> dict[str, list[str]]:
    """The modules that the reference shows, each with its members."""
    found = {}
    for page in sorted((REPOSITORY / "docs/reference").glob("*.md")):
        for name, options in SHOWN.findall(page.read_text(encoding="utf-8")):
            members = MEMBERS.search(options)
            listed = re.split(r",\s*", members[1]) if members else importlib.import_module(name).__all__
            found[name] = [
                member
                for member in listed
                if inspect.isroutine(thing := getattr(load(name), member)) or inspect.isclass(thing)
            ]
    return found


def load(name: str) -> ModuleType:
    if ".learning." in f".{name}.":
        pytest.importorskip("torch", reason="torch is not installed: make test installs it")
    return importlib.import_module(name)


NAMES = [(module, member) for module, members in shown().items() for member in members]


def examples_of(module: str, member: str) -> Iterator[doctest.DocTest]:
    """The examples of a function or a class and of its methods, with what its own module knows."""
    thing = getattr(load(module), member)
    names = vars(importlib.import_module(thing.__module__)) | vars(load(module))
    for test in doctest.DocTestFinder().find(thing, member, module=False, globs=dict(names)):
        if test.examples:
            yield test


def run(module: str, member: str) -> None:
    runner, said = doctest.DocTestRunner(), []
    for test in examples_of(module, member):
        runner.run(test, out=said.append)
    if runner.failures:
        pytest.fail("".join(said), pytrace=False)


@pytest.mark.parametrize(("module", "member"), NAMES)
def test_every_public_function_has_an_example(module: str, member: str) -> None:
    assert member in GIVEN_BACK or list(examples_of(module, member)), f"{module}.{member} has no example"


@pytest.mark.parametrize(("module", "member"), [pair for pair in NAMES if pair[0] not in ON_THE_DEMO])
def test_the_examples_are_true(module: str, member: str) -> None:
    run(module, member)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "member"), [pair for pair in NAMES if pair[0] in ON_THE_DEMO])
def test_the_examples_on_the_demo_are_true(module: str, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (REPOSITORY / "data/demo/rendered/dev").is_dir():
        pytest.skip("the examples need the demo's data: make demo")
    monkeypatch.chdir(REPOSITORY)
    run(module, member)


def test_the_public_interface_is_shown() -> None:
    assert {"haspi", "haspi_better_ear", "hasqi", "hasqi_better_ear", "haaqi", "unit_seed"} <= set(
        shown()["hearlab.metrics"]
    )
    names = {member for _, member in NAMES}
    assert {"Audiogram", "Listener", "load_listeners", "NalR", "Compressor"} <= names
    assert {"build_rooms", "build_scenes", "render_scene", "EnhancementSystem", "Lab", "scores"} <= names
    assert not GIVEN_BACK - names


def test_a_wrong_example_fails() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner().run(wrong, out=lambda text: None).failed == 1
