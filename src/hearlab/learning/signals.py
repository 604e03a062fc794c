"""Checks of what users hand to the differentiable metrics; every failure is one line that names the argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES
from hearlab.errors import InputError
from hearlab.learning.library import torch
from hearlab.metrics import validation

Tensor = torch.Tensor

PRECISIONS = (torch.float32, torch.float64)
BANDS_WANTED = "an even number from 2 to 32, or None"


def signals(name: str, tensor: Any, ears: int = 1) -> Tensor:
    """`tensor` itself, floating-point samples of a batch: (items, n), or (items, n, 2) for two ears.

    Raises:
        InputError: no tensor, another shape, integers, half precision.
    """
    if not isinstance(tensor, torch.Tensor):
        raise InputError(name, "is no tensor", found=type(tensor).__name__, wanted="a torch.Tensor")
    wanted = "shape (batch, n, 2)" if ears == 2 else "shape (batch, n)"
    shape = tuple(tensor.shape)
    if len(shape) != 1 + ears or (ears == 2 and shape[2] != 2):
        advice = {1: "one item is reference[None]", 2: None, 3: "haspi_better_ear and hasqi_better_ear take two ears"}
        text = advice.get(len(shape)) if ears == 1 else None
        raise InputError(name, "has the wrong shape", found=f"shape {shape}", wanted=wanted, advice=text)
    if 0 in shape:
        raise InputError(name, "is empty", found=f"shape {shape}", wanted=wanted)
    if tensor.dtype not in PRECISIONS:
        integer = not tensor.dtype.is_floating_point
        raise InputError(
            name,
            "has integer samples" if integer else "has another precision",
            found=tensor.dtype,
            wanted="torch.float32 or torch.float64",
            advice="divide 16-bit samples by 32768" if integer else "convert it: the metric needs 24 bits",
        )
    return tensor


def finite(name: str, tensor: Tensor) -> None:
    """Raise an InputError when a sample is no finite number, or far beyond full scale."""
    largest = tensor.detach().abs().amax()
    if not float(largest) <= validation.LARGEST_SAMPLE:
        wrong = (~(tensor.detach().abs() <= validation.LARGEST_SAMPLE)).nonzero()[0].tolist()
        place, value = f"item {wrong[0]}, sample {wrong[1]}", float(tensor[tuple(wrong)])
        raise InputError(
            name, "is not a finite number of usual size", field=place, found=value, wanted="around -1 to 1"
        )


def matching(reference: Tensor, processed: Tensor) -> None:
    """Raise an InputError when two tensors differ in shape or device."""
    if reference.shape != processed.shape:
        raise InputError(
            "processed",
            "has another shape than the reference",
            found=f"shape {tuple(processed.shape)}",
            wanted=f"shape {tuple(reference.shape)}",
        )
    if reference.device != processed.device:
        raise InputError(
            "processed", "is on another device than the reference", found=processed.device, wanted=reference.device
        )


def hearing_losses(audiograms: Any, items: int, ears: int = 1) -> Array:
    """Hearing losses in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz, shape (items * ears, 6).

    Args:
        audiograms: tensor, array or nested list of shape (items, 6), or (items, 2, 6) for two ears.

    Raises:
        InputError: another shape, no finite numbers.
    """
    shape = (items, 2, 6) if ears == 2 else (items, 6)
    try:
        tensor = audiograms.detach().cpu() if isinstance(audiograms, torch.Tensor) else audiograms
        levels = np.asarray(tensor, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("audiograms", "are no numbers", found=type(audiograms).__name__, wanted=f"{shape}") from None
    if levels.shape != shape:
        frequencies = ", ".join(f"{frequency:g}" for frequency in AUDIOMETRIC_FREQUENCIES)
        raise InputError(
            "audiograms",
            "have the wrong shape",
            found=f"shape {levels.shape}",
            wanted=f"shape {shape}: dB HL at {frequencies} Hz",
        )
    if not np.all(np.isfinite(levels)):
        raise InputError("audiograms", "are no finite numbers", found=levels[~np.isfinite(levels)][0])
    return levels.reshape(-1, 6)


def whole_numbers(name: str, values: Any, items: int, least: int, most: int, wanted: str) -> list[int]:
    """Whole numbers, one for each item, from a tensor, an array or a sequence.

    Raises:
        InputError: another number of them, no whole numbers, or some outside of `least` to `most`.
    """
    plain = values.tolist() if isinstance(values, torch.Tensor | np.ndarray) else values
    if not isinstance(plain, Sequence) or isinstance(plain, str) or len(plain) != items:
        found = len(plain) if isinstance(plain, Sequence) else type(values).__name__
        raise InputError(name, "has another number of items", found=found, wanted=f"{items} {wanted}")
    for item, value in enumerate(plain):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
            raise InputError(f"{name}[{item}]", f"is not in {wanted}", found=repr(value), wanted=f"{least} to {most}")
    return [int(value) for value in plain]


def presentation_levels(level: Any, items: int) -> Array:
    """dB SPL of an RMS of 1, for each item, from a number or from one number for each item."""
    plain = level.tolist() if isinstance(level, torch.Tensor | np.ndarray) else level
    if isinstance(plain, Sequence) and not isinstance(plain, str):
        if len(plain) != items:
            raise InputError("level", "has another number of items", found=len(plain), wanted=f"one, or {items}")
        return np.array([validation.presentation_level(value) for value in plain])
    return np.full(items, validation.presentation_level(plain))


def band_groups(bands_at_once: int | None) -> int | None:
    """`bands_at_once` itself.

    Raises:
        InputError: it is no even number from 2 to 32.
    """
    if bands_at_once is None:
        return None
    whole = isinstance(bands_at_once, int) and not isinstance(bands_at_once, bool)
    if not whole or bands_at_once % 2 or not 2 <= bands_at_once <= 32:
        raise InputError("bands_at_once", "is unknown", found=repr(bands_at_once)[:80], wanted=BANDS_WANTED)
    return bands_at_once
