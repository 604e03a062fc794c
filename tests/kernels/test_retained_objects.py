"""Imports without a search for garbage leave the search as the caller had it, and the collector sound."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hearlab.kernels.retained_memory import objects_stay


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    enabled = gc.isenabled()
    yield
    (gc.enable if enabled else gc.disable)()


@pytest.mark.parametrize("before", [False, True])
def test_the_search_goes_on_if_it_was_on(before: bool) -> None:
    (gc.enable if before else gc.disable)()
    with objects_stay(), objects_stay():
        inside = gc.isenabled()
    assert (inside, gc.isenabled()) == (False, before)
    with pytest.raises(ImportError), objects_stay():
        raise ImportError
    assert gc.isenabled() == before


def test_what_was_made_is_old_and_still_found_once_it_is_garbage() -> None:
    program = """
import gc, weakref
from hearlab.kernels.retained_memory import objects_stay

class Circle:
    def __init__(self):
        self.itself = self  # only the search finds it

with objects_stay():
    kept = [Circle() for _ in range(2000)]
    gone = weakref.ref(Circle())
old = {id(found) for found in gc.get_objects(generation=2)}
assert all(id(circle) in old for circle in kept)
assert gone() is not None
gc.collect()
assert gone() is None
assert kept[0].itself is kept[0]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_the_caller_has_frozen_stays_frozen() -> None:
    program = (
        "import gc; gc.freeze(); before = gc.get_freeze_count()\n"
        "from hearlab.kernels.retained_memory import objects_stay\n"
        "with objects_stay(): made = [[] for _ in range(100)]\n"
        "assert before and gc.get_freeze_count() >= before - 100 and gc.isenabled()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_first_score_never_looks_through_all_objects() -> None:
    program = (
        "import gc; seen = []; gc.callbacks.append(lambda phase, info: seen.append(info['generation']))\n"
        "import hearlab.metrics\n"
        "assert 2 not in seen, seen"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
