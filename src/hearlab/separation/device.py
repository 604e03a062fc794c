"""Where a network runs, and how its arithmetic is kept repeatable."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hearlab.errors import ParameterError
from hearlab.separation.torch_audio import require_torch

if TYPE_CHECKING:
    import torch

KINDS = "auto, cpu, cuda or cuda:N"


def choose_device(name: str) -> torch.device:
    """The torch device of 'auto' (CUDA if there is one, else the CPU), 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        ParameterError: another name, CUDA wanted where there is none, or a GPU with too high a number.
        InputError: torch is not installed.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", name) if isinstance(name, str) else None
    if match is None:
        raise ParameterError("device", "is unknown", found=repr(name), wanted=KINDS)
    torch = require_torch()
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if name == "auto":
            return torch.device("cpu")
        raise ParameterError("device", "no CUDA device here", found=repr(name), wanted="auto or cpu")
    index = int(match[1] or 0)
    if index >= torch.cuda.device_count():
        raise ParameterError(
            "device", "no such GPU", found=repr(name), wanted=f"a number below {torch.cuda.device_count()}"
        )
    return torch.device("cuda", index)


@contextlib.contextmanager
def repeatable(threads: int | None) -> Iterator[None]:
    """Inside, the same input gives the same bytes: a fixed number of threads, and no algorithm chosen by timing.

    The order in which sums are split over threads changes the last bits (of Hybrid Demucs, for one), so `threads`
    fixes it; None leaves torch's number as it is. On CUDA the convolutions are deterministic, in full single precision.
    """
    torch = require_torch()
    before = torch.get_num_threads()
    if threads is not None and threads != before:
        torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
