"""A separator: any network that separates chunks, applied to whole songs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.networks.device import repeatable
from hearlab.networks.library import require_torch
from hearlab.separation.overlap_add import Chunks, Model, Read, Signal, overlap_add, read_checked

if TYPE_CHECKING:
    import torch

# Samples read at once when the whole song is measured before it is separated (6 s at 44.1 kHz).
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Separator:
    """Separates stereo songs into stems, chunk by chunk.

    Args:
        rate: sample rate in Hz that songs must have.
        sources: names of the stems, in the network's order.
        network: separates one chunk, (n, 2) -> (stems, n, 2), float32.
        chunks: how a song is cut into chunks.
        standardise: whether the network needs a song of mean 0 and standard deviation 1 (see `standardised`).
    """

    rate: int
    sources: tuple[str, ...]
    network: Model
    chunks: Chunks
    standardise: bool = False

    def separate(self, read: Read, frames: int) -> Iterator[dict[str, Signal]]:
        """Separate a song of `frames` samples that `read(start, stop)` returns piece by piece, as (stop - start, 2).

        Yields:
            for each finished span its stems, name -> (n, 2) in float32; the spans follow each other without gaps.
        """
        model = self.network
        if self.standardise:
            model = standardised(self.network, len(self.sources), *level_of(read, frames))
        for span in overlap_add(model, read, frames, self.chunks):
            yield dict(zip(self.sources, span, strict=True))

    def separate_array(self, mixture: NDArray[np.floating], rate: int) -> dict[str, Signal]:
        """Separate a mixture of shape (n, 2) at once; name -> (n, 2) in float32.

        Raises:
            InputError: another shape or rate than the separator's.
        """
        if mixture.ndim != 2 or mixture.shape[1] != 2:
            raise InputError("mixture", "is not stereo", found=mixture.shape, wanted="(samples, 2)")
        if rate != self.rate:
            raise InputError("mixture", "wrong sample rate", found=f"{rate} Hz", wanted=f"{self.rate} Hz")
        spans = list(self.separate(lambda start, stop: mixture[start:stop], mixture.shape[0]))
        empty = np.zeros((0, 2), np.float32)
        return {name: np.concatenate([empty, *(span[name] for span in spans)]) for name in self.sources}


def chunk_model(module: torch.nn.Module, device: torch.device, *, shortest: int, threads: int | None) -> Model:
    """A network, (1, 2, n) -> (1, stems, 2, n), as a model of chunks.

    Args:
        module: the network with its weights; it is moved to `device`.
        device: where it runs.
        shortest: the fewest samples it can take; shorter chunks are padded with silence.
        threads: see `hearlab.networks.device.repeatable`.
    """
    torch = require_torch()
    module.to(device).eval()

    def separate(mixture: Signal) -> Signal:
        padded = np.pad(mixture, ((0, max(0, shortest - mixture.shape[0])), (0, 0)))
        with torch.inference_mode(), repeatable(threads):
            stems = module(torch.from_numpy(np.ascontiguousarray(padded.T))[np.newaxis].to(device))
        result: Signal = stems[0].cpu().numpy()
        return result.transpose(0, 2, 1)[:, : mixture.shape[0]]

    return separate


def level_of(read: Read, frames: int) -> tuple[float, float]:
    """Mean and standard deviation of a song, measured in one pass, block by block.

    As published, both are those of the mono mix (the mean of the two channels). Where the mono mix is silent although
    the channels are not, the published code divides by 0; here the deviation is that of all samples of both channels
    then. It is 0 for a silent song.
    """
    # Sum and sum of squares of the mono mix, and of all samples, in double precision.
    sums = np.zeros(4)
    for start in range(0, frames, _BLOCK):
        both = read_checked(read, start, min(start + _BLOCK, frames)).astype(np.float64)
        mono = both.mean(axis=1)
        sums += mono.sum(), np.square(mono).sum(), both.sum() / 2, np.square(both).sum() / 2
    mean, square, mean_of_both, square_of_both = sums / max(frames, 1)
    variance = square - mean**2
    if variance < 1e-12 * square_of_both:
        variance = square_of_both - mean_of_both**2
    return float(mean), float(np.sqrt(variance)) if variance > 1e-12 * square_of_both else 0.0


def standardised(network: Model, stems: int, mean: float, deviation: float) -> Model:
    """The network with mean and deviation of its input removed, and restored in each of its stems."""
    offset, scale = np.float32(mean), np.float32(deviation)

    def model(mixture: Signal) -> Signal:
        if scale == 0:
            # Nothing to separate, and no scale in which the network's answer to silence would mean anything.
            return np.zeros((stems, *mixture.shape), np.float32)
        return network((mixture - offset) / scale) * scale + offset

    return model
