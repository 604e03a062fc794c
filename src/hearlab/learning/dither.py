"""The noise of the metrics for each item of a batch: the published random stream, numbers of one's own, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import BANDS
from hearlab.errors import InputError
from hearlab.kernels.normals import NormalStream, skip_normals
from hearlab.learning.library import torch
from hearlab.metrics.seeds import random_state

Tensor = torch.Tensor


class Dither(Protocol):
    """Standard normals for one item; None where there is no noise."""

    def frames(self, samples: int, frames: int) -> Tensor | None:
        """For the envelopes of reference and processed speech, shape (2, frames, 32)."""

    def motions(self, samples: int) -> Tensor | None:
        """For the basilar-membrane motions of reference and processed signal, shape (2, 32, samples)."""

    def pass_over(self, count: int) -> None:
        """So many normals are drawn by the published code, and not used."""


class NoDither:
    def frames(self, samples: int, frames: int) -> None:
        return None

    def motions(self, samples: int) -> None:
        return None

    def pass_over(self, count: int) -> None:
        return None


class Drawn:
    """Normals drawn as the exact metrics draw them, from a stream that goes on from one ear to the next."""

    def __init__(self, random: np.random.RandomState) -> None:
        self._random = random

    def frames(self, samples: int, frames: int) -> Tensor:
        skip_normals(self._random, 2 * BANDS * samples)
        return torch.from_numpy(self._draw(2, frames, BANDS))

    def motions(self, samples: int) -> Tensor:
        return torch.from_numpy(self._draw(2, BANDS, samples))

    def pass_over(self, count: int) -> None:
        skip_normals(self._random, count)

    def _draw(self, *shape: int) -> Array:
        normals = np.empty(shape)
        stream = NormalStream(self._random)
        stream.fill(normals.ravel())
        stream.put_back(self._random)
        return normals


class Given:
    """Normals of the user: (2, frames, 32) for HASPI, (2, 32, samples) for HASQI and HAAQI, or more of them."""

    def __init__(self, item: int, normals: Tensor) -> None:
        self._item, self._normals = item, normals

    def frames(self, samples: int, frames: int) -> Tensor:
        self._check((2, frames, BANDS))
        return self._normals[:, :frames]

    def motions(self, samples: int) -> Tensor:
        self._check((2, BANDS, samples))
        return self._normals[:, :, :samples]

    def pass_over(self, count: int) -> None:
        return None

    def _check(self, wanted: tuple[int, int, int]) -> None:
        shape = tuple(self._normals.shape)
        long = 1 if wanted[2] == BANDS else 2
        other = 3 - long
        if len(shape) != 3 or shape[0] != 2 or shape[other] != BANDS or shape[long] < wanted[long]:
            raise InputError(
                f"dither[{self._item}]", "has the wrong shape", found=f"shape {shape}", wanted=f"{wanted} or longer"
            )


def dithers(dither: Any, items: int, ears: int = 1) -> list[Dither]:
    """The noise of each item, and of each of its ears, item by item.

    Args:
        dither: None; seeds (one for each item, or one for all); or a floating-point tensor of standard normals whose
            first axis is that of the items (and whose second one that of the ears, if there are two).

    Raises:
        InputError: something else, or another number of items.
    """
    if dither is None:
        return [NoDither() for _ in range(items * ears)]
    if isinstance(dither, torch.Tensor) and dither.is_floating_point():
        first = (items, ears) if ears > 1 else (items,)
        if tuple(dither.shape[: len(first)]) != first:
            found = f"shape {tuple(dither.shape)}"
            raise InputError("dither", "is for another batch", found=found, wanted=f"{first} as the first axes")
        normals = dither.detach().flatten(0, len(first) - 1)
        return [Given(number // ears, own) for number, own in enumerate(normals)]
    return [Drawn(random) for random in _streams(dither, items) for _ in range(ears)]


def _streams(dither: Any, items: int) -> Iterator[np.random.RandomState]:
    seeds = dither.tolist() if isinstance(dither, torch.Tensor | np.ndarray) else dither
    if not isinstance(seeds, Sequence) or isinstance(seeds, str):
        seeds = [seeds] * items
    if len(seeds) != items:
        raise InputError(
            "dither", "has another number of items", found=len(seeds), wanted=f"a seed for each of {items}"
        )
    for number, seed in enumerate(seeds):
        try:
            yield random_state(seed)
        except InputError as error:
            raise InputError(
                f"dither[{number}]",
                "is no seed",
                found=error.found,
                wanted="seeds from 0 to 2**32 - 1, a floating-point tensor of normals, or None",
            ) from None
