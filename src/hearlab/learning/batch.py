"""A batch of pairs from the user's tensors to scores: conversion, alignment, and what becomes of silent items."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.alignment import DISPERSION_MARGIN, SILENCE
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES, loss_parameters
from hearlab.ear.paired_ears import amplify
from hearlab.kernels.retained_memory import keep_freed_memory
from hearlab.learning import compiled, parallel, signals
from hearlab.learning.dither import Dither, Drawn, dithers
from hearlab.learning.library import torch
from hearlab.learning.linear import to_model_rate
from hearlab.learning.operators import Operators
from hearlab.listeners import Audiogram
from hearlab.metrics import validation

Tensor = torch.Tensor

# Of the items of a batch, aligned at 24 kHz: their scores, None for those whose reference cannot be heard.
Scores = Callable[..., Sequence[Tensor | None]]


class SilentItemWarning(UserWarning):
    """An item of a batch is silent: its score is 0, without a gradient."""


@dataclass(frozen=True)
class Metric:
    """A metric as batches are scored with it.

    Attributes:
        scores: of aligned items, see `hearlab.learning.intelligibility.scores`.
        check_length: raises an InputError for a reference of too few samples.
        options: further arguments of `scores`.
        amplified: whether the reference is amplified by NAL-R before it is heard.
    """

    scores: Scores
    check_length: Callable[[str, int], None]
    options: dict[str, Any]
    amplified: bool = False


@dataclass(frozen=True)
class How:
    """How a batch is computed.

    Attributes:
        operators: of the ear.
        items_at_once: number of items, None for all.
        bands_at_once: see `hearlab.learning.segments.in_groups`.
    """

    operators: Operators
    items_at_once: int | None
    bands_at_once: int | None = None


def best_way(device: torch.device, bands_at_once: int | None) -> How:
    """Compiled loops on the CPU, which gain nothing by several items at once; all items in parallel elsewhere."""
    bands = signals.band_groups(bands_at_once)
    return How(compiled, 1, bands) if device.type == "cpu" else How(parallel, None, bands)


@dataclass(frozen=True, eq=False)
class _Item:
    """A pair at 24 kHz, aligned, without the silence around the reference."""

    number: int
    reference: Tensor
    processed: Tensor
    losses: Array
    level: float
    dither: Dither


def score_batch(
    metric: Metric,
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any,
    dither: Any,
    lengths: Any,
    delay: Any,
    ears: int = 1,
    how: How | None = None,
    bands_at_once: int | None = None,
) -> Tensor:
    """The scores of a batch, shape (items,), or (items, 2) of two ears; see `hearlab.learning.metrics`."""
    reference = signals.signals("reference", reference, ears)
    processed = signals.signals("processed", processed, ears)
    signals.matching(reference, processed)
    signals.finite("reference", reference)
    signals.finite("processed", processed)
    items, samples = processed.shape[:2]
    rate = validation.sample_rate("rate", rate)
    losses = signals.hearing_losses(audiograms, items, ears)
    levels = np.repeat(signals.presentation_levels(level, items), ears)
    own = [samples] * items
    if lengths is not None:
        own = signals.whole_numbers("lengths", lengths, items, 1, samples, "numbers of samples")
    delays: list[int | None] = [None] * (items * ears)
    if delay is not None:
        most = 2**31
        given = signals.whole_numbers("delay", delay, items, -most, most, "delays in samples at 24 kHz")
        delays = [value for value in given for _ in range(ears)]
    noises = dithers(dither, items, ears)
    how = how or best_way(processed.device, bands_at_once)
    keep_freed_memory()
    found: list[Tensor | None] = [None] * (items * ears)
    pending: list[_Item] = []
    for number in range(items * ears):
        item, ear = divmod(number, ears)
        name = f"[{item}]" if ears == 1 else f"[{item}], {validation.EARS[ear]} ear"
        rows = [tensor[item, : own[item]] for tensor in (reference, processed)]
        clean, heard = (row if ears == 1 else row[:, ear] for row in rows)
        pair = _aligned(how.operators, clean.detach().double(), heard.double(), rate, delays[number])
        if pair is not None:
            clean, heard = pair
            metric.check_length(f"reference{name}", clean.shape[-1])
            if metric.amplified:
                audiogram = Audiogram(tuple(losses[number]), AUDIOMETRIC_FREQUENCIES)
                clean = torch.from_numpy(amplify(clean.cpu().numpy(), audiogram)).to(clean)
            pending.append(_Item(number, clean, heard, losses[number], levels[number], noises[number]))
    # One stream serves both ears in turn.
    drawn = any(isinstance(noise, Drawn) for noise in noises)
    step = 1 if drawn else how.items_at_once or max(len(pending), 1)
    for start in range(0, len(pending), step):
        part = pending[start : start + step]
        scores = metric.scores(
            how.operators,
            [one.reference for one in part],
            [one.processed for one in part],
            [loss_parameters(one.losses) for one in part],
            np.array([one.level for one in part]),
            [one.dither for one in part],
            processed.dtype,
            how.bands_at_once,
            **metric.options,
        )
        for one, score in zip(part, scores, strict=True):
            found[one.number] = score
    return _together(found, processed, ears)


def _together(found: Sequence[Tensor | None], processed: Tensor, ears: int) -> Tensor:
    """Scores as one tensor; 0 without a gradient for those there are none of, with a warning."""
    silent = [number for number, score in enumerate(found) if score is None]
    if silent:
        names = ", ".join(
            str(number // ears) + (f" ({validation.EARS[number % ears]} ear)" if ears > 1 else "") for number in silent
        )
        text = f"silent, or below the threshold of hearing, so the score is 0 without a gradient: items {names}"
        warnings.warn(text, SilentItemWarning, stacklevel=4)
    # Nothing depends on this, but it belongs to the graph: a batch of silent items alone has a gradient of zero, too.
    nothing = (processed.flatten()[:1] * 0).sum().double()
    scores = torch.stack([nothing if score is None else nothing + score.to(nothing.device) for score in found])
    return (scores if ears == 1 else scores.unflatten(0, (-1, ears))).to(processed.dtype)


def _aligned(
    operators: Operators, reference: Tensor, processed: Tensor, rate: float, delay: int | None
) -> tuple[Tensor, Tensor] | None:
    """Both signals at 24 kHz, the delay undone, where the reference is active; None if one of them is silent.

    As `hearlab.ear.alignment.BroadbandAlignment`.
    """
    if not bool(reference.any()) or not bool(processed.detach().any()):
        return None
    clean, heard = (to_model_rate(signal, rate, operators) for signal in (reference, processed))
    magnitude = clean.abs()
    loud = torch.nonzero(magnitude > SILENCE * magnitude.amax())
    if loud.numel() == 0:
        return None
    if delay is None:
        delay = operators.broadband_delay(clean, heard.detach())
    active = slice(int(loud[0]), int(loud[-1]) + 1)
    aligned = advance(heard, delay - DISPERSION_MARGIN)[active]
    return (clean[active], aligned) if bool(aligned.detach().any()) else None


def advance(signal: Tensor, samples: int) -> Tensor:
    """`hearlab.ear.alignment.advance` of a tensor, shape (n,)."""
    n = signal.shape[-1]
    if abs(samples) >= n:
        return signal * 0
    if samples >= 0:
        return torch.nn.functional.pad(signal[samples:], (0, samples))
    return torch.nn.functional.pad(signal[: n + samples], (-samples, 0))
