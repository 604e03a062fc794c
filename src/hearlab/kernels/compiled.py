"""Compilation of the inner loops with numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba

# Modules whose functions are compiled into those of other modules.
SHARED_SOURCES = ("simd.py", "powers.py", "scan.py", "../ear/filterbank.py", "transform.py")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call, and keep the result on the disk where a place for it can be written.

    Numba puts it beside the source or, when that is read-only, into the user's cache folder (NUMBA_CACHE_DIR names
    another). No fast-math: sums are taken in the order of the source, so results do not depend on the compiler.
    """
    result: Any
    try:
        result = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no place can be written
        return numba.njit(nogil=True, error_model="numpy")(function)
    # Numba compiles anew when the function's own file changes; it must do so for those it is made of, too.
    file: Any = getattr(getattr(result, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _shared_stamp())
    return result


@lru_cache(maxsize=1)
def _shared_stamp() -> str:
    digest = hashlib.sha256()
    for name in SHARED_SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()
