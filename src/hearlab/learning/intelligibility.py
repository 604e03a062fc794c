"""HASPI of the items of a batch, from signals at 24 kHz; see `hearlab.metrics.haspi`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import LossParameters, normal_hearing
from hearlab.ear.resampling import MODEL_RATE
from hearlab.errors import InputError
from hearlab.learning.dither import Dither
from hearlab.learning.ear import Hearing, Losses
from hearlab.learning.library import torch
from hearlab.learning.linear import change_rate
from hearlab.learning.operators import Operators
from hearlab.learning.segments import correlations, filtered, in_groups
from hearlab.metrics.cepstra import SILENCE_DB, cepstral_basis
from hearlab.metrics.haspi import (
    DITHER_DB,
    FRAME_STEP,
    LEAST_SPEECH_S,
    SMOOTHING_TAPS,
    WINDOW_BEFORE,
    _load_ensemble,
    modulation_filter_lengths,
    modulation_filters,
)
from hearlab.metrics.loudness import loudness

Tensor = torch.Tensor


def check_length(name: str, samples: int) -> None:
    """Raise an InputError when the reference, without silence around it, is shorter than the slowest filter."""
    shortest, shared = max(modulation_filter_lengths()) * FRAME_STEP / MODEL_RATE, samples / MODEL_RATE
    if shared < shortest:
        raise InputError(
            name,
            "is too short",
            found=f"{shared:.3f} s shared with the processed signal, without the silence around it",
            wanted=f"{shortest:.2f} s, the length of the slowest modulation filter",
        )


def scores(
    operators: Operators,
    references: Sequence[Tensor],
    processed: Sequence[Tensor],
    losses: Sequence[LossParameters],
    levels: Array,
    dithers: Sequence[Dither],
    dtype: torch.dtype,
    bands_at_once: int | None,
) -> list[Tensor | None]:
    """HASPI of each item; None where the reference is below the threshold of hearing.

    Args:
        references, processed: aligned signals at 24 kHz in double precision, both of an item of the same length.
        losses: of the ears that hear the processed signals.
        levels: dB SPL of an RMS of 1, shape (items,).
        dtype: of the rows.
        bands_at_once: see `hearlab.learning.segments.in_groups`.
    """
    with torch.no_grad():
        normal = Hearing(operators, references, Losses.of([normal_hearing()] * len(losses)), levels, dtype)
    ear = Hearing(operators, processed, Losses.of(losses), levels, dtype)
    lengths, late = ear.lengths, normal.late()
    none = np.zeros_like(late)
    window = np.hanning(SMOOTHING_TAPS + 2)[1:-1]
    window /= np.sum(window)
    count = -(-max(lengths) // FRAME_STEP)
    # What is held: found once, and used again when bands are computed once more for the backward pass.
    early: dict[tuple[int, ...], Array] = {}
    reference_frames: dict[tuple[int, ...], Tensor] = {}

    def frames(hearing: Hearing, bands: tuple[int, ...], envelopes: Tensor, shift: Array) -> Tensor:
        chosen = list(bands)
        offsets = levels[:, None] - hearing.losses.inner_attenuation[:, chosen]
        firing, _ = operators.adapt(
            envelopes, envelopes[..., :0], offsets, shift, none[:, chosen], late[:, chosen], lengths
        )
        return change_rate(firing, window, 1, FRAME_STEP, WINDOW_BEFORE, count)

    def work(bands: tuple[int, ...]) -> tuple[Tensor, ...]:
        envelopes, _, _ = ear.compress(bands, moving=False)
        if bands not in early:
            with torch.no_grad():
                clean, _, _ = normal.compress(bands, moving=False)
                early[bands] = operators.early_rows(clean, envelopes, lengths)
                reference_frames[bands] = frames(normal, bands, clean, none[:, list(bands)])
        return (frames(ear, bands, envelopes, early[bands]),)

    (heard,) = in_groups(work, bands_at_once)
    clean = torch.cat([reference_frames[bands] for bands in sorted(reference_frames)], dim=1)
    return [
        _score(clean[item, :, :own].T, heard[item, :, :own].T, lengths[item], dither)
        for item, (own, dither) in enumerate(zip([-(-n // FRAME_STEP) for n in lengths], dithers, strict=True))
    ]


def _score(reference: Tensor, processed: Tensor, samples: int, dither: Dither) -> Tensor | None:
    """HASPI from the smoothed envelopes of an item, shape (frames, 32) each."""
    reference, processed = reference.double(), processed.double()
    kept = np.flatnonzero(loudness(reference.cpu().numpy()) > SILENCE_DB)
    if kept.size * FRAME_STEP / MODEL_RATE < LEAST_SPEECH_S:
        return None
    noise = dither.frames(samples, kept.size)
    chosen = torch.as_tensor(kept, device=processed.device)
    cepstra = []
    for side, frames in enumerate((reference, processed)):
        audible = frames[chosen]
        if noise is not None:
            audible = audible + DITHER_DB * noise[side].to(audible)
        coefficients = torch.as_tensor(cepstral_basis().T.copy()[1:]).to(audible) @ audible.T
        cepstra.append(coefficients - coefficients.mean(-1, keepdim=True))
    filters = modulation_filters()
    features = correlations(filtered(cepstra[0], filters), filtered(cepstra[1], filters)).mean(-1)
    return intelligibility(features)


def intelligibility(features: Tensor) -> Tensor:
    """Mean answer of the ten networks to the features, shape (10,); see `hearlab.metrics.haspi.intelligibility`."""
    ensemble = _load_ensemble()
    hidden, output = (torch.as_tensor(weights).to(features) for weights in (ensemble.hidden, ensemble.output))
    inner = torch.sigmoid(hidden[:, 0] + torch.einsum("f,kfh->kh", features, hidden[:, 1:]))
    answers = torch.sigmoid(output[:, 0] + (inner * output[:, 1:]).sum(1))
    return answers.mean() / ensemble.maximum
