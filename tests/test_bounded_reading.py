"""Files that take more memory or time than they seem to, or have no end, are refused in one line.

Each is read by a process that gets 1.5 GB of address space, so that a reader that takes it all fails everywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hearlab.errors import InputError
from hearlab.files import MOST_BYTES, MOST_YAML, csv_records, parse_csv, parse_json, parse_yaml, read_json, read_text

READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
from hearlab.errors import InputError
from hearlab.{module} import {reader}
for path in sys.argv[1:]:
    try:
        {reader}(path)
        print("was read")
    except InputError as error:
        print(error)
"""


def lines_of(module: str, reader: str, paths: list[Path]) -> list[str]:
    """What a process with little memory says of each file."""
    code = READ.format(module=module, reader=reader)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.removeprefix(f"{path}: ") for line, path in zip(done.stdout.splitlines(), paths, strict=True)]


def written(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    for number, content in enumerate(contents.values()):
        (folder / str(number)).write_bytes(content)
    return [folder / str(number) for number in range(len(contents))]


def nine_of_nine(form: bytes) -> bytes:
    """271 bytes that stand for 9^10 values."""
    lines = [b"%c: &%c %s\n" % (98 + k, 98 + k, form % b",".join([b"*%c" % (97 + k)] * 9)) for k in range(9)]
    return (b"a: &a [x,x,x,x,x,x,x,x,x]\n" if form == b"[%s]" else b"a: &a {x: 1}\n") + b"".join(lines)


YAML = {
    "aliases of aliases": (nine_of_nine(b"[%s]"), "holds more than"),
    "merged aliases": (nine_of_nine(b"{<<: [%s]}"), "holds more than"),
    "an anchor given twice": (b"[&a x, &a y]", "gives an anchor twice"),
    "an alias of itself": (b"a: &a [*a]", "holds an alias of what it is a part of"),
    "lists in lists": (b"a: " + b"[" * 400_000, "holds values nested more than 50 deep"),
    "sections in sections": (b"".join(b" " * k + b"a:\n" for k in range(900)), "holds values nested more than 50 deep"),
    "a number that takes hours": (b"%YAML 1.1\n---\na: " + b"1:" * 200_000 + b"1", "holds a number of 400001 digits"),
    "digits": (b"a: " + b"9" * 400_000, "holds a number of 400000 digits"),
    "hexadecimal digits": (b"a: 0x" + b"f" * 300, "holds a whole number of more than 64 bits"),
    "NUL": (b'a: "\\0"', "holds a text with NUL or half a character: '\\x00'"),
    "half a character": (b'a: "\\ud800"', "holds a text with NUL or half a character: '\\ud800'"),
    "a key twice": (b"a: 1\na: 2", "line 2: is not valid YAML"),
    "a key of two": (b"? [a, b]\n: 1", "holds a key that is neither text nor number"),
    "a value of another tag": (b"a: !!set {b}", "holds a value of a kind that is not used here: set"),
    "no value for its tag": (b"a: !!int ''", "is not valid YAML"),
    "code": (b"a: !!python/object/apply:os.getcwd []", "line 1: is not valid YAML"),
    "size": (b"#" * (MOST_YAML + 1), "is too large (wanted at most 500.0 kB)"),
}


def test_yaml_within_bounds(tmp_path: Path) -> None:
    lines = lines_of("files", "read_yaml", written(tmp_path, {name: content for name, (content, _) in YAML.items()}))
    for (name, (_, wanted)), line in zip(YAML.items(), lines, strict=True):
        assert line.startswith(wanted), name
    assert all(parse_yaml(content) is None for content, _ in list(YAML.values())[:3])
    # One's own anchors are fine.
    assert parse_yaml(b"a: &x {b: [1]}\nc: *x\nd: {<<: *x, e: 2}") == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": {"b": [1], "e": 2},
    }


