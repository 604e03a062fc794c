"""The order of the slow tests names files that there are."""

from __future__ import annotations

import pytest

from reference_material import REPOSITORY
from slow_order import LONGEST_FIRST


@pytest.mark.parametrize("name", LONGEST_FIRST)
def test_the_file_is_there_and_slow(name: str) -> None:
    assert "mark.slow" in (REPOSITORY / "tests" / f"{name}.py").read_text()
