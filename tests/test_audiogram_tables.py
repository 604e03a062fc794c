"""Tables of audiograms as people have them, and levels that are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.listeners import Listener, load_listeners, typed_listener

BY_EAR = """listener,ear,250,500,1000
A,left,10,20,30
A,right,15,25,35
"""
BY_LISTENER = """listener,left_250,left_500,left_1000,right_250,right_500,right_1000
A,10,20,30,15,25,35
"""


def read(folder: Path, text: str | bytes, name: str = "clinic.csv") -> dict[str, Listener]:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return load_listeners(folder / name)


@pytest.mark.parametrize(
    "text",
    [
        BY_EAR,
        BY_LISTENER,
        b"\xef\xbb\xbf" + BY_EAR.replace("\n", "\r\n").encode(),
        BY_EAR.replace(",", ";"),
        BY_EAR.replace(",", "\t"),
        BY_EAR.replace(",", " , ").replace("left", "L").replace("right", "R"),
        "\n" + BY_EAR.replace("A,right", "\n,,,,\nA,right"),
        "ID,age,Ear,250 Hz,0.5k,1 kHz\nA,70,Left,10,20,30\nA,70,right,15,25,35\n",
        "1000,500,250,ear,name\n30,20,10,l,A\n35,25,15,r,A\n",
        "name;L250;L500;L1000;R250;R500;R1000\nA;10,0;20;30;15;25;35\n",
        "Listener,250Hz left,500Hz left,1kHz left,250Hz right,500Hz right,1kHz right\nA,10,20,30,15,25,35\n",
        BY_EAR.replace("250,500,1000", "0.25,0.5,1"),  # kHz
        "name;L0,25;L0,5;L1;R0,25;R0,5;R1\nA;10,0;20;30;15;25;35\n",
        "listener,ear,125,250,500,1000\nA,left,,10,20,30\nA,right,,15,25,35\n",  # not measured
    ],
)
def test_forms_of_the_same_listener(tmp_path: Path, text: str | bytes) -> None:
    found = read(tmp_path, text)
    assert list(found) == ["A"]
    for ear, levels in ((found["A"].left, [10, 20, 30]), (found["A"].right, [15, 25, 35])):
        assert ear.frequencies.tolist() == [250, 500, 1000]
        assert ear.levels.tolist() == levels


def test_names_with_spaces_and_of_another_form_of_unicode(tmp_path: Path) -> None:
    found = read(tmp_path, BY_LISTENER.replace("A,", "Zoe\u0308 M.-L,"))
    assert list(found) == ["Zoë M.-L"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["clinic.csv: is no table of audiograms"]),
        ("listener,ear\nA,left\n", ["clinic.csv: is no table of audiograms (found listener, ear, wanted columns"]),
        ("listener,250\nA,10\n", ["clinic.csv: is no table of audiograms"]),  # of which ear?
        ("listener,ear,250\n", ["clinic.csv: holds no listener"]),
        (BY_EAR + "A,right,1,2,3\n", ["line 4: gives A, right ear, a second time"]),
        (BY_LISTENER + "A,1,2,3,1,2,3\n", ["line 3: gives A, left ear", "line 3: gives A, right ear"]),
        (BY_EAR.replace("A,right,15,25,35\n", ""), ["A: right ear has no level at 250, 500, 1000 Hz"]),
        (BY_EAR.replace("15,25", "15,"), ["A: right ear has no level at 500 Hz"]),
        (
            BY_EAR.replace("15,25", "?,none"),
            ["line 3, 250: is no level in dB HL (found ?)", "line 3, 500: is no level"],
        ),
        (BY_EAR.replace("right", "both"), ["line 3: names no ear (left or right)"]),
        (BY_EAR.replace("A,right", ",right"), ["line 3: names no listener"]),
        (BY_EAR.replace("25,35", "25,35,45"), ["line 3: has more cells than the header"]),
        (BY_EAR.replace("500", "250"), ["names a column twice (found ear, 250 Hz)"]),
        (BY_EAR.replace("15,25", "999,25"), ["A.audiogram_levels_r: must be a list of finite numbers in dB HL"]),
        (BY_EAR.replace("A,", "../A,"), ["listener: is not a name"]),
        (BY_EAR.encode("utf-16"), ["is not UTF-8 text"]),
        (BY_EAR.replace("250,500", "0.25,500"), ["has headings that are no frequency in Hz (found 0.25); write Hz"]),
        (BY_EAR.replace("250", "0.25 Hz").replace("500", "0.5k"), ["no frequency in Hz (found 0.25 hz); write Hz"]),
    ],
)
def test_a_line_for_each_fault(tmp_path: Path, text: str | bytes, lines: list[str]) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    found = str(error.value).splitlines()
    assert len(found) == len(lines)
    assert all(wanted in line for wanted, line in zip(lines, found, strict=True)), found


def test_many_faults_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"B{number},left,x,20,30\n" for number in range(50))
    with pytest.raises(InputError) as error:
        read(tmp_path, BY_EAR + rows)
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 30 more such lines"


def test_typed_levels() -> None:
    both = typed_listener("20,20,30,40,50,60")
    assert both.left.levels.tolist() == both.right.levels.tolist() == [20, 20, 30, 40, 50, 60]
    assert both.left.frequencies.tolist() == [250, 500, 1000, 2000, 4000, 6000]
    two = typed_listener("0,0,0,0,0,0,0,0", "20, 20, 30, 40, 45, 50, 60, 70")
    assert two.right.at([3000, 8000]).tolist() == [45, 70]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (("20,30",), r"audiogram: left ear: is none \(found 20,30, wanted six levels"),
        (("20,20,30,40,50,x",), "left ear: is none"),
        (("20,20,30,40,50,nan",), "left ear: is none"),
        (("20,20,30,40,50,999",), "finite numbers in dB HL"),
        (("0,0,0,0,0,0", "0,0,0,0,0,0,0,0"), "the ears differ in the number of levels"),
    ],
)
def test_wrongly_typed_levels(levels: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        typed_listener(*levels)
