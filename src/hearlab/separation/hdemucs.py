"""Hybrid Demucs, the shape of torchaudio's `hdemucs_high`: one network for all stems, in waveform and spectrum at once.

The song is standardised before and restored after it, as published (`hearlab.separation.separator.standardised`).

Défossez, Hybrid Spectrogram and Waveform Source Separation, Proceedings of the ISMIR 2021 Workshop on Music Source
Separation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.separation.overlap_add import Chunks
from hearlab.separation.separator import Separator, chunk_model
from hearlab.separation.torch_audio import require_torchaudio
from hearlab.separation.weights import WeightsFile, check_parameters, load_weights, missing_file

if TYPE_CHECKING:
    import torch

SOURCES = ("drums", "bass", "other", "vocals")
RATE = 44100
# The published file's name in torchaudio, and its other common name.
FILE_NAMES = ("hdemucs_high_musdbhq_only.pt", "hdemucs_high_musdb_only.pt")
# Address as torchaudio 2.11 has it (HDEMUCS_HIGH_MUSDB); it publishes neither size nor hash. Its sister
# hdemucs_high_trained.pt, of the same structure, has 334,697,255 bytes.
WEIGHTS = (WeightsFile("hdemucs", FILE_NAMES[0], f"https://download.pytorch.org/torchaudio/models/{FILE_NAMES[0]}"),)
# Shorter inputs do not survive the network's four downsamplings.
_SHORTEST = 4096


def weights_files(weights: Path) -> list[Path]:
    """The one weights file: `weights` itself, or the file of a published name in the folder `weights`.

    Raises:
        InputError: it does not exist.
    """
    candidates = [weights / name for name in FILE_NAMES] if weights.is_dir() or not weights.suffix else [weights]
    for path in (weights, *candidates):
        if path.is_file():
            return [path]
    raise missing_file(candidates[0], WEIGHTS)


def build_hdemucs() -> torch.nn.Module:
    """The network with random weights."""
    network: torch.nn.Module = require_torchaudio().models.hdemucs_high(sources=list(SOURCES))
    return network


def load(weights: Path, device: torch.device, *, segment: float, overlap: float, threads: int | None) -> Separator:
    """The separator with the weights at `weights` (a file or its folder); see `hearlab.separation.load_separator`.

    Raises:
        InputError: missing, damaged or wrong weights.
    """
    [path] = weights_files(weights)
    state = load_weights(path, published=WEIGHTS)
    network = build_hdemucs()
    check_parameters(state, network.state_dict(), path)
    network.load_state_dict(state)
    model = chunk_model(network, device, shortest=_SHORTEST, threads=threads)
    return Separator(RATE, SOURCES, model, Chunks.of_seconds(RATE, segment, overlap), standardise=True)
