"""From a model's name and the location of its weights to a separator.

A model is a row of `hearlab.separators.SEPARATORS` and the module of its name in this package, which has

- `WEIGHTS`: its published files,
- `weights_files(weights)`: all files that the result depends on, found without torch,
- `load(weights, device, *, segment, overlap, threads)`: the separator.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from hearlab.errors import ParameterError
from hearlab.networks.device import choose_device, repeatable
from hearlab.separation.separator import Separator
from hearlab.separators import SEPARATORS


def load_separator(
    model: str,
    weights: Path,
    device: str = "auto",
    *,
    segment: float = 10.0,
    overlap: float = 0.1,
    threads: int | None = None,
) -> Separator:
    """A separator with its weights.

    Args:
        model: a key of `SEPARATORS`.
        weights: the folder of the four Open-Unmix networks; the file of Hybrid Demucs, or its folder.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        segment: length of a chunk in seconds, see `hearlab.separation.overlap_add`.
        overlap: what neighbouring chunks share, in seconds.
        threads: CPU threads of the network while it runs; None leaves torch's number. Hybrid Demucs on another number
            of threads differs in the last bits.

    Raises:
        ParameterError: unknown model or device, impossible segment or overlap.
        InputError: missing, damaged or wrong weights; torch or what it needs is not installed.
    """
    module, chosen = _module(model), choose_device(device)
    with repeatable(threads):
        separator: Separator = module.load(weights, chosen, segment=segment, overlap=overlap, threads=threads)
    return separator


def weights_files(model: str, weights: Path) -> list[Path]:
    """All files that a separator's result depends on, found without torch.

    Raises:
        ParameterError: unknown model.
        InputError: a file is missing.
    """
    files: list[Path] = _module(model).weights_files(weights)
    return files


def loader(model: str) -> str:
    """'package.module:function' of a model: the code that a unit runs which loads it. Raises as `load_separator`."""
    return f"{_module(model).__name__}:load"


def _module(model: str) -> Any:
    if model not in SEPARATORS:
        raise ParameterError("model", "is unknown", found=repr(model), wanted=" or ".join(SEPARATORS))
    return importlib.import_module(f"hearlab.separation.{model}")
