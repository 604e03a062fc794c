"""Neighbours that share work go to one Ray task."""

from __future__ import annotations

from pathlib import Path

from hearlab.compute.units import GROUP_AT_MOST, Unit, grouped


def nothing(root: Path, out: Path) -> None:
    pass


def ids(groups: list[list[Unit]]) -> list[str]:
    return [" ".join(unit.id for unit in group) for group in groups]


def unit(name: str, group: str | None) -> Unit:
    return Unit(name, nothing, group=group)


def test_neighbours_of_a_group_stay_together() -> None:
    units = [unit("a", "1"), unit("b", "1"), unit("c", "2"), unit("d", None), unit("e", None), unit("f", "1")]
    assert ids(grouped(units)) == ["a b", "c", "d", "e", "f"]


def test_large_groups_are_cut() -> None:
    units = [unit(str(k), "song") for k in range(2 * GROUP_AT_MOST + 1)]
    groups = grouped(units)
    assert [len(group) for group in groups] == [GROUP_AT_MOST, GROUP_AT_MOST, 1]
    assert [member for group in groups for member in group] == units
