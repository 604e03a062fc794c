"""Changes of parameters by the command line, before they are applied."""

from __future__ import annotations

import pytest

from hearlab.errors import ParameterError
from hearlab.versions.overrides import check_overrides


@pytest.mark.parametrize(
    "overrides",
    [
        ("enhance.gain=3", "seed=1"),
        ("evaluate.scenes=null", "evaluate.scenes={draw: 5}"),  # from names to a draw (docs/own-data.md)
        ("~enhance.params.depth", "++enhance.params.depth=3"),
        ("evaluate.scenes={draw: 5}", "evaluate.scenes={seed: 2}"),  # one mapping
    ],
)
def test_changes_that_go_together(overrides: tuple[str, ...]) -> None:
    check_overrides(overrides)


@pytest.mark.parametrize("second", ["enhance.gain=6", "+enhance.gain=6", "enhance.gain=3"])
def test_a_parameter_gets_one_value(second: str) -> None:
    with pytest.raises(ParameterError, match=r"-S: gives enhance\.gain two values \(found enhance\.gain=3 and "):
        check_overrides(("enhance.gain=3", "seed=1", second))
