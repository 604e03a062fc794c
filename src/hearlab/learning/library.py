"""PyTorch, which is an optional part of HearLab: one line says what to install where it is missing."""

from __future__ import annotations

from typing import Any

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

__all__ = ["array", "doubles", "once_differentiable", "torch"]

Tensor = torch.Tensor


def array(tensor: Tensor) -> Any:
    """The values of a tensor on the CPU, without a copy where it is contiguous."""
    return tensor.detach().contiguous().numpy()


def doubles(tensor: Tensor) -> Array:
    """The values of a tensor on the CPU in double precision."""
    return array(tensor).astype(np.float64, copy=False)
