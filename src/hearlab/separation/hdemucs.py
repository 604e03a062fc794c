"""Hybrid Demucs, the shape of torchaudio's `hdemucs_high`: one network for all stems, in waveform and spectrum at once.

The song is standardised before and restored after it, as published (`hearlab.separation.separator.Standardisation`).

Défossez, Hybrid Spectrogram and Waveform Source Separation, Proceedings of the ISMIR 2021 Workshop on Music Source
Separation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.separation.overlap_add import Chunks
from hearlab.separation.separator import ChunkedSeparator, chunk_model
from hearlab.separation.torch_audio import require_torchaudio
from hearlab.separation.weights import check_parameters, load_weights, missing_file

if TYPE_CHECKING:
    import torch

SOURCES = ("drums", "bass", "other", "vocals")
RATE = 44100
# The published file's name in torchaudio, and the one it goes by elsewhere.
FILE_NAMES = ("hdemucs_high_musdbhq_only.pt", "hdemucs_high_musdb_only.pt")
# Shorter inputs do not survive the network's four downsamplings.
_LEAST = 4096


def hdemucs_file(weights: Path) -> Path:
    """The weights file: `weights` itself, or the one of a published name in the folder `weights`.

    Raises:
        InputError: it is not there.
    """
    if not weights.is_dir():
        if not weights.is_file():
            raise missing_file(weights if weights.suffix else weights / FILE_NAMES[0])
        return weights
    for name in FILE_NAMES:
        if (weights / name).is_file():
            return weights / name
    raise missing_file(weights / FILE_NAMES[0])


def build_hdemucs() -> torch.nn.Module:
    """The network with random weights."""
    network: torch.nn.Module = require_torchaudio().models.hdemucs_high(sources=list(SOURCES))
    return network


def load_hdemucs(
    weights: Path, device: torch.device, *, segment: float = 10.0, overlap: float = 0.1, threads: int | None = None
) -> ChunkedSeparator:
    """The separator with the weights at `weights` (a file or its folder); see `hearlab.separation.load_separator`.

    Raises:
        InputError: missing, damaged or wrong weights.
    """
    path = hdemucs_file(weights)
    state = load_weights(path)
    network = build_hdemucs()
    check_parameters(state, network.state_dict(), path)
    network.load_state_dict(state)
    model = chunk_model(network, device, least=_LEAST, threads=threads)
    return ChunkedSeparator(RATE, SOURCES, model, Chunks.of_seconds(RATE, segment, overlap), standardise=True)
