"""Failed units: their causes are grouped, and a stage that cannot succeed is not run to its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hearlab.compute.attempts.failures import FIRST_UNITS, UnitsFailed, grouped_by_cause
from hearlab.compute.engine import run
from hearlab.compute.execution import Failure, shown_file
from hearlab.compute.units import Unit
from hearlab.errors import InputError


def failing(root: Path, out: Path, *, number: int, right: int, kinds: int) -> int:
    (root / "tried").open("a").write(f"{number}\n")
    if number < right:
        return number
    if number % kinds:
        raise ZeroDivisionError(f"scene {number} has no samples")
    raise InputError(f"S{number}.wav", "is silent", found=number)


def leaving(root: Path, out: Path, *, number: int) -> None:
    sys.exit("no licence" if number else None)


Attempt = Callable[..., UnitsFailed]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    def start(count: int, right: int = 0, kinds: int = 1) -> UnitsFailed:
        arguments = {"right": right, "kinds": kinds}
        units = [Unit(f"S{n}", failing, {"number": n, **arguments}) for n in range(count)]
        with pytest.raises(UnitsFailed) as caught:
            run("test", units, None, Path("units.json"), root=tmp_path)
        return caught.value

    return start


def tried(folder: Path) -> int:
    return len((folder / "tried").read_text().split())


def test_causes_are_grouped_whatever_unit_they_name(attempt: Attempt) -> None:
    assert str(attempt(12, kinds=3)).splitlines() == [
        "test: 12 of 12 units failed",
        "  8 units (S1, S2, S4 and 5 more): ZeroDivisionError: scene 1 has no samples "
        f"({shown_file(__file__)}: line {failing.__code__.co_firstlineno + 5}, in failing)",
        "  4 units (S0, S3, S6 and 1 more): S0.wav: is silent (found 0)",
    ]


def test_short_names_and_names_of_several_words_do_not_split_a_cause() -> None:
    ids = ["a x", "b y", "n c", "Low Tide - Salt L1", "Café (2) L2"]
    causes = ["no channel of that name", "{0}_{1}.wav: no channel", "{0}: no channel for {1} - see the manual"]
    for cause in causes:
        failures = [Failure(id, cause.format(*id.rsplit(" ", 1)), "") for id in ids]
        assert grouped_by_cause(failures) == [failures]


def test_a_stage_whose_first_units_all_fail_for_one_cause_stops(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = attempt(100)
    assert tried(tmp_path) == FIRST_UNITS == len(error.failures)
    assert str(error).splitlines()[0] == (
        "test: 20 of 100 units failed, the first ones for one cause: 80 were not tried (HEARLAB_KEEP_GOING=1 tries all)"
    )
    (tmp_path / "tried").unlink()
    monkeypatch.setenv("HEARLAB_KEEP_GOING", "1")
    assert len(attempt(100).failures) == 100
    assert tried(tmp_path) == 100


@pytest.mark.parametrize(("right", "kinds"), [(1, 1), (0, 2)])
def test_one_that_succeeds_or_another_cause_goes_on(attempt: Attempt, tmp_path: Path, right: int, kinds: int) -> None:
    assert len(attempt(50, right=right, kinds=kinds).failures) == 50 - right
    assert tried(tmp_path) == 50


def test_a_stage_that_has_no_more_than_these_is_complete(attempt: Attempt) -> None:
    assert str(attempt(FIRST_UNITS)).splitlines()[0] == "test: 20 of 20 units failed"


def test_failures_are_told_in_the_order_of_the_units() -> None:
    failures = [Failure(name, cause, "") for name, cause in (("b", "is dry"), ("a", "is wet"), ("c", "is dry"))]
    assert str(UnitsFailed("s", failures, 5)) == "s: 3 of 5 units failed\n  2 units (b, c): is dry\n  a: is wet"


def test_sys_exit_is_a_failure_of_its_unit(tmp_path: Path) -> None:
    units = [Unit(f"S{n}", leaving, {"number": n}) for n in range(2)]
    with pytest.raises(UnitsFailed, match=r"2 of 2 units failed\n") as caught:
        run("test", units, None, Path("units.json"), root=tmp_path)
    assert f"S1: it called sys.exit: no licence ({shown_file(__file__)}: line " in str(caught.value)


EXITS = "import sys\nif {at_import}:\n    sys.exit(3)\n\n\nclass Aid:\n    def __init__(self):\n        sys.exit(4)\n"
TELLS = """
from hearlab.errors import ParameterError
from hearlab.systems.base import load_system
try:
    load_system("leaving:Aid", {})
except ParameterError as error:
    print(error)
"""


@pytest.mark.parametrize("at_import", [True, False])
def test_sys_exit_of_a_system_that_is_loaded(tmp_path: Path, at_import: bool) -> None:
    import re

    import hearlab

    text = EXITS.format(at_import=at_import) + "".join(
        f"\n    def {name}:\n        ...\n"
        for name in ("speech(self, microphones, rate, listener)", "music(self, stems, rate, listener)")
    )
    (tmp_path / "leaving.py").write_text(text)
    paths = f"{tmp_path}:{Path(hearlab.__file__).parents[1]}"
    done = subprocess.run(
        (sys.executable, "-c", TELLS), env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert re.search(r"leaving.*(cannot be imported|could not be constructed) \(found SystemExit: [34]\)", done.stdout)
