"""Compilation of the inner loops with numba."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba

from hearlab.errors import InputError
from hearlab.kernels.code_files import CodeFiles, tell_unwritable

PACKAGE = Path(__file__).resolve().parents[1]
IMPORT = re.compile(r"^from hearlab\.([\w.]+) import ", re.MULTILINE)
HOLDS_COMPILED = re.compile(r"^(import|from) (numba|hearlab\.kernels)\b", re.MULTILINE)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call, and keep the result on the disk where that can be written to.

    It is in the user's cache folder, for all clones (NUMBA_CACHE_DIR names another), or, when that is read-only, beside
    the source. No fast-math: sums are taken in the order of the source, so results do not depend on the compiler.

    Raises:
        InputError: numba is told not to compile.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        advice = "unset it (or disable_jit in .numba_config.yaml)"
        raise InputError("NUMBA_DISABLE_JIT", "is set, and the loops cannot run without being compiled", advice=advice)
    result: Any = numba.njit(nogil=True, error_model="numpy")(function)
    source = Path(function.__code__.co_filename)
    # Numba compiles again when the function's own file has changed; here the files of what is compiled into it count,
    # too. Numba has no public way to say so, or to check what it reads; tests fail when it changes the private one.
    try:
        stamp = _stamp(compiled_sources(source)) if source.is_file() else ""
        # What a module of others imports is not known: its code is for that very file.
        own = source.is_relative_to(PACKAGE)
        result._cache = CodeFiles(function, stamp if own else f"{stamp} {source}", plain=own)
    except RuntimeError:  # no folder can be written to
        if source.is_file():
            folder = numba.config.CACHE_DIR or source.parent / "__pycache__"  # type: ignore[attr-defined]
            tell_unwritable(folder, "not writable")
    return result


@lru_cache(maxsize=256)
def compiled_sources(path: Path) -> frozenset[Path]:
    """The modules of HearLab that a module's compiled functions can be made of.

    These are the modules that it imports, and those that they import in turn, if they hold compiled code themselves.
    Compiled functions must not use anything of other modules, not even constants (tested).
    """
    found, pending = set[Path](), [path]
    while pending:
        for module in IMPORT.findall(_text(pending.pop())):
            source = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
            if source not in found and source.is_file() and HOLDS_COMPILED.search(_text(source)):
                found.add(source)
                pending.append(source)
    return frozenset(found)


@lru_cache(maxsize=256)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@lru_cache(maxsize=256)
def _stamp(sources: frozenset[Path]) -> str:
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(_text(source).encode())
    return digest.hexdigest()
