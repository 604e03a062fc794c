"""A first score does without numba's tables, and functions of others, compiled or loaded after it, miss nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.kernels.compiled import PACKAGE

SCORES = """
import sys
import numpy as np
from hearlab.fitting import Compressor, NalR
from hearlab.listeners import Audiogram
from hearlab.metrics import haaqi, haspi, hasqi

clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 22050))
ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
aid = NalR(rate=44100)
heard = Compressor(44100).apply(aid.apply(aid.filter(ear), clean + noise))
scores = [metric(clean, 44100, heard, 44100, ear, rng=1).score for metric in (haspi, hasqi, haaqi)]
"""
TABLES = ("scipy.linalg", "pycparser", "numba.np.arraymath")
# What HearLab's loops do not use: a BLAS, LAPACK, functions of a C library, and strings.
OTHERS = """
import cffi
import numba
import numpy as np
from hearlab.kernels.compiled import compiled

ffi = cffi.FFI()
ffi.cdef("double fabs(double x);")
absolute = ffi.dlopen(None).fabs
matrix, vector = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])


@compiled
def product(a, b):
    return np.dot(a, b)


@numba.njit(cache=True)
def solution(a, b):
    return np.linalg.solve(a, b)


@numba.njit
def size(x, word):
    return absolute(x) * len(word.upper())


np.testing.assert_allclose(product(matrix, vector), matrix @ vector)
np.testing.assert_allclose(matrix @ solution(matrix, vector), vector)
assert size(-2.0, "ab") == 4.0
loaded = [sum(function.stats.cache_hits.values()) for function in (product, solution)]
"""


def run(folder: Path, text: str) -> str:
    """What a new process prints."""
    (folder / "others.py").write_text(OTHERS)
    environment = {**os.environ, "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{folder}"}
    found = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout.strip()


def test_scores_from_code_files_import_nothing_for_compilation(tmp_path):
    program = SCORES + f"print([name for name in {TABLES} if name in sys.modules], scores)"
    run(tmp_path, program)  # compiles what is not there yet
    imported, _, _ = run(tmp_path, program).partition("]")
    assert imported == "["


@pytest.mark.slow
def test_functions_of_others_after_a_score_have_all_of_numba(tmp_path):
    program = SCORES + "import others; print(others.loaded, scores)"
    first, second = run(tmp_path, program), run(tmp_path, program)
    assert first.startswith("[0, 0]"), first
    assert second.startswith("[1, 1]"), second  # the code, with its calls of the BLAS, comes from the disk
    # And before a score: the tables are full then.
    assert run(tmp_path, "import others" + SCORES + "print(others.loaded, scores)") == second
