"""Training data of a separator: excerpts of stems, mixed anew for every step.

Random mixing (stems of different songs from different times, with random gains and swapped channels) lets a network
learn from few songs: Uhlich et al., Improving music source separation based on deep neural networks through
data augmentation and network blending, ICASSP 2017. What is drawn for an item depends on the seed, the target, the
step and the item's index in the batch only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError

Signal = NDArray[np.float32]

# Samples from each of four places of a stem that identify a song.
_PROBE = 4096


class SongSource(Protocol):
    """Songs with their stems; all of one sample rate."""

    @property
    def songs(self) -> Sequence[str]:
        """Names of the songs."""

    def frames(self, song: str) -> int:
        """Length of a song in samples."""

    def excerpt(self, song: str, stem: str, start: int, frames: int) -> Signal:
        """`frames` samples of a stem from `start` on, shape (frames, 2), float32."""


@dataclass(frozen=True)
class Mixing:
    """How excerpts are drawn and mixed.

    `excerpt` in seconds; `mix_songs` is the probability that an item takes its stems from different songs; `gains` are
    the lowest and the highest factor of a stem; `swap_channels` is the probability that its channels are swapped.
    """

    excerpt: float = 3.0
    mix_songs: float = 1.0
    gains: tuple[float, float] = (0.25, 1.25)
    swap_channels: float = 0.5


def draw_batch(
    source: SongSource,
    stems: Sequence[str],
    target: str,
    mixing: Mixing,
    *,
    items: int,
    frames: int,
    seed: Sequence[int],
) -> tuple[Signal, Signal]:
    """Draw mixtures and the stem that is to be found in them.

    Args:
        source: the training songs.
        stems: all stems of a mixture.
        target: the stem to find, one of `stems`.
        mixing: how they are drawn.
        items: number of mixtures.
        frames: length of each in samples.
        seed: whole numbers that decide the draw, for instance (seed, step).

    Returns:
        mixtures and targets, shape (items, 2, frames) each.
    """
    number = int.from_bytes(hashlib.sha256(target.encode()).digest()[:8], "big")
    # The generator is named because a seed means something else to another one.
    streams = (np.random.Generator(np.random.PCG64([*seed, number, item])) for item in range(items))
    drawn = [_draw(source, stems, target, mixing, frames, rng) for rng in streams]
    return np.stack([mixture for mixture, _ in drawn]), np.stack([wanted for _, wanted in drawn])


def _draw(
    source: SongSource, stems: Sequence[str], target: str, mixing: Mixing, frames: int, rng: np.random.Generator
) -> tuple[Signal, Signal]:
    """One mixture and its target, shape (2, frames) each."""
    mixture, wanted = np.zeros((2, frames), np.float32), np.zeros((2, frames), np.float32)
    apart = rng.random() < mixing.mix_songs
    place = _place(source, frames, rng)
    for stem in stems:
        song, start = _place(source, frames, rng) if apart else place
        gain, swap = np.float32(rng.uniform(*mixing.gains)), rng.random() < mixing.swap_channels
        signal = excerpt(source, song, stem, start, frames).T
        # Channel by channel into contiguous rows: half the time of whole (frames, 2) arrays.
        for channel in (0, 1):
            scaled = gain * signal[1 - channel if swap else channel]
            mixture[channel] += scaled
            if stem == target:
                wanted[channel] = scaled
    return mixture, wanted


def _place(source: SongSource, frames: int, rng: np.random.Generator) -> tuple[str, int]:
    """A song and the first sample of an excerpt; every song is as likely as any other."""
    song = source.songs[int(rng.integers(len(source.songs)))]
    return song, int(rng.integers(max(source.frames(song) - frames, 0) + 1))


def excerpt(source: SongSource, song: str, stem: str, start: int, frames: int) -> Signal:
    """A stem's excerpt, filled with silence where the song is shorter.

    Raises:
        InputError: the source gives another shape than it should.
    """
    here = min(frames, source.frames(song) - start)
    signal = np.asarray(source.excerpt(song, stem, start, here), np.float32)
    if signal.shape != (here, 2):
        raise InputError(song, "stem has another shape", field=stem, found=signal.shape, wanted=(here, 2))
    return signal if here == frames else np.pad(signal, ((0, frames - here), (0, 0)))


def blocks(
    source: SongSource, stems: Sequence[str], target: str | None, frames: int
) -> Iterator[tuple[Signal, Signal]]:
    """All songs as they are, in blocks: mixture and target, shape (2, n) each with n of `frames` samples or fewer.

    Without a target the second is silence.
    """
    for song in source.songs:
        for start in range(0, source.frames(song), frames):
            here = min(frames, source.frames(song) - start)
            parts = {stem: excerpt(source, song, stem, start, here) for stem in stems}
            mixture: Signal = np.stack(list(parts.values())).sum(axis=0)
            wanted = parts[target] if target else np.zeros_like(mixture)
            yield mixture.T, wanted.T


def fingerprint(source: SongSource, stems: Sequence[str]) -> str:
    """Identifies songs by their names, lengths, and a few samples of every stem."""
    digest = hashlib.sha256()
    for song in source.songs:
        frames = source.frames(song)
        digest.update(f"{song}\0{frames}\0".encode())
        for stem in stems:
            for eighth in (1, 3, 5, 7):
                start = frames * eighth // 8
                digest.update(excerpt(source, song, stem, start, min(_PROBE, frames - start)).tobytes())
    return digest.hexdigest()
