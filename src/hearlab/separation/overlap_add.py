"""Separating a song in chunks: their bounds, and the crossfades between them.

The scheme is that of the published baseline. The first chunk lasts `segment * (1 + overlap)` seconds (11 s) and each
later one `overlap` seconds longer, so that it covers as much new audio after the seam; neighbours share `overlap`
seconds (0.1 s), over which one fades out and the other in, both linearly.

At the ends of a song the published code does two things that are not repeated here: it fades out the last 0.1 s of a
song that fits into one chunk, and it answers a song of 0.1 s or less with silence. Here the weights of the chunks sum
to 1 at every sample of every song.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError, ParameterError

Signal = NDArray[np.float32]
Read = Callable[[int, int], NDArray[np.floating]]
"""Reads samples `start` to `stop` of a mixture: (start, stop) -> (stop - start, 2)."""
Model = Callable[[Signal], Signal]
"""Separates one chunk: (n, 2) -> (stems, n, 2)."""

# One rounding error of single precision, twice: the fades are exact complements otherwise.
WINDOW_SUM_TOLERANCE = 2.5e-7


@dataclass(frozen=True)
class Chunks:
    """The chunk scheme in samples: `length` of the first chunk, and the `overlap` of neighbours."""

    length: int
    overlap: int

    @classmethod
    def of_seconds(cls, rate: int, segment: float = 10.0, overlap: float = 0.1) -> Chunks:
        """The published scheme: `overlap` is a fraction of the segment in one formula, and seconds in the other.

        Raises:
            ParameterError: a segment that is not positive, a negative overlap, or one as long as the chunk.
        """
        if not (np.isfinite(segment) and int(segment * rate) > 0):
            raise ParameterError("segment", "is not a length", found=segment, wanted="seconds above 0")
        if not (np.isfinite(overlap) and overlap >= 0):
            raise ParameterError("overlap", "is not a length", found=overlap, wanted="seconds of 0 or more")
        length, shared = int(rate * segment * (1 + overlap)), int(overlap * rate)
        if shared >= length:
            raise ParameterError("overlap", "is as long as a chunk", found=f"{overlap} s", wanted=f"below {segment} s")
        return cls(length, shared)

    def bounds(self, frames: int) -> Iterator[tuple[int, int]]:
        """First sample and the one after the last of each chunk of a song of `frames` samples."""
        start, stop = 0, self.length
        while stop < frames:
            yield start, stop
            start, stop = stop - self.overlap, stop + self.length
        if frames > 0:
            yield start, frames

    def fades(self) -> tuple[Signal, Signal]:
        """The fade-in and the fade-out, shape (overlap,) each; their sum is 1."""
        fade_in = np.linspace(0, 1, self.overlap, dtype=np.float32)
        fade_out = 1 - fade_in
        assert np.all(np.abs(fade_in + fade_out - 1) <= WINDOW_SUM_TOLERANCE), "the chunks do not sum to 1"
        return fade_in, fade_out


def overlap_add(model: Model, read: Read, frames: int, chunks: Chunks) -> Iterator[Signal]:
    """Separate a song chunk by chunk.

    Args:
        model: separates one chunk, shape (n, 2), into (stems, n, 2).
        read: reads samples of the mixture.
        frames: length of the song in samples.
        chunks: the chunk scheme.

    Yields:
        finished spans, shape (stems, n, 2) in float32, in order and without gaps; one chunk and one fade are held
        in memory at a time, however long the song is.

    Raises:
        InputError: `read` gives another shape than (stop - start, 2).
    """
    fade_in, fade_out = (fade[:, np.newaxis] for fade in chunks.fades())
    tail: Signal | None = None
    for start, stop in chunks.bounds(frames):
        stems = model(read_checked(read, start, stop))
        if stems.shape[1:] != (stop - start, 2):
            raise AssertionError(f"the model gave {stems.shape} for {stop - start} samples")
        first = 0
        if tail is not None:
            first = chunks.overlap
            yield tail + fade_in * stems[:, :first]
        last = stems.shape[1] if stop == frames else stems.shape[1] - chunks.overlap
        tail = fade_out * stems[:, last:] if stop < frames else None
        yield stems[:, first:last]


def read_checked(read: Read, start: int, stop: int) -> Signal:
    """Samples `start` to `stop` of the mixture in float32, shape (stop - start, 2)."""
    mixture = np.asarray(read(start, stop))
    if mixture.shape != (stop - start, 2):
        raise InputError(
            "mixture",
            "has another shape",
            field=f"samples {start} to {stop}",
            found=mixture.shape,
            wanted=(stop - start, 2),
        )
    return np.ascontiguousarray(mixture, dtype=np.float32)
