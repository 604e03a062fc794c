"""Answers of blind tests: checked before they are kept, kept whole, and counted by listener."""

from __future__ import annotations

import csv
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from blind_answers import answer
from scipy.stats import binomtest

from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.report.serve.answers import (
    COLUMNS,
    LONGEST_ANSWER,
    exact_interval,
    keep,
    preferences,
    read,
    rows_of,
    sign_test,
)

EXACT = 1e-9  # the same formulas by other routines


def test_a_row_for_each_trial(tmp_path: Path) -> None:
    path = tmp_path / "blind/answers.csv"
    assert keep(path, rows_of(answer("a", None, "b"), "2026-01-02T03:04:05Z"))
    assert [row["preferred"] for row in read(path)] == ["a", "none", "b"]
    first = read(path)[0]
    assert tuple(first) == COLUMNS
    assert (first["listener"], first["a"], first["trial"], first["seconds"]) == ("P1", "Unprocessed", "1", "2.5")
    # Sent again after a lost answer: nothing is counted twice.
    assert not keep(path, rows_of(answer("a", None, "b"), "later"))
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": "other"}, "are no blind test"),
        ({"track": "smell"}, "track: are of no track"),
        ({"test": "../x"}, "test: have a wrong field"),
        ({"listener": "=cmd()"}, "listener: have a wrong field"),
        ({"listener": "x" * 41}, "listener: have a wrong field"),
        ({"name": "a\nb"}, "name: have a wrong field"),
        ({"versions": {"a": "same", "b": "same"}}, "compare a version with itself"),
        ({"trials": []}, "need versions and trials"),
        ({"trials": [{"first": "a", "preferred": "c", "seconds": 1}]}, "have a wrong trial"),
        ({"trials": [{"first": "a", "preferred": "a", "seconds": True}]}, "have a wrong trial"),
        ({"trials": [{"first": "a", "preferred": "a", "seconds": 1}] * 65}, "need versions and trials"),
        ({"name": "x" * LONGEST_ANSWER}, "are too long"),
    ],
)
def test_what_is_no_answer_is_refused_in_a_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as raised:
        rows_of(answer("a", **changes), "now")
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    keep(path, rows_of(answer("a", name="=1+1", versions={"a": "@x", "b": "b"}), "now"))
    assert (read(path)[0]["name"], read(path)[0]["a"]) == ("'=1+1", "'@x")


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has other columns"):
        keep(path, rows_of(answer("a"), "now"))
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("content", ["Jörg".encode("latin-1"), b"\xef\xbb\xbf" + b"a,b\n"])
def test_a_file_saved_by_a_spreadsheet_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"answers\.csv: (is not UTF-8 text|has other columns)"):
        keep(path, rows_of(answer("a"), "now"))
    assert path.read_bytes() == content


@pytest.mark.slow
def test_what_is_kept_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is of bytes, which letters outside ASCII have more of, and no wider than that of reading."""
    from hearlab.files import parse_csv
    from hearlab.report.serve import answers

    assert len(list(parse_csv(b"a\n" * (answers.MOST_BYTES // 2), "it"))) > 0
    path = tmp_path / "answers.csv"
    keep(path, rows_of(answer("a", name="ä" * 90), "now"))
    size = path.stat().st_size
    monkeypatch.setattr(answers, "MOST_BYTES", 2 * size - 50)
    with pytest.raises(InputError, match="is full"):
        keep(path, rows_of(answer("a", name="ä" * 90, test="abcdef99"), "now") * 2)
    assert path.stat().st_size == size


def _keep_ten(path: Path, person: int) -> None:
    for number in range(10):
        keep(path, rows_of(answer("a", "b", test=f"{person:04d}{number:04d}"), "now"))


@pytest.mark.slow
def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_keep_ten, args=(path, person)) for person in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read(path)) == 60
    with path.open(newline="") as file:
        assert {len(row) for row in csv.reader(file)} == {len(COLUMNS)}


@pytest.mark.parametrize(("successes", "trials"), [(0, 8), (8, 8), (3, 8), (50, 100)])
def test_the_exact_interval_is_that_of_clopper_and_pearson(successes: int, trials: int) -> None:
    wanted = binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert exact_interval(successes, trials) == pytest.approx((wanted.low, wanted.high), abs=EXACT)
    assert sign_test(successes, trials - successes) == pytest.approx(binomtest(successes, trials).pvalue, abs=EXACT)


def table(people: dict[str, list[str]]) -> list[dict[str, str]]:
    base = {"track": "speech", "a": "Unprocessed", "b": "Enhanced"}
    return [{**base, "listener": name, "preferred": one} for name, given in people.items() for one in given]


def test_one_listener_speaks_for_himself() -> None:
    (found,) = preferences(table({"P1": ["b"] * 7 + ["a"]}))
    assert (found.first, found.second) == ("Enhanced", "Unprocessed")
    assert found.one_listener
    assert (found.share, found.counts) == (1 / 8, (7, 1, 0))
    assert (found.low, found.high) == pytest.approx(exact_interval(1, 8))


def test_listeners_are_counted_and_not_trials() -> None:
    """Two listeners who disagree say nothing, however many trials they answered."""
    (found,) = preferences(table({"P1": ["a"] * 50, "P2": ["b"] * 50}))
    assert found.share == 0.5
    assert found.high - found.low > 0.9
    assert found.p == 1.0
    (clear,) = preferences(table({f"P{n}": ["b"] * 8 for n in range(8)}))
    assert (clear.low, clear.high) == pytest.approx(exact_interval(0, 8))
    assert clear.p == pytest.approx(2 / 2**8)


@pytest.mark.parametrize("given", [["none"] * 4, ["a", "a", "a", "b"]])
def test_listeners_of_the_same_share_are_not_all_people(given: list[str]) -> None:
    """Without spread between them, the interval of a mean has no width; two listeners never know so much."""
    (found,) = preferences(table({"P1": given, "P2": given[::-1]}))
    assert found.low < found.share - 0.3
    assert found.high > min(found.share + 0.2, 0.99)


def test_which_is_called_a_makes_no_difference() -> None:
    swapped = [{**row, "a": "Enhanced", "b": "Unprocessed", "preferred": "a"} for row in table({"P2": ["b"] * 4})]
    (found,) = preferences(table({"P1": ["b"] * 4}) + swapped)
    assert (found.listeners, found.counts) == (2, (8, 0, 0))


def test_the_command_prints_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["blind"]) == 1
    assert "hearlab serve collects them" in capsys.readouterr().err
    for number in range(3):
        keep(
            Path("blind/answers.csv"), rows_of(answer("b", "b", test=f"abcdef{number}0", listener=f"P{number}"), "now")
        )
    assert main(["blind"]) == 0
    said = capsys.readouterr().out
    assert "speech: Unprocessed over Enhanced: L0001" in said
    assert "0 to 71 %" in said
    assert "less than six listeners" in said
