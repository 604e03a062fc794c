"""What the arithmetic of numpy, OpenBLAS and torch depends on of the processor, fixed: the same bytes on all x86-64.

These libraries hold several versions of their loops and choose one when they are imported. `fix` has them choose those
that every processor since 2013 (x86-64-v3) has; what it costs, and what is left on older and other ones, stands in
docs/notes/same-bytes.md. It must come before they are imported: the `hearlab` command calls it first of all.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# 1: nothing is fixed. 0: all is, a system of one's own as well. Else one's own system runs as fast as the machine can.
NATIVE = "HEARLAB_NATIVE"
# Set by `fix`, for processes that a process with fixed arithmetic starts: what was set before.
FIXED = "HEARLAB_FIXED"
VARIABLES = (
    "NPY_DISABLE_CPU_FEATURES",
    "OPENBLAS_CORETYPE",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
)
X86 = ("x86_64", "AMD64")
LEVEL_3 = {"avx2", "fma", "bmi2", "movbe", "f16c", "abm"}
LEVEL_2 = {"sse4_2", "ssse3", "popcnt", "cx16"}
LEVEL_4 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# Features that numpy's loops are dispatched by, above the level that it is built for, by numpy's version.
NUMPY_FEATURES = (
    ((2, 4), "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"),
    ((1, 25), "AVX AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"),
)
LIBRARIES = ("numpy", "scipy", "numba", "llvmlite", "soxr", "torch", "torchaudio", "openunmix")


def own_system_is_native() -> bool:
    """Whether a system of one's own computes as fast as the machine can, in the machine's own way."""
    return os.environ.get(NATIVE) != "0" and platform.machine() in X86


def is_native() -> bool:
    """Whether the user wants all arithmetic to be the machine's own."""
    return os.environ.get(NATIVE) == "1" and platform.machine() in X86


def fixed_variables() -> dict[str, str]:
    """The environment of a process whose arithmetic is fixed; empty where there is nothing to fix."""
    if platform.machine() not in X86 or is_native():
        return {}
    values = {"NPY_DISABLE_CPU_FEATURES": _numpy_features(), "MKL_CBWR": "COMPATIBLE"}
    if processor_level() >= 3:
        values |= {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    return {name: value for name, value in values.items() if value}


def fix() -> None:
    """Fix the arithmetic of this process and of those that it starts, of libraries that are not imported yet."""
    if FIXED in os.environ:
        return
    values = fixed_variables()
    if values:
        before = [f"{name}={os.environ[name]}" for name in values if name in os.environ]
        os.environ.update(values, **{FIXED: "\n".join(before)})


def release() -> None:
    """Undo `fix`, for libraries that are not imported yet."""
    before = os.environ.pop(FIXED, None)
    if before is not None:
        for name in VARIABLES:
            os.environ.pop(name, None)
        for line in before.splitlines():
            name, _, value = line.partition("=")
            os.environ[name] = value


def variables_here() -> dict[str, str]:
    """The variables that decide the arithmetic of this process, for processes on other machines."""
    names = (NATIVE, *fixed_variables(), FIXED) if FIXED in os.environ else (NATIVE,)
    return {name: os.environ[name] for name in names if name in os.environ}


def is_fixed() -> bool:
    """Whether numpy, if it is imported, computes in the fixed way."""
    numpy: Any = sys.modules.get("numpy")
    if platform.machine() not in X86 or numpy is None:
        return True
    with contextlib.suppress(AttributeError):  # of a numpy that is built in another way
        core = numpy._core._multiarray_umath
        return not any(core.__cpu_features__[name] for name in core.__cpu_dispatch__)
    return True


@lru_cache(maxsize=1)
def processor_level() -> int:
    """The x86-64 microarchitecture level of this processor, 1 to 4; 0 on others, and where it cannot be told."""
    if platform.machine() not in X86:
        return 0
    with contextlib.suppress(OSError):
        found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        flags = set(found[1].split()) if found else set()
        levels = (LEVEL_2, LEVEL_2 | LEVEL_3, LEVEL_2 | LEVEL_3 | LEVEL_4)
        return 1 + sum(level <= flags for level in levels) if flags else 0
    return 0


def machine(*, native: bool) -> dict[str, str]:
    """What a number's last bits may depend on: kind of processor, way of computing, versions of libraries."""
    level = processor_level()
    kind = platform.machine()
    return {
        "processor": f"x86-64-v{level}" if level else kind,
        "arithmetic": "native" if native else "fixed",
        "c library": " ".join(platform.libc_ver()).strip(),
        "python": platform.python_version(),
        **{name: found for name in LIBRARIES if (found := _version(name))},
    }


def _numpy_features() -> str:
    found = tuple(int(part) for part in re.findall(r"\d+", _version("numpy"))[:2])
    return next((features for since, features in NUMPY_FEATURES if found >= since), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
