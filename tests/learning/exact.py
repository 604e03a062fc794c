"""The exact metrics as the tests of their differentiable forms compare with them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from sounds import music_pair, speech_pair

import hearlab.learning.metrics
import hearlab.metrics
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES
from hearlab.listeners import Audiogram

NAMES = ("haspi", "hasqi", "haaqi")
LOSS = [10.0, 15.0, 20.0, 30.0, 55.0, 65.0]
OTHER_LOSS = [40.0, 45.0, 50.0, 60.0, 70.0, 80.0]
LEVELS = {"haspi": 65.0, "hasqi": 65.0, "haaqi": 85.0}


def pair(name: str, rate: int, samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Reference and processed signal of a metric, of the same length."""
    signals = (music_pair if name == "haaqi" else speech_pair)(rate, rate, 0.005)
    samples = samples or min(signal.size for signal in signals)
    return signals[0][:samples], signals[1][:samples]


def differentiable(name: str) -> Any:
    return getattr(hearlab.learning.metrics, name)


def exact(name: str, reference: np.ndarray, processed: np.ndarray, rate: float, loss: Any, **others: Any) -> float:
    audiogram = Audiogram(loss, AUDIOMETRIC_FREQUENCIES)
    metric = getattr(hearlab.metrics, name)
    options = {"level": LEVELS[name], "rng": 1} | others
    return metric(reference, rate, processed, rate, audiogram, **options).score


@contextmanager
def without_noise() -> Iterator[None]:
    """The exact metrics with the standard deviation of their noise at zero."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("hearlab.metrics.haspi"), "DITHER_DB", 0.0)
        patch.setattr(importlib.import_module("hearlab.ear.paired_ears"), "NOISE_DB", -np.inf)
        yield


class Held:
    """Delays of bands: what the first score finds, all that follow `again` are given."""

    def __init__(self, module: str) -> None:
        self._module, self._search = module, importlib.import_module(module).near_lags
        self._found: list[Any] = []
        self._replay: list[Any] = []

    def near_lags(self, *arguments: Any) -> Any:
        if self._replay:
            return self._replay.pop(0)
        self._found.append(self._search(*arguments))
        return self._found[-1]

    def again(self) -> None:
        self._replay[:] = self._found

    @contextmanager
    def inside(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"{self._module}.near_lags", self.near_lags)
            yield


def tensors(*signals: np.ndarray, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.tensor(signal, dtype=dtype)[None] for signal in signals]
