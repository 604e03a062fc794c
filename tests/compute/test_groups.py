"""Neighbours that share work go to one Ray task."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.compute.units import Unit

ray_backend = pytest.importorskip("hearlab.compute.ray_backend")


def nothing(root: Path, out: Path) -> None:
    pass


def ids(groups: list[list[Unit]]) -> list[str]:
    return [" ".join(unit.id for unit in group) for group in groups]


def unit(name: str, group: str | None) -> Unit:
    return Unit(name, nothing, group=group)


def test_neighbours_of_a_group_stay_together() -> None:
    units = [unit("a", "1"), unit("b", "1"), unit("c", "2"), unit("d", None), unit("e", None), unit("f", "1")]
    assert ids(ray_backend.grouped(units)) == ["a b", "c", "d", "e", "f"]


def test_large_groups_are_cut() -> None:
    units = [unit(str(k), "song") for k in range(2 * ray_backend.GROUP_AT_MOST + 1)]
    groups = ray_backend.grouped(units)
    assert [len(group) for group in groups] == [ray_backend.GROUP_AT_MOST, ray_backend.GROUP_AT_MOST, 1]
    assert [member for group in groups for member in group] == units
