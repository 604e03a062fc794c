"""HASQI and HAAQI of the items of a batch, from signals at 24 kHz; see `hearlab.metrics.quality`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import BANDS, LossParameters
from hearlab.ear.paired_ears import NOISE_DB
from hearlab.learning.dither import Dither
from hearlab.learning.ear import Hearing, Losses, root
from hearlab.learning.library import torch
from hearlab.learning.operators import Operators
from hearlab.learning.segments import correlations, filtered, in_groups
from hearlab.learning.tiles import segments
from hearlab.metrics.cepstra import SILENCE_DB, cepstral_basis
from hearlab.metrics.covariance import SEGMENT, synchrony_weights
from hearlab.metrics.covariance import SILENCE_DB as SILENT_TILE_DB
from hearlab.metrics.haaqi import (
    CEPSTRAL_WEIGHT,
    LINEAR_WEIGHTS,
    NONLINEAR_WEIGHTS,
    RELATIVE_WEIGHT,
    SMOOTHING,
    SYNCHRONY_WEIGHT,
    WORST_RELATIVE_DEVIATION,
    modulation_filters,
)
from hearlab.metrics.haaqi import LOUDNESS_WEIGHT as MUSIC_LOUDNESS_WEIGHT
from hearlab.metrics.hasqi import LOUDNESS_WEIGHT, SLOPE_WEIGHT, WORST_SLOPE_DEVIATION
from hearlab.metrics.loudness import loudness
from hearlab.metrics.quality import WORST_LOUDNESS_DEVIATION

Tensor = torch.Tensor

# From cepstra of both signals, long-term levels of both in dB, and synchrony to a score.
Combine = Callable[[Tensor | None, Tensor, Tensor, Tensor], Tensor]


def scores(
    operators: Operators,
    references: Sequence[Tensor],
    processed: Sequence[Tensor],
    losses: Sequence[LossParameters],
    levels: Array,
    dithers: Sequence[Dither],
    dtype: torch.dtype,
    bands_at_once: int | None,
    *,
    smoothing: int,
    combine: Combine,
) -> list[Tensor]:
    """The score of each item.

    Args:
        references, processed: aligned signals at 24 kHz in double precision, both of an item of the same length; the
            reference is amplified.
        losses: of the ears that hear both.
        levels: dB SPL of an RMS of 1, shape (items,).
        dtype: of the rows.
        bands_at_once: see `hearlab.learning.segments.in_groups`.
        smoothing: samples over which envelopes are averaged.
        combine: correlation of spectral shapes (None where fewer than two segments are audible), synchrony, and
            long-term levels of reference and processed signal in dB, shape (32,), to a score.
    """
    both = Losses.of(losses)
    with torch.no_grad():
        clean = Hearing(operators, references, both, levels, dtype)
    ear = Hearing(operators, processed, both, levels, dtype)
    lengths, late = ear.lengths, clean.late()
    none = np.zeros_like(late)
    noises = [dither.motions(length) for dither, length in zip(dithers, lengths, strict=True)]
    amplitudes = 10 ** ((NOISE_DB - levels) / 20)
    early: dict[tuple[int, ...], tuple[Array, Array]] = {}
    kept: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def firing(
        side: int, bands: tuple[int, ...], rows: tuple[Tensor, Tensor], shifts: tuple[Array, Array]
    ) -> tuple[Tensor, Tensor]:
        chosen = list(bands)
        offsets = levels[:, None] - both.inner_attenuation[:, chosen]
        envelopes, motions = operators.adapt(*rows, offsets, *shifts, late[:, chosen], lengths)
        noise = _delayed_noise(noises, side, bands, amplitudes, late, motions)
        return envelopes, motions if noise is None else motions + noise

    def work(bands: tuple[int, ...]) -> tuple[Tensor, ...]:
        envelopes, motions, rms = ear.compress(bands, moving=True)
        with torch.no_grad():
            other_envelopes, other_motions, other_rms = clean.compress(bands, moving=True)
            if bands not in early:
                early[bands] = (
                    operators.early_rows(other_envelopes, envelopes, lengths),
                    operators.early_rows(other_motions, motions, lengths),
                )
            shift = none[:, list(bands)]
            other_envelopes, other_motions = firing(0, bands, (other_envelopes, other_motions), (shift, shift))
            kept[bands] = averages(other_envelopes, lengths, smoothing), other_rms
        envelopes, motions = firing(1, bands, (envelopes, motions), early[bands])
        covariances, powers = operators.covariances(other_motions, motions, lengths)
        return averages(envelopes, lengths, smoothing), covariances, powers, rms

    heard, covariances, powers, rms = in_groups(work, bands_at_once)
    groups = sorted(kept)
    others, other_rms = (torch.cat([kept[bands][place] for bands in groups], dim=1) for place in (0, 1))
    long_term = clean.long_term_levels(other_rms), ear.long_term_levels(rms)
    found = []
    for item, (length, dither) in enumerate(zip(lengths, dithers, strict=True)):
        own, tiles = number_of_averages(length, smoothing), segments(length)
        cepstra = _cepstra(others[item, :, :own], heard[item, :, :own])
        # A dither of this many normals is drawn by the published code and multiplied by zero.
        dither.pass_over(0 if cepstra is None else 2 * BANDS * cepstra.shape[-1])
        synchrony = _synchrony(covariances[item, :, :tiles], powers[item, :, :tiles])
        found.append(combine(cepstra, synchrony, long_term[0][item], long_term[1][item]))
    return found


def number_of_averages(samples: int, size: int) -> int:
    """Number of averages under windows of `size`, half overlapped, those at the ends over halves."""
    return 1 + samples // size + (samples - size // 2) // size


def averages(rows: Tensor, lengths: Sequence[int], size: int) -> Tensor:
    """`hearlab.metrics.cepstra.smoothed_segments` of rows (items, bands, N): (items, bands, averages)."""
    half, last = size // 2, [number_of_averages(length, size) - 1 for length in lengths]
    window = np.hanning(size)
    window /= np.sum(window)
    halves = torch.as_tensor(np.stack([window[:half], window[half:]], axis=1)).to(rows)
    wanted = (max(last) + 2) * half
    kept = rows[..., :wanted]
    parts = torch.nn.functional.pad(kept, (0, wanted - kept.shape[-1])).unflatten(-1, (-1, half)) @ halves
    rising, falling = parts[..., :-1, 0], parts[..., 0:, 1]
    number = torch.arange(rising.shape[-1], device=rows.device)
    ends = torch.tensor(last, device=rows.device)[:, None, None]
    # A window that is half as long has half the sum.
    middle = rising + falling[..., 1:]
    return torch.where(number == 0, 2 * falling[..., :-1], torch.where(number == ends, 2 * rising, middle))


def hasqi(cepstra: Tensor | None, synchrony: Tensor, reference: Tensor, processed: Tensor) -> Tensor:
    """HASQI; see `hearlab.metrics.hasqi`."""
    cepstral = synchrony.new_zeros(()) if cepstra is None else correlations(*cepstra).mean()
    difference = _relative_loudness(reference) - _relative_loudness(processed)
    alike = _likeness(difference, WORST_LOUDNESS_DEVIATION)
    slope = _likeness(difference.diff(), WORST_SLOPE_DEVIATION)
    return cepstral**2 * synchrony * (LOUDNESS_WEIGHT * alike + SLOPE_WEIGHT * slope)


def haaqi(cepstra: Tensor | None, synchrony: Tensor, reference: Tensor, processed: Tensor) -> Tensor:
    """HAAQI; see `hearlab.metrics.haaqi`."""
    cepstral = synchrony.new_zeros(())
    if cepstra is not None:
        filters = modulation_filters()
        cepstral = correlations(*(filtered(side, filters) for side in cepstra)).mean()
    one, two = _relative_loudness(reference), _relative_loudness(processed)
    alike = _likeness(one - two, WORST_LOUDNESS_DEVIATION)
    relative = _likeness((one - two) / (one + two), WORST_RELATIVE_DEVIATION)
    nonlinear = CEPSTRAL_WEIGHT * cepstral**3 + SYNCHRONY_WEIGHT * synchrony
    linear = MUSIC_LOUDNESS_WEIGHT * alike + RELATIVE_WEIGHT * relative
    return (
        NONLINEAR_WEIGHTS[0] * nonlinear
        + NONLINEAR_WEIGHTS[1] * nonlinear**2
        + LINEAR_WEIGHTS[0] * linear
        + LINEAR_WEIGHTS[1] * linear**2
    )


SPEECH: dict[str, Any] = {"smoothing": SEGMENT, "combine": hasqi}
MUSIC: dict[str, Any] = {"smoothing": SMOOTHING, "combine": haaqi}


def _delayed_noise(
    noises: Sequence[Tensor | None], side: int, bands: tuple[int, ...], amplitudes: Array, late: Array, motions: Tensor
) -> Tensor | None:
    """The noise of the motions of some bands, as late as these are; None without noise."""
    if all(noise is None for noise in noises):
        return None
    found = torch.zeros_like(motions)
    for item, noise in enumerate(noises):
        if noise is not None:
            samples = noise.shape[-1]
            for place, band in enumerate(bands):
                begin = int(late[item, band])
                found[item, place, begin:samples] = amplitudes[item] * noise[side, band, : samples - begin].to(found)
    return found


def _cepstra(reference: Tensor, processed: Tensor) -> Tensor | None:
    """Cepstra of the audible segments, shape (2, 5, segments), from averages (32, segments); None if there are not two.

    See `hearlab.metrics.cepstra.audible_cepstra`.
    """
    kept = np.flatnonzero(loudness(reference.detach().double().cpu().numpy().T) > SILENCE_DB)
    if kept.size < 2:
        return None
    chosen = torch.as_tensor(kept, device=processed.device)
    basis = torch.as_tensor(cepstral_basis().T[1:].copy(), device=processed.device)
    cepstra = torch.stack([basis @ side.double()[:, chosen] for side in (reference, processed)])
    return cepstra - cepstra.mean(-1, keepdim=True)


def _synchrony(covariances: Tensor, powers: Tensor) -> Tensor:
    """`hearlab.metrics.covariance.mean_synchrony`, from covariances and powers of the reference (32, segments)."""
    levels = np.sqrt(2 * powers.detach().cpu().numpy())
    kept = loudness(levels.T) > SILENT_TILE_DB
    if np.count_nonzero(kept) < 2:
        return covariances.new_zeros(())
    weights = synchrony_weights()[:, None] * (levels > SILENT_TILE_DB) * kept
    return (torch.as_tensor(weights, device=covariances.device) * covariances).sum() / float(np.sum(weights))


def _relative_loudness(levels: Tensor) -> Tensor:
    amplitudes = 10 ** (levels / 20)
    return amplitudes / amplitudes.sum()


def _likeness(difference: Tensor, worst: float) -> Tensor:
    deviation = root((difference - difference.mean()).square().mean())
    return (1 - BANDS * deviation / worst).clamp(0.0, 1.0)
