"""From a model's name and the place of its weights to a separator."""

from __future__ import annotations

from pathlib import Path

from hearlab.errors import InputError, ParameterError
from hearlab.separation.device import choose_device
from hearlab.separation.hdemucs import hdemucs_file, load_hdemucs
from hearlab.separation.openunmix import load_openunmix, openunmix_files
from hearlab.separation.separator import Separator

MODELS = ("openunmix", "hdemucs")


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
        model: 'openunmix' or 'hdemucs'.
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
    place = choose_device(device)
    load = {"openunmix": load_openunmix, "hdemucs": load_hdemucs}[_known(model)]
    return load(weights, place, segment=segment, overlap=overlap, threads=threads)


def weights_files(model: str, weights: Path) -> list[Path]:
    """All files that a separator's result depends on, found without torch.

    Raises:
        ParameterError: unknown model.
        InputError: a file is missing.
    """
    if _known(model) == "hdemucs":
        return [hdemucs_file(weights)]
    files = openunmix_files(weights)
    whole = weights / "separator.json"
    if not whole.exists():
        return list(files.values())
    descriptions = [whole, *(weights / f"{target}.json" for target in files)]
    for path in descriptions:
        if not path.is_file():
            raise InputError(path, "no such file", wanted="the description of a network")
    return [*files.values(), *descriptions]


def _known(model: str) -> str:
    if model not in MODELS:
        raise ParameterError("model", "is unknown", found=repr(model), wanted=" or ".join(MODELS))
    return model
