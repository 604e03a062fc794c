"""Names of devices."""

from __future__ import annotations

import re

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from hearlab.errors import ParameterError
from hearlab.networks.device import TINY, choose_device, repeatable

torch = pytest.importorskip("torch", reason="needs hearlab[music]")


@pytest.mark.parametrize("name", ["gpu0", "CPU", "cuda:", "cuda:-1", "cuda:x", "", "mps", "cpu ", None, 0])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ParameterError, match=r"^device: is unknown \(found .*, wanted auto, cpu, cuda or cuda:N\)$"):
        choose_device(name)


def test_the_cpu_and_auto():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_where_there_is_none(name):
    with pytest.raises(ParameterError, match=rf"^device: no CUDA device here \(found '{name}', wanted auto or cpu\)$"):
        choose_device(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="has no CUDA device")
def test_a_gpu_with_too_high_a_number():
    assert choose_device("cuda").index == 0
    with pytest.raises(ParameterError, match="device: no such GPU"):
        choose_device("cuda:99")


def test_threads_are_fixed_inside_and_restored_after():
    before = torch.get_num_threads()
    with repeatable(before + 1):
        assert torch.get_num_threads() == before + 1
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.allow_tf32
    assert torch.get_num_threads() == before
    with repeatable(None):
        assert torch.get_num_threads() == before


def thread_counts() -> set[str]:
    """What OpenMP and MKL take at most, as torch sees them."""
    return set(re.findall(r"(?:omp|mkl)_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info()))


def test_threads_are_set_where_they_seem_to_be_set_already():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(1):
            assert torch.get_num_threads() == 1
            with repeatable(1):
                assert thread_counts() == {"1"}
    finally:
        torch.set_num_threads(before)


def disturb():
    """Set all that torch keeps for the process to something else."""
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)
    torch.set_autocast_enabled("cpu", True)
    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.manual_seed(5)


def state() -> list[object]:
    return [
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device().type,
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        bool(np.float32(TINY) * np.float32(1) == 0),
        torch.is_autocast_enabled("cpu"),
        torch.backends.mkldnn.enabled,
        torch.get_rng_state().tolist(),
    ]


def test_all_that_torch_keeps_for_a_process_is_set_and_put_back():
    before = state()
    try:
        with repeatable(1):
            wanted = state()
        disturb()
        disturbed = state()
        with repeatable(1):
            assert state()[:-1] == wanted[:-1]
            torch.rand(1)
        assert state() == disturbed
        with pytest.raises(ZeroDivisionError), repeatable(1):
            raise ZeroDivisionError
        assert state() == disturbed
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
        torch.set_flush_denormal(False)
        torch.set_autocast_enabled("cpu", False)
        torch.backends.mkldnn.set_flags(_enabled=True)
        torch.set_num_threads(before[0])
    assert state()[:-1] == before[:-1]
