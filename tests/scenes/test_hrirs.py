"""Reading the head: what is remembered, and for how long."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hearlab.errors import InputError
from hearlab.scenes.ambisonics import decoding_filters
from hearlab.scenes.hrirs import microphone_filters

SELECTED = [True] * 6 + [False]


@pytest.fixture
def head(tmp_path: Path) -> tuple[Path, Path]:
    responses, metadata = tmp_path / "Head-ED.mat", tmp_path / "hrir_data.json"
    write_responses(responses, 0)
    write_matrix(metadata, 0)
    return responses, metadata


def write_responses(path: Path, seed: int) -> np.ndarray:
    data = np.random.RandomState(seed).standard_normal((12, 7, 2))
    savemat(path, {"M_data": data})
    return data


def write_matrix(path: Path, seed: int) -> np.ndarray:
    matrix = np.random.RandomState(seed).standard_normal((6, 4))
    path.write_text(json.dumps({"selected_channels": SELECTED, "matrix": matrix.tolist()}))
    return matrix


def test_filters_are_those_of_the_files_and_are_remembered(head: tuple[Path, Path]) -> None:
    filters = microphone_filters(*head, 1)
    wanted = decoding_filters(
        write_responses(head[0].with_name("x.mat"), 0),
        np.array(SELECTED),
        write_matrix(head[1].with_name("x.json"), 0),
        1,
    )
    np.testing.assert_array_equal(filters, wanted)
    assert microphone_filters(*head, 1) is filters
    assert not filters.flags.writeable


def test_files_that_change_are_read_again(head: tuple[Path, Path]) -> None:
    responses, metadata = head
    before = microphone_filters(*head, 1)
    write_responses(responses, 1)
    os.utime(responses, ns=(1, 1))
    with_other_responses = microphone_filters(*head, 1)
    assert np.max(np.abs(with_other_responses - before)) > 0.1
    write_matrix(metadata, 1)
    os.utime(metadata, ns=(1, 1))
    assert np.max(np.abs(microphone_filters(*head, 1) - with_other_responses)) > 0.1


def test_orders_are_told_apart(head: tuple[Path, Path]) -> None:
    assert microphone_filters(*head, 1).shape == (12, 4, 2)
    assert microphone_filters(*head, 0).shape == (12, 1, 2)


def test_files_that_are_gone_are_named_even_when_they_are_remembered(head: tuple[Path, Path]) -> None:
    responses, metadata = head
    microphone_filters(*head, 1)
    metadata.unlink()
    with pytest.raises(InputError, match=r"hrir_data\.json: no such file"):
        microphone_filters(*head, 1)
    responses.unlink()
    with pytest.raises(InputError, match=r"Head-ED\.mat: no such file"):
        microphone_filters(*head, 1)


@pytest.mark.parametrize("field", ["selected_channels", "matrix"])
def test_missing_fields_are_named(head: tuple[Path, Path], field: str) -> None:
    values = json.loads(head[1].read_text())
    del values[field]
    head[1].write_text(json.dumps(values))
    with pytest.raises(InputError, match=rf"hrir_data\.json: {field}: field is missing"):
        microphone_filters(*head, 1)


def test_responses_that_are_no_numbers_are_named(head: tuple[Path, Path]) -> None:
    savemat(head[0], {"M_data": np.full((12, 7, 2), np.nan)})
    with pytest.raises(InputError, match=r"Head-ED\.mat: M_data: holds values that are no finite numbers"):
        microphone_filters(*head, 1)
