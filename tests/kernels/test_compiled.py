"""Compiled functions and where their code is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hearlab.kernels import compiled as module

PROGRAM = """
from hearlab.kernels.frames import windowed_sums
import numpy as np
print(windowed_sums(np.ones(8), np.ones(4), 4, 2).tolist(), sum(windowed_sums.stats.cache_hits.values()))
"""


def run(cache: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_code_is_kept_for_the_next_process(tmp_path):
    assert run(tmp_path) == "[4.0, 4.0] 0"
    assert any(tmp_path.rglob("*.nbi"))
    assert run(tmp_path) == "[4.0, 4.0] 1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_without_a_place_to_write_it_works_too(tmp_path):
    tmp_path.chmod(0o500)
    assert run(tmp_path / "cache") == "[4.0, 4.0] 0"


def test_code_depends_on_what_is_compiled_into_it():
    @module.compiled
    def doubled(x: float) -> float:
        return 2 * x

    assert doubled(3.0) == 6.0
    own, shared = doubled._cache._cache_file._source_stamp
    assert own
    assert shared == module._shared_stamp()
    for name in module.SHARED_SOURCES:
        assert (Path(module.__file__).parent / name).is_file()


def test_division_by_zero_is_as_in_numpy():
    @module.compiled
    def quotient(x: float) -> float:
        return 1.0 / x

    assert quotient(0.0) == np.inf
