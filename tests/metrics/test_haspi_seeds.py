"""Seeds and random streams."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.metrics import unit_seed
from hearlab.metrics.seeds import SKIP_BLOCK, random_state, skip_normals


def test_unit_seed_is_the_published_one():
    assert unit_seed("S06001") == 50854399


def test_unit_seeds_have_at_most_eight_digits_and_differ():
    seeds = {unit_seed(f"S{k:05d}") for k in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 10**8 for seed in seeds)


def test_a_stream_is_used_itself_and_a_seed_starts_one():
    stream = np.random.RandomState(5)
    assert random_state(stream) is stream
    assert random_state(5).standard_normal() == random_state(np.int64(5)).standard_normal() == stream.standard_normal()
    assert random_state(None).standard_normal() != random_state(None).standard_normal()


@pytest.mark.parametrize("rng", [-1, 2**32, 1.0, "5", True, np.random.default_rng(1)])
def test_other_sources_are_refused(rng):
    with pytest.raises(InputError, match=r"^rng: is no source"):
        random_state(rng)


@pytest.mark.parametrize("count", [0, 1, 2, 1001, SKIP_BLOCK, SKIP_BLOCK + 1, 3 * SKIP_BLOCK + 7])
def test_skipping_is_drawing(count):
    skipped, drawn = np.random.RandomState(3), np.random.RandomState(3)
    skip_normals(skipped, count)
    drawn.standard_normal(count)
    np.testing.assert_array_equal(skipped.standard_normal(3), drawn.standard_normal(3))
