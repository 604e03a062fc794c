"""A listener who is not known: the line names whom there is."""

from __future__ import annotations

import pytest

from hearlab.errors import InputError
from hearlab.lab.known_listeners import known_listener
from hearlab.listeners import Audiogram, Listener

EAR = Audiogram([20.0], [1000.0])


def listeners(count: int) -> dict[str, Listener]:
    return {name: Listener(name, EAR, EAR) for name in (f"L{k:04}" for k in range(1, count + 1))}


@pytest.mark.parametrize(
    ("count", "name", "wanted"),
    [
        (4, "L0099", "one of L0001, L0002, L0003, L0004"),  # all are as right as the nearest by spelling
        (83, "L0812", "one of 83, such as L0082, L0081, L0012"),
        (83, "somebody", "one of 83, such as L0001, L0002, L0003"),
    ],
)
def test_the_line_names_whom_there_is(count: int, name: str, wanted: str) -> None:
    with pytest.raises(InputError) as told:
        known_listener(listeners(count), name, "listeners.json")
    assert str(told.value) == f"listeners.json: unknown listener (found {name}, wanted {wanted})"


def test_a_known_one() -> None:
    assert known_listener(listeners(2), "L0002", "listeners.json").id == "L0002"
