"""Names and values as MLflow takes them: none is lost, none refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearlab.tracking.names import LONGEST_NAME, safe_names, safe_texts

NAMES = st.lists(st.one_of(st.text(max_size=8), st.text("aAé+*/. _-", max_size=5)), unique=True, max_size=12)


@pytest.mark.parametrize(
    "names",
    [
        ["a+b", "a*b"],
        ["a+b", "a_b"],
        ["Gain", "gain"],
        ["gain", "gain "],
        ["a//b", "a/b", "a/./b", "a/b/", "/a/b", "../a/b"],
        ["x" * 250 + "1", "x" * 250 + "2"],
        ["", " ", ".", "..", "/", "_"],
    ],
)
def test_names_that_would_be_one_stay_as_many(names: list[str]) -> None:
    found = safe_names(names)
    assert len({name.casefold().strip() for name in found.values()}) == len(names)


@given(NAMES)
def test_all_names_are_taken_and_differ(names: list[str]) -> None:
    found = safe_names(names)
    assert found.keys() == set(names)
    assert len({name.casefold() for name in found.values()}) == len(names)
    assert safe_names(reversed(names)) == found
    for name in found.values():
        assert 0 < len(name) <= LONGEST_NAME
        assert re.fullmatch(r"[/\w.\- :]*", name)  # MLflow's own rule
        assert not {"", ".", ".."} & set(name.split("/"))


def test_a_name_that_can_stay_stays() -> None:
    assert safe_names(["a_b", "a+b", "enhance.gain", "by snr/-6 to 0 dB", "c*d"]) == {
        "a_b": "a_b",
        "a+b": safe_names(["a+b", "a_b"])["a+b"],
        "enhance.gain": "enhance.gain",
        "by snr/-6 to 0 dB": "by snr/-6 to 0 dB",
        "c*d": "c_d",
    }


def test_a_long_value_is_seen_to_be_cut() -> None:
    texts = safe_texts({"a": "x" * 7000, "b": "x" * 6000, "c": [1, "é"]}, "param")
    assert texts == {"a": "x" * 5997 + "...", "b": "x" * 6000, "c": '[1, "é"]'}


@pytest.mark.slow
def test_mlflow_takes_them() -> None:
    """By its own checks."""
    validation = pytest.importorskip("mlflow.utils.validation", reason="mlflow is not installed: make test installs it")
    names = ["a+b", "a*b", "a//b", "../a", ".", "", "é%", "x" * 300, "tab\there", "line\nend", " padded ", "a:b"]
    for kind in ("param", "tag"):
        for name, text in safe_texts(dict.fromkeys(names, "y" * 9000), kind).items():
            validation._validate_param_name(name)
            validation._validate_tag_name(name)
            validation._validate_metric_name(name)
            validation._validate_length_limit("name", validation.MAX_ENTITY_KEY_LENGTH, name)
            assert len(text) <= (validation.MAX_PARAM_VAL_LENGTH if kind == "param" else validation.MAX_TAG_VAL_LENGTH)
