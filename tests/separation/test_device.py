"""Names of devices."""

from __future__ import annotations

import pytest

from hearlab.errors import ParameterError
from hearlab.separation.device import choose_device, repeatable

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
