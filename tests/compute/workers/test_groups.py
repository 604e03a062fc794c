"""Groups in which units go to workers: neighbours that share work, and as many quick ones as take a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.compute.units import GROUP_AT_MOST, Unit, grouped
from hearlab.compute.workers.groups import GROUP_AT_MOST as UNITS_AT_MOST
from hearlab.compute.workers.groups import GROUP_SECONDS, SHARES, Groups, in_turn


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


@pytest.mark.parametrize(
    ("seconds", "count"), [(10.0, 1), (GROUP_SECONDS, 1), (GROUP_SECONDS / 5, 5), (1e-6, UNITS_AT_MOST)]
)
def test_the_size_follows_the_time(seconds: float, count: int) -> None:
    groups = Groups([unit(str(k), None) for k in range(10_000)])
    assert len(groups.take(2)) == 1  # nothing is known yet
    groups.took(1, seconds)
    assert len(groups.take(2)) == pytest.approx(count, abs=count > 1)


def test_the_last_groups_are_small_and_all_units_are_given_once() -> None:
    units = [unit(str(k), None) for k in range(1000)]
    groups, given, sizes = Groups(units), [], []
    groups.took(10, 1e-6)
    while len(groups):
        left, group = len(groups), groups.take(4)
        assert len(group) <= max(1, left / (4 * SHARES))
        assert len(groups) == left - len(group)
        given += group
        sizes.append(len(group))
    assert given == units
    assert sizes[0] > 10 * sizes[-1]


def test_neighbours_stay_together_however_quick_or_slow() -> None:
    units = [unit(f"{song} {k}", str(song)) for song in range(300) for k in range(3)]
    for seconds in (1e-6, 100.0):
        groups, given = Groups(units), []
        groups.took(1, seconds)
        while len(groups):
            group = groups.take(2)
            assert len(group) % 3 == 0
            given += group
        assert given == units


def test_units_of_other_needs_are_not_in_one_group() -> None:
    groups = Groups([Unit(str(k), nothing, memory=1 + k // 50) for k in range(100)])
    groups.took(1, 1e-6)
    while len(groups):
        assert len({unit.memory for unit in groups.take(1)}) == 1


def test_what_is_put_back_is_next() -> None:
    groups = Groups([unit(str(k), "song") for k in range(6)])
    first = groups.take(1)
    groups.put_back(first[2:])
    assert len(groups) == 4
    assert [unit.id for unit in groups.take(1)] == ["2", "3", "4", "5"]
    groups.put_back(first[:3], alone=True)
    groups.took(1, 1e-6)
    assert groups.first.id == "0"
    assert [[unit.id for unit in groups.take(1)] for _ in range(3)] == [["0"], ["1"], ["2"]]
    assert len(groups) == 0


def test_one_takes_the_next_unit_of_a_group() -> None:
    groups = Groups([unit("a", "1"), unit("b", "1"), unit("c", None)])
    assert groups.one().id == "a"
    assert [[unit.id for unit in groups.take(1)] for _ in range(2)] == [["b"], ["c"]]


def test_a_worker_gives_back_what_it_has_no_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearlab.compute.workers.groups.GIVE_BACK_SECONDS", -1.0)
    units = [unit(str(k), None) for k in range(3)]
    assert list(in_turn(units, lambda unit: unit.id)) == ["0"]
    monkeypatch.setattr("hearlab.compute.workers.groups.GIVE_BACK_SECONDS", 1e9)
    assert list(in_turn(units, lambda unit: unit.id)) == ["0", "1", "2"]
