"""YAML of plain values is split by libyaml: its values are those of the slow parser."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hearlab.files import parse_yaml
from hearlab.files.libyaml import NotPlainYaml, read_plain_yaml
from reference_material import REPOSITORY

pytest.importorskip("yaml", reason="PyYAML is not installed")


def same(content: bytes) -> bool:
    return repr(parse_yaml(content)) == repr(parse_yaml(content, exact=True))


TEXTS = {
    "words of two versions": b"[yes, No, on, OFF, y, true, True, TRUE, false, null, Null, ~, '', '~', \"no\"]",
    "numbers of two versions": b"[010, 0o10, 0x1F, 0b11, 1_000, 190:20:30, 1e3, 1.e+3, .5, -.inf, .NaN, +1, 12e03]",
    "md5s that are near to numbers": b"[1234e567890123456789012345678901, 12345678901234567890123456789012, 1e12]",
    "dates": b"[2001-12-14, 2001-12-14t21:59:43.10-05:00, 2001-12-14 21:59:43]",
    "an empty text": b"",
    "nothing but a comment": b"# nothing",
    "empty values": b"a:\nb: []\nc: {}\nd: ''",
    "keys that are no texts": b"1: a\n1.5: b\ntrue: c\n~: d",
    "keys of many values": b"? [a, b]\n: 1",
    "a key twice": b"a: 1\na: 2",
    "keys that are one": b"1: a\n1.0: b",
    "merged keys": b"a: {<<: {b: 1}}",
    "anchors": b"a: &x [1]\nb: *x",
    "tags": b"a: !!str 1\nb: !!int '2'\nc: !own 3\nd: !!set {e}",
    "another version": b"# first\n%YAML 1.1\n---\na: yes",
    "two documents": b"a: 1\n---\na: 2",
    "an end": b"---\na: 1\n...\n",
    "a byte-order mark": b"\xef\xbb\xbfa: 1",
    "lines in one": b"a: >-\n  one\n  two\nb: |\n  one\n  two\nc: one\n  two",
    "not YAML": b"a: [1",
    "not UTF-8": b"a: \xff",
    "deeper than is read": b"[" * 60 + b"]" * 60,
    "more than is read": b"a: [" + b"1," * 60_000 + b"1]",
    "no YAML for both": b"a:\tb\n\tc: d",
    "digits": b"a: " + b"9" * 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_values_are_those_of_the_slow_parser(text: bytes) -> None:
    assert same(text)


def test_the_repository_s_own_files_are_read_fast_and_alike() -> None:
    for name in ("dvc.lock", "dvc.yaml", "params.yaml"):
        content = (REPOSITORY / name).read_bytes()
        assert isinstance(read_plain_yaml(content.decode(), str, 50_000), dict)
        assert same(content)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_dvc_s_writer_writes(value: Any) -> None:
    file = io.StringIO()
    yaml = YAML()  # as DVC writes dvc.lock
    yaml.default_flow_style = False
    yaml.dump(value, file)
    assert same(file.getvalue().encode("utf-8", "surrogatepass"))


@given(st.text("0123456789abcdefxo_.:+-eEyYnNtTrRuUlLsS~<=!&* ", min_size=1, max_size=12))
def test_plain_words(word: str) -> None:
    assert same(f"a: {word}\n{word}: b\n- {word}".encode())
    assert same(f"[{word}]".encode())
    assert same(f"a: {word}".encode())


@pytest.mark.parametrize(
    "text", ["a: &x 1", "a: !!str 1", "%YAML 1.2\n---\na: 1", "a: [", "a: 1\n--- 2", "{[a]: 1}", "{a: 1, a: 2}", ""]
)
def test_what_is_left_to_the_slow_parser(text: str) -> None:
    with pytest.raises(NotPlainYaml):
        read_plain_yaml(text, str, 50_000)
