"""Each stage computes the same bytes on other processors: imitated by the libraries' switches, and emulated.

The emulator is QEMU, which runs a program as if on a processor of another maker or age (Debian's package qemu-user).
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.kernels.arithmetic import FIXED, VARIABLES, X86, processor_level
from pipeline_support import make_project
from reference_material import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() not in X86 or processor_level() < 3, reason="needs an x86-64-v3 processor"),
]
pytest.importorskip("torch", reason="needs hearlab[music]")

COMPILED = ("render_scenes", "enhance_speech", "score_speech", "enhance_music", "score_music")
NETWORKS = ("train_separator", "separate_music")
# Trained by the metrics: networks and compiled loops.
LEARNING = ("learned", "fitted")
ALL = ("prepare", "build_scenes", *COMPILED, *NETWORKS, *LEARNING)
# Compiled for an emulated processor here, where it takes seconds, not minutes.
HASWELL = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse,+sse2,+sse3,+sse4.1,"
    "+sse4.2,+ssse3",
}
# What another machine would have, by the libraries' own switches; all of it at once where they do not touch each other.
SETTINGS = {
    "a C library that does not use FMA, oneDNN for SSE, two threads": (
        {
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-FMA4",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OMP_NUM_THREADS": "2",
            "MKL_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "2",
            "LC_ALL": "C",
            "TZ": "Asia/Kathmandu",
        },
        ALL,
    ),
    "loops compiled for Haswell": (HASWELL, (*COMPILED, *LEARNING)),
}
# Makers and ages: no AVX (2008), Intel with AVX2 (2013), AMD (2021), Intel of servers. Level, settings, stages.
EMULATED = {
    "Nehalem": ("2", {}, ("prepare", "build_scenes")),
    "Haswell": ("3", HASWELL, ("prepare", *COMPILED, *LEARNING)),
    "EPYC-Milan": ("3", {}, NETWORKS),
    "Skylake-Server": ("3", {}, ("prepare", "build_scenes")),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("processors") / "hearlab")


@pytest.fixture(scope="module")
def here(project: Path) -> dict[str, dict[str, str]]:
    """Digests of what this processor makes."""
    return digests(project, [sys.executable], "-", ALL, {})


def digests(
    project: Path, python: list[str], level: str, parts: tuple[str, ...], settings: dict[str, str]
) -> dict[str, dict[str, str]]:
    environment = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, FIXED)}
    done = subprocess.run(
        [*python, str(REPOSITORY / "tests" / "one_of_each.py"), str(project), level, *parts],
        env={**environment, "PYTHONPATH": str(REPOSITORY / "src"), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    assert list(found) == list(parts)
    return found


def check(found: dict[str, dict[str, str]], here: dict[str, dict[str, str]]) -> None:
    assert {stage: here[stage] for stage in found} == found


@pytest.mark.parametrize(("settings", "parts"), SETTINGS.values(), ids=SETTINGS)
def test_imitated(
    settings: dict[str, str], parts: tuple[str, ...], project: Path, here: dict[str, dict[str, str]]
) -> None:
    check(digests(project, [sys.executable], "-", parts, settings), here)


@pytest.mark.parametrize("model", EMULATED)
def test_emulated(model: str, project: Path, here: dict[str, dict[str, str]]) -> None:
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("QEMU is not installed (Debian: qemu-user)")
    level, settings, parts = EMULATED[model]
    check(digests(project, [emulator, "-cpu", model, sys.executable], level, parts, settings), here)


def test_the_libraries_left_alone_do_differ(project: Path, here: dict[str, dict[str, str]]) -> None:
    """Else the tests above would prove nothing."""
    found = digests(project, [sys.executable], "-", ("separate_music",), {"HEARLAB_NATIVE": "1"})
    assert found["separate_music"] != here["separate_music"]
