"""Tables for the terminal, and names in them."""

from __future__ import annotations

import io
import sys

import pytest

from hearlab.cli import hidden_output
from hearlab.errors import InputError
from hearlab.progress import UnitProgress
from hearlab.text import printable, printable_lines, shortened, table, told_apart, width


def test_columns_are_aligned_whatever_the_letters_width() -> None:
    rows = [["song", "all", "entry"], ["夜 - 歌", "0.5500", "a"], ["Ångström", "0.2", "long name"], ["short"]]
    assert table(rows, left=(0, 2)).splitlines() == [
        "song         all  entry",
        "---------------------------",
        "夜 - 歌   0.5500  a",
        "Ångström     0.2  long name",
        "short",
    ]


def test_names_are_shortened_by_columns() -> None:
    assert shortened("夜夜夜", 5) == "夜夜…"
    assert shortened("short", 5) == "short"
    assert width("e\N{COMBINING ACUTE ACCENT}") == 1
    assert max(width(line) for line in table([["", "n"], ["夜" * 30, "1"]], most=9).splitlines()) == 12


def test_names_that_begin_alike_are_cut_where_they_differ() -> None:
    names = ["loading0p001-836e12", "loading0p001-8aa", "loading0p0", "other names are cut"]
    shown = told_apart([*names, names[0]], 9)
    assert shown == dict(zip(names, ["loading0p001-83…", "loading0p001-8aa", "loading0p0", "other na…"], strict=True))
    lines = table([["", "n"], *([name, "1"] for name in names)], most=9).splitlines()[2:]
    assert [line.split(" 1")[0].rstrip() for line in lines] == [shown[name] for name in names]
    assert told_apart(["\x1b" * 9, "\x1b" * 8], 3) == {"\x1b" * 9: "\x1b" * 9, "\x1b" * 8: "\x1b" * 8}


def test_names_cannot_control_the_terminal() -> None:
    assert table([["a"], ["\x1b[2J\n"]]).splitlines()[2] == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert printable("\u2028\u202e") == 2 * "\N{REPLACEMENT CHARACTER}"  # a line's end, the other direction


def test_spaces_of_all_widths_are_spaces() -> None:
    assert printable("a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c\N{THIN SPACE}d e") == "a b c d e"


def test_no_row_and_no_leading_space_is_lost() -> None:
    assert table([["a", "b"], ["  x", "1"], ["", ""], ["", ""]]).split("\n") == ["a    b", "------", "  x  1", "", ""]
    assert table([["", ""], ["x", "1"], []]).split("\n") == ["", "----", "x  1", ""]


def test_letters_that_nobody_sees_are_replaced() -> None:
    assert printable("a\N{HANGUL FILLER}b\N{VARIATION SELECTOR-16}c") == "a\ufffdb\ufffdc"
    assert printable("नमस्ते 夜 é 🎷") == "नमस्ते 夜 é 🎷"


def test_nothing_that_is_printed_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\N{RIGHT-TO-LEFT OVERRIDE}"
    with hidden_output():
        sys.stderr.write(f"a\t{hostile}\nb\n")
        sys.stdout.write(f"c{hostile}\n")
    out, err = capsys.readouterr()
    assert err == f"a\t{printable(hostile)}\nb\n"
    assert out == f"c{printable(hostile)}\n"
    assert printable_lines("a\r\n\tb") == "a\r\n\tb"


def test_a_message_and_an_error_are_one_line() -> None:
    stream = io.StringIO()
    progress = UnitProgress("stage\x1b[2J", 1, stream)
    progress.message("unit\nok       forged")
    progress.finish()
    assert "unit\ufffdok       forged\n" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    error = InputError("a\x1b[2J.csv", "is wrong", field="x\ny", found="\u202e\r" + "z" * 10**6, wanted=1)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert "a number of 20001 bits" in str(InputError("x", "is too large", found=2**20000))
