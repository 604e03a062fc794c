"""Tables for the terminal, and names in them."""

from __future__ import annotations

from hearlab.text import printable, shortened, table, width


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


def test_names_cannot_control_the_terminal() -> None:
    assert table([["a"], ["\x1b[2J\n"]]).splitlines()[2] == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert printable("\u2028\u202e") == 2 * "\N{REPLACEMENT CHARACTER}"  # a line's end, the other direction


def test_spaces_of_all_widths_are_spaces() -> None:
    assert printable("a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c\N{THIN SPACE}d e") == "a b c d e"


def test_no_row_and_no_leading_space_is_lost() -> None:
    assert table([["a", "b"], ["  x", "1"], ["", ""], ["", ""]]).split("\n") == ["a    b", "------", "  x  1", "", ""]
    assert table([["", ""], ["x", "1"], []]).split("\n") == ["", "----", "x  1", ""]
