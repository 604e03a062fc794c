"""The arithmetic of libraries is fixed before they are imported, and only where the user wants it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from hearlab.kernels import arithmetic
from hearlab.kernels.arithmetic import FIXED, NATIVE, VARIABLES, fix, fixed_variables, machine, processor_level, release
from reference_material import REPOSITORY

pytestmark = pytest.mark.skipif(platform.machine() not in arithmetic.X86, reason="fixed on x86-64 only")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, FIXED, NATIVE):
        monkeypatch.delenv(name, raising=False)


def seen(code: str, **environment: str) -> str:
    """What a new process prints."""
    bare = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, FIXED, NATIVE)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**bare, "PYTHONPATH": str(REPOSITORY / "src"), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_all_that_numpy_dispatches_by_is_turned_off() -> None:
    """A new numpy with loops for newer processors must not bring other bytes."""
    core = np._core._multiarray_umath
    assert set(core.__cpu_dispatch__) == set(fixed_variables()["NPY_DISABLE_CPU_FEATURES"].split())


def test_a_process_that_is_fixed_and_one_that_is_not() -> None:
    code = "from hearlab.kernels.arithmetic import *; fix(); import numpy; print(is_fixed())"
    assert seen(code) == "True"
    if processor_level() >= 3:
        assert seen(code.replace("fix();", "")) == "False"
        assert seen(code, HEARLAB_NATIVE="1") == "False"
        assert seen(code.replace("fix();", "fix(); release();")) == "False"
    assert seen(code, HEARLAB_NATIVE="0") == "True"


def test_the_command_fixes_its_own_process() -> None:
    code = """
import os, sys, tempfile
from hearlab import cli
assert "numpy" not in sys.modules
os.chdir(tempfile.gettempdir())
cli.main(["scores"])  # there are none
import numpy
from hearlab.kernels.arithmetic import is_fixed
print(is_fixed())
"""
    assert seen(code).splitlines()[-1] == "True"


@pytest.mark.slow
def test_torch_and_blas_are_told_in_their_own_ways() -> None:
    code = """
from hearlab.kernels.arithmetic import fix; fix()
import torch
print(torch.backends.cpu.get_cpu_capability())
"""
    pytest.importorskip("torch", reason="needs hearlab[music]")
    if processor_level() < 3:
        pytest.skip("this processor has no AVX2")
    assert seen(code) == "AVX2"
    code = """
from hearlab.kernels.arithmetic import fix; fix()
import numpy, threadpoolctl
print({entry["architecture"] for entry in threadpoolctl.threadpool_info() if entry["internal_api"] == "openblas"})
"""
    assert seen(code) == "{'Haswell'}"


def test_what_the_user_has_set_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX512,STRICT")
    before = dict(os.environ)
    fix()
    fix()  # once is enough
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"
    assert {name: os.environ[name] for name in fixed_variables()} == fixed_variables()
    release()
    assert dict(os.environ) == before
    release()
    assert dict(os.environ) == before


def test_nothing_is_fixed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    processor_level.cache_clear()
    try:
        fix()
        assert FIXED not in os.environ
        assert arithmetic.is_fixed()
        assert not arithmetic.own_system_is_native()
        assert machine(native=False)["processor"] == "aarch64"
    finally:
        processor_level.cache_clear()


def test_an_old_processor_gets_only_what_it_can_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "processor_level", lambda: 2)
    assert set(fixed_variables()) == {"NPY_DISABLE_CPU_FEATURES", "MKL_CBWR"}


def test_what_is_recorded_of_a_machine() -> None:
    found = machine(native=True)
    assert found["processor"] == f"x86-64-v{processor_level()}"
    assert found["arithmetic"] == "native"
    assert found["numpy"] == np.__version__
    assert machine(native=False)["arithmetic"] == "fixed"


def test_workers_elsewhere_compute_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arithmetic.variables_here() == {}
    fix()
    assert arithmetic.variables_here() == {**fixed_variables(), FIXED: ""}
    release()
    monkeypatch.setenv(NATIVE, "1")
    fix()
    assert arithmetic.variables_here() == {NATIVE: "1"}
