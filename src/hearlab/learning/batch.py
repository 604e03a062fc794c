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
from hearlab.learning.library import once_differentiable, side_by_side, torch
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
        apart: whether each item is computed on its own, its gradient at once, items side by side in threads. Else the
            whole batch is one graph.
        bands_at_once: see `hearlab.learning.segments.in_groups`.
    """

    operators: Operators
    apart: bool
    bands_at_once: int | None = None


def best_way(device: torch.device, bands_at_once: int | None) -> How:
    """Compiled loops on the CPU, which leave other threads alone; all items in parallel elsewhere."""
    bands = signals.band_groups(bands_at_once)
    return How(compiled, True, bands) if device.type == "cpu" else How(parallel, False, bands)


@dataclass(frozen=True, eq=False)
class _Pair:
    """What is heard in one ear, at 24 kHz, aligned, without the silence around the reference."""

    number: int
    reference: Tensor
    processed: Tensor


@dataclass(frozen=True, eq=False)
class _Batch:
    """What is known of a batch; of the ears of all items, one item after the other, where there is one for each.

    Attributes:
        reference: shape (items, n), or (items, n, 2) of two ears.
        own: numbers of samples of the items.
        levels: shape (items * ears,).
        losses: in dB HL, shape (items * ears, 6).
    """

    metric: Metric
    how: How
    reference: Tensor
    rate: float
    ears: int
    own: list[int]
    losses: Array
    levels: Array
    delays: list[int | None]
    noises: list[Dither]

    def scores(self, items: Sequence[int], rows: Sequence[Tensor]) -> list[Tensor | None]:
        """The scores of the ears of some items, None for those that are silent.

        Args:
            rows: the processed signals of the items, of their own lengths, (n,) or (n, 2).
        """
        pairs = [self._pair(item, ear, row) for item, row in zip(items, rows, strict=True) for ear in range(self.ears)]
        heard = [pair for pair in pairs if pair is not None]
        # One stream of drawn noise serves both ears in turn.
        step = 1 if any(isinstance(self.noises[one.number], Drawn) for one in heard) else max(len(heard), 1)
        found: dict[int, Tensor | None] = {}
        for start in range(0, len(heard), step):
            part = heard[start : start + step]
            numbers = [one.number for one in part]
            scores = self.metric.scores(
                self.how.operators,
                [one.reference for one in part],
                [one.processed for one in part],
                [loss_parameters(self.losses[number]) for number in numbers],
                self.levels[numbers],
                [self.noises[number] for number in numbers],
                rows[0].dtype,
                self.how.bands_at_once,
                **self.metric.options,
            )
            found.update(zip(numbers, scores, strict=True))
        return [found.get(item * self.ears + ear) for item in items for ear in range(self.ears)]

    def _pair(self, item: int, ear: int, row: Tensor) -> _Pair | None:
        number = item * self.ears + ear
        name = f"[{item}]" if self.ears == 1 else f"[{item}], {validation.EARS[ear]} ear"
        reference = self.reference[item, : self.own[item]]
        clean, heard = (signal if self.ears == 1 else signal[:, ear] for signal in (reference, row))
        pair = _aligned(self.how.operators, clean.detach().double(), heard.double(), self.rate, self.delays[number])
        if pair is None:
            return None
        clean, heard = pair
        self.metric.check_length(f"reference{name}", clean.shape[-1])
        if self.metric.amplified:
            audiogram = Audiogram(tuple(self.losses[number]), AUDIOMETRIC_FREQUENCIES)
            clean = torch.from_numpy(amplify(clean.cpu().numpy(), audiogram)).to(clean)
        return _Pair(number, clean, heard)


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
    batch = _Batch(metric, how, reference, rate, ears, own, losses, levels, delays, noises)
    with torch.autocast(processed.device.type, enabled=False):
        if how.apart:
            scores, silent = _Apart.apply(processed, batch)
        else:
            found = batch.scores(range(items), [processed[item, : own[item]] for item in range(items)])
            scores, silent = _together(found, processed), [score is None for score in found]
    if any(silent):
        names = ", ".join(
            str(number // ears) + (f" ({validation.EARS[number % ears]} ear)" if ears > 1 else "")
            for number in np.flatnonzero(silent)
        )
        text = f"silent, or below the threshold of hearing, so the score is 0 without a gradient: items {names}"
        warnings.warn(text, SilentItemWarning, stacklevel=3)
    return scores if ears == 1 else scores.unflatten(0, (-1, ears))


class _Apart(torch.autograd.Function):
    """Scores of the ears of all items, (items * ears,), and which of them are silent.

    The gradient of an item is computed right after its score and kept until the backward pass asks for it: memory is
    that of the items which are in work, and the way back runs in as many threads as the way there.
    """

    @staticmethod
    def forward(ctx: Any, processed: Tensor, batch: _Batch) -> tuple[Tensor, list[bool]]:
        wanted = ctx.needs_input_grad[0]

        def work(item: int) -> tuple[list[Tensor | None], Tensor | None]:
            row = processed[item, : batch.own[item]].detach()
            with torch.set_grad_enabled(wanted):
                found = batch.scores([item], [row.requires_grad_(wanted)])
                heard = [score for score in found if score is not None]
                slope = None
                if wanted and heard:
                    # An ear's score hangs on its own channel alone.
                    (slope,) = torch.autograd.grad(torch.stack(heard).sum(), row)
            return [None if score is None else score.detach() for score in found], slope

        results = side_by_side(work, processed.shape[0])
        ctx.slopes, ctx.ears = [slope for _, slope in results], batch.ears
        ctx.shape, ctx.dtype = processed.shape, processed.dtype
        scores = [score for found, _ in results for score in found]
        return _together(scores, processed), [score is None for score in scores]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        result = torch.zeros(ctx.shape, dtype=ctx.dtype)
        for item, slope in enumerate(ctx.slopes):
            if slope is not None:
                factors = gradients[0][item * ctx.ears : (item + 1) * ctx.ears]
                result[item, : slope.shape[0]] = slope * (factors if ctx.ears > 1 else factors[0])
        return result, None


def _together(found: Sequence[Tensor | None], processed: Tensor) -> Tensor:
    """Scores as one tensor; 0 without a gradient for those there are none of."""
    # Nothing depends on this, but it belongs to the graph: a batch of silent items alone has a gradient of zero, too.
    nothing = (processed.flatten()[:1] * 0).sum().double()
    scores = torch.stack([nothing if score is None else nothing + score.to(nothing.device) for score in found])
    return scores.to(processed.dtype)


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
