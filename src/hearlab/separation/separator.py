"""What every separator can do, and the separation of a whole song with any network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.separation.device import repeatable
from hearlab.separation.overlap_add import Chunks, Model, Read, Signal, overlap_add, read_checked
from hearlab.separation.torch_audio import require_torch

if TYPE_CHECKING:
    import torch

# Samples read at once when the whole song is measured before it is separated (6 s at 44.1 kHz).
_BLOCK = 1 << 18


class Separator(Protocol):
    """Separates stereo songs into stems."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz that songs must have."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems, in the network's order."""

    def separate(self, read: Read, frames: int) -> Iterator[dict[str, Signal]]:
        """Separate a song of `frames` samples that `read(start, stop)` gives piece by piece, as (stop - start, 2).

        Yields:
            for each finished span its stems, name -> (n, 2) in float32; the spans follow each other without gaps.
        """

    def separate_array(self, mixture: NDArray[np.floating], rate: int) -> dict[str, Signal]:
        """Separate a mixture of shape (n, 2) at once; name -> (n, 2) in float32.

        Raises:
            InputError: another shape or rate than the separator's.
        """


@dataclass(frozen=True)
class ChunkedSeparator:
    """A separator made of a network that separates one chunk.

    Args:
        rate: sample rate in Hz.
        sources: names of the stems.
        network: (n, 2) -> (stems, n, 2), float32.
        chunks: how a song is cut into chunks.
        standardise: whether the network wants a song of mean 0 and standard deviation 1 (see `Standardisation`).
    """

    rate: int
    sources: tuple[str, ...]
    network: Model
    chunks: Chunks
    standardise: bool = False

    def separate(self, read: Read, frames: int) -> Iterator[dict[str, Signal]]:
        """See `Separator.separate`."""
        model = self.network
        if self.standardise:
            model = Standardisation.of_song(read, frames).around(self.network, len(self.sources))
        for span in overlap_add(model, read, frames, self.chunks):
            yield dict(zip(self.sources, span, strict=True))

    def separate_array(self, mixture: NDArray[np.floating], rate: int) -> dict[str, Signal]:
        """See `Separator.separate_array`."""
        if mixture.ndim != 2 or mixture.shape[1] != 2:
            raise InputError("mixture", "is not stereo", found=mixture.shape, wanted="(samples, 2)")
        if rate != self.rate:
            raise InputError("mixture", "wrong sample rate", found=f"{rate} Hz", wanted=f"{self.rate} Hz")
        spans = list(self.separate(lambda start, stop: mixture[start:stop], mixture.shape[0]))
        empty = np.zeros((0, 2), np.float32)
        return {name: np.concatenate([empty, *(span[name] for span in spans)]) for name in self.sources}


def chunk_model(module: torch.nn.Module, device: torch.device, *, least: int, threads: int | None) -> Model:
    """A network, (1, 2, n) -> (1, stems, 2, n), as a model of chunks.

    Args:
        module: the network with its weights; it is moved to `device`.
        device: where it runs.
        least: the fewest samples it can take; shorter chunks are filled with silence.
        threads: see `hearlab.separation.device.repeatable`.
    """
    torch = require_torch()
    module.to(device).eval()

    def separate(mixture: Signal) -> Signal:
        padded = np.pad(mixture, ((0, max(0, least - mixture.shape[0])), (0, 0)))
        with torch.inference_mode(), repeatable(threads):
            stems = module(torch.from_numpy(np.ascontiguousarray(padded.T))[np.newaxis].to(device))
        result: Signal = stems[0].cpu().numpy()
        return result.transpose(0, 2, 1)[:, : mixture.shape[0]]

    return separate


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation that are taken from a song before the network and given back to its stems.

    As published both are those of the mono mix (the mean of the two channels) over the whole song, and the mean is
    added to every stem. Where the mono mix is silent although the channels are not, the published code divides by 0;
    here the deviation is that of all samples of both channels then. A silent song gives silent stems.
    """

    mean: float
    deviation: float

    @classmethod
    def of_song(cls, read: Read, frames: int) -> Standardisation:
        """Measure a song in one pass, block by block."""
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
        return cls(float(mean), float(np.sqrt(variance)) if variance > 1e-12 * square_of_both else 0.0)

    def around(self, network: Model, stems: int) -> Model:
        """The network with its input standardised and its output restored."""
        mean, deviation = np.float32(self.mean), np.float32(self.deviation)

        def standardised(mixture: Signal) -> Signal:
            if deviation == 0:
                # Nothing to separate, and no scale in which the network's answer to silence would mean anything.
                return np.zeros((stems, *mixture.shape), np.float32)
            return network((mixture - mean) / deviation) * deviation + mean

        return standardised
