"""Rows with zeros around them."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.kernels.rows import MARGIN, delay, empty_rows, inside


@pytest.mark.parametrize(("samples", "padded"), [(1, 8), (8, 8), (9, 16)])
def test_rows_have_margins_and_whole_octets(samples, padded):
    rows = empty_rows(3, samples)
    assert rows.shape == (3, MARGIN + padded + MARGIN)
    assert inside(rows).shape == (3, padded)
    assert inside(rows[0]).shape == (padded,)
    assert not np.any(rows)


@pytest.mark.parametrize(("late", "before"), [(0, 0), (2, 0), (2, 5), (10, 0), (30, 3)])
def test_delayed_rows(late, before):
    row = empty_rows(1, 10)[0]
    row[MARGIN : MARGIN + 10] = np.arange(1, 11)
    delayed = delay(row, 10, late, before)
    expected = np.concatenate([np.zeros(before + late), np.arange(1, 11)])[: before + 10]
    np.testing.assert_array_equal(delayed[: before + 10], expected)
    assert not np.any(delayed[before + 10 :])
