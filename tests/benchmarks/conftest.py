"""The benchmarks are scripts beside the package: their folder goes onto the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder of the benchmark scripts."""
    return REPOSITORY / "benchmarks"
