"""Seeds and random streams."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.metrics import unit_seed
from hearlab.metrics.seeds import random_state


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


@pytest.mark.parametrize(
    "rng", [-1, 2**32, 1.0, "5", True, np.random.default_rng(1), np.random.RandomState(np.random.PCG64(1))]
)
def test_other_sources_are_refused(rng):
    with pytest.raises(InputError, match=r"^rng: is no source"):
        random_state(rng)
