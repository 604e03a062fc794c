"""PyTorch, an optional part of HearLab: one line says what to install where it is missing. And its threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from hearlab.arrays import Array
from hearlab.errors import InputError

try:
    import torch
    from torch.autograd.function import once_differentiable
except ImportError as error:
    raise InputError(
        "torch",
        "is not installed" if error.name == "torch" else "cannot be imported",
        found=None if error.name == "torch" else str(error),
        advice="hearlab.learning needs it: pip install 'hearlab[music]'",
    ) from None

__all__ = ["array", "doubles", "once_differentiable", "side_by_side", "torch"]

Tensor = torch.Tensor
T = TypeVar("T")


def array(tensor: Tensor) -> Any:
    """The values of a tensor on the CPU, without a copy where it is contiguous."""
    return tensor.detach().contiguous().numpy()


def doubles(tensor: Tensor) -> Array:
    """The values of a tensor on the CPU in double precision."""
    return array(tensor).astype(np.float64, copy=False)


def side_by_side(work: Callable[[int], T], count: int) -> list[T]:
    """`work` of the numbers below `count`, in as many threads as PyTorch may have, each of its operations in one.

    Operations of a few samples gain nothing by several threads, and wait for all of them; those of other programs, too.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return list(map(work, range(count)))
    # Threads that start from now on have one as well.
    torch.set_num_threads(1)
    try:
        if count == 1:
            return [work(0)]
        with ThreadPoolExecutor(min(threads, count)) as pool:
            return list(pool.map(work, range(count)))
    finally:
        torch.set_num_threads(threads)