# Some are large: each is made when it is written.
JSON: dict[str, tuple[Callable[[], bytes], str]] = {
    "lists in lists": (lambda: b"[" * 60_000_000, "holds too many values"),
    "sections in sections": (lambda: b'{"a":' * 100_000, "holds values nested more than 50 deep"),
    "a little too deep": (lambda: b"[" * 51 + b"]" * 51, "holds values nested more than 50 deep"),
    "empty sections": (lambda: b"[" + b"{}," * 30_000_000 + b"{}]", "holds too many values"),
    "numbers": (lambda: b"[" + b"0," * 45_000_000 + b"0]", "holds too many values"),
    "digits": (lambda: b"9" * 5000, "holds a whole number of more than 64 bits"),
    "some digits": (lambda: b"[1" + b"0" * 4000 + b"]", "holds a whole number of more than 64 bits"),
    "a number too large": (lambda: b"[1e999]", "holds a number that is not finite: inf"),
    "no number": (lambda: b"[NaN]", "holds a number that is not finite: nan"),
    "half a character": (lambda: b'["\\ud800"]', "holds a text with NUL or half a character: '\\ud800'"),
    "half a key": (lambda: b'{"\\udfff": 1}', "holds a text with NUL or half a character: '\\udfff'"),
    "NUL": (lambda: b'["\\u0000"]', "holds a text with NUL or half a character: '\\x00'"),
    "a key twice": (lambda: b'{"a": 1, "a": 2}', "gives a key twice: 'a'"),
    "size": (lambda: b" " * (MOST_BYTES + 1), "is too large (wanted at most 100.0 MB)"),
}


@pytest.mark.slow
def test_json_within_bounds(tmp_path: Path) -> None:
    lines = lines_of("files", "read_json", written(tmp_path, {name: make() for name, (make, _) in JSON.items()}))
    for (name, (_, wanted)), line in zip(JSON.items(), lines, strict=True):
        assert line.startswith(wanted), name
    assert parse_json(b"[" * 50 + b"]" * 50, "x") is not None
    pair = b'["\\ud83d\\ude00", 1e300, -9007199254740993]'
    assert parse_json(pair, "x") == ["\N{GRINNING FACE}", 1e300, -(2**53) - 1]


CSV: dict[str, tuple[Callable[[], bytes], str]] = {
    "a cell without end": (lambda: b'a,b\n"' + b"x" * 1_000_000, "line 2: is not a CSV file (found field larger than"),
    "a line without end": (lambda: b"a,b\n" + b"x," * 10_000_000, "line 2: row is incomplete"),
    "a quote without end": (
        lambda: b'scene,listener,haspi\n"S1,L1,0.5\n',
        "line 2: is not a CSV file (found unexpected end",
    ),
    "NUL": (lambda: b"scene,listener,haspi\nS1,L\0,0.5\n", "line 2: holds a text with NUL"),
    "size": (lambda: b"a\n" * 20_000_000, "is too large (wanted at most 32.0 MB)"),
}


@pytest.mark.slow
def test_csv_within_bounds(tmp_path: Path) -> None:
    def table(content: bytes) -> bytes:
        return content.replace(b"a,b\n", b"scene,listener,haspi\n", 1)

    paths = written(tmp_path, {name: table(make()) for name, (make, _) in CSV.items()})
    for path, (_, wanted) in zip(paths, CSV.values(), strict=True):
        code = READ.format(module="scoring.table", reader="parse_scores").replace(
            "parse_scores(path)", 'parse_scores(open(path, "rb").read(), path)'
        )
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
        assert done.stdout.removeprefix(f"{path}: ").startswith(wanted), done.stderr[-500:]
    (tmp_path / "few.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n\r\n1,"2\n3"\r\n4\r\n')
    assert csv_records(tmp_path / "few.csv") == [{"a": "1", "b": "2\n3"}, {"a": "4"}]
    assert list(parse_csv(b"a\n\nb", "x")) == [(1, ["a"]), (3, ["b"])]


def test_audio_within_bounds(tmp_path: Path) -> None:
    """A block of silence whose header says that it is 87 days: what is announced is what memory would be taken for."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros((4096, 8), np.int16), 44100, format="FLAC")
    content = bytearray(path.read_bytes())
    for frames in (2**36 - 1, 30_000_000):
        content[21:26] = (content[21] >> 4 << 36 | frames).to_bytes(5, "big")  # the number has 36 bits
        path.write_bytes(content)
        (line,) = lines_of("audio", "read_audio", [path])
        assert line.startswith("is too long (found "), line
        assert line.endswith("of 8 channels at 44100 Hz, wanted at most 200000000 samples of all channels)"), line


@pytest.mark.parametrize("reader", [read_json, read_text, csv_records])
def test_what_has_no_end_is_no_ordinary_file(tmp_path: Path, reader: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(InputError, match="is no ordinary file"):
            reader(path)
    with pytest.raises(InputError, match="cannot be read"):
        reader(tmp_path)
    with pytest.raises(InputError, match="cannot be a file's name"):
        reader(Path("a\0b"))
