"""The metrics in PyTorch: without torch nothing here can run. Sounds and random cases are those of other tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "metrics"), str(TESTS.parent / "benchmarks")]

HAS_TORCH = importlib.util.find_spec("torch") is not None
collect_ignore_glob = [] if HAS_TORCH else ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order(request: pytest.FixtureRequest) -> None:
    """A module's tests share a generator: each draws as if it were the only one, whichever ran before it."""
    if (random := getattr(request.module, "RANDOM", None)) is not None:
        random.seed(20261130)
