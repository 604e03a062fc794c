"""Batches: different lengths, losses and levels, silent items, memory bounded by groups of bands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exact import LEVELS, LOSS, NAMES, OTHER_LOSS, differentiable, exact, pair, tensors

from hearlab.errors import InputError
from hearlab.learning import compiled, intelligibility, parallel, quality
from hearlab.learning.batch import How, Metric, advance, score_batch
from hearlab.learning.metrics import SilentItemWarning, haspi, haspi_better_ear, hasqi_better_ear

RATE = 24000
LENGTHS = [12000, 9000, 12000]
LOSSES = [LOSS, OTHER_LOSS, OTHER_LOSS]
METRICS = {
    "haspi": Metric(intelligibility.scores, intelligibility.check_length, {}),
    "hasqi": Metric(quality.scores, lambda name, samples: None, quality.SPEECH),
    "haaqi": Metric(quality.scores, lambda name, samples: None, quality.MUSIC),
}


def batch(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Three items that differ; what follows the second one's own samples must not count."""
    clean, heard = pair(name, RATE, 12000)
    references = np.stack([clean, clean, clean[::-1].copy()])
    processed = np.stack([heard, heard + 0.1 * heard**2, heard[::-1].copy()])
    references[1, 9000:], processed[1, 9000:] = 5.0, -5.0
    return torch.tensor(references), torch.tensor(processed)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_items_are_scored_as_if_they_were_alone(name):
    references, processed = batch(name)
    options = {"level": LEVELS[name]}
    processed.requires_grad_()
    together = differentiable(name)(references, processed, RATE, LOSSES, lengths=LENGTHS, **options)
    together.sum().backward()
    assert not torch.any(processed.grad[1, 9000:])
    for item, length in enumerate(LENGTHS):
        alone = processed.detach()[item : item + 1, :length].clone().requires_grad_()
        score = differentiable(name)(references[item : item + 1, :length], alone, RATE, [LOSSES[item]], **options)
        score.sum().backward()
        assert float(score.detach()) == pytest.approx(float(together[item].detach()), abs=1e-12)
        torch.testing.assert_close(processed.grad[item, :length], alone.grad[0], rtol=1e-9, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_parallel_way_scores_padded_batches_alike(name):
    references, processed = (signals[:2, :7500] for signals in batch(name))
    found = []
    for how in (How(compiled, True), How(compiled, False), How(parallel, False), How(parallel, False, 16)):
        own = processed.clone().requires_grad_()
        scores = score_batch(
            METRICS[name],
            references,
            own,
            RATE,
            LOSSES[:2],
            level=LEVELS[name],
            dither=None,
            lengths=[7500, 6500],
            delay=None,
            how=how,
        )
        scores.sum().backward()
        found.append((scores.detach(), own.grad))
    for scores, gradient in found[1:]:
        torch.testing.assert_close(scores, found[0][0], rtol=0, atol=1e-10)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-6, atol=1e-8 * float(gradient.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_groups_of_bands_change_nothing(name):
    references, processed = batch(name)
    found = []
    for bands_at_once in (None, 2, 32):
        own = processed.clone().requires_grad_()
        scores = differentiable(name)(
            references, own, RATE, LOSSES, level=LEVELS[name], dither=[1, 2, 3], bands_at_once=bands_at_once
        )
        scores.sum().backward()
        found.append((scores.detach(), own.grad))
    for scores, gradient in found[1:]:
        assert torch.equal(scores, found[0][0])
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-10, atol=1e-13)


@pytest.fixture
def threads():
    """Sets PyTorch's number of threads, and what it was after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
def test_threads_change_no_bit(name, threads):
    references, processed = batch(name)
    found = []
    for count in (1, 2, 5):
        threads(count)
        own = processed.clone().requires_grad_()
        options = {"level": LEVELS[name], "lengths": LENGTHS, "dither": [1, 2, 3]}
        scores = differentiable(name)(references, own, RATE, LOSSES, **options)
        (scores * torch.tensor([1.0, -2.0, 3.0])).sum().backward()
        assert torch.get_num_threads() == count
        found.append((scores.detach(), own.grad))
    for scores, gradient in found[1:]:
        assert torch.equal(scores, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_an_item_that_fails_in_a_thread_is_named_and_threads_are_as_before(threads):
    references, processed = batch("haspi")
    references[2, 3000:] = 0.0
    threads(2)
    with pytest.raises(InputError, match=r"^reference\[2\]: is too short"):
        haspi(references, processed, RATE, LOSSES)
    assert torch.get_num_threads() == 2


def test_a_score_has_a_gradient_where_one_is_wanted_alone():
    references, processed = batch("haspi")
    assert not haspi(references, processed, RATE, LOSSES).requires_grad
    processed.requires_grad_()
    with torch.no_grad():
        assert not haspi(references, processed, RATE, LOSSES).requires_grad


def test_mixed_precision_of_the_caller_is_not_that_of_the_metric():
    references, processed = (signals.float() for signals in batch("haspi"))
    wanted = haspi(references, processed, RATE, LOSSES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(haspi(references, processed, RATE, LOSSES), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_silent_items(name):
    references, processed = batch(name)
    processed[1], references[2] = 0.0, 0.0
    processed.requires_grad_()
    with pytest.warns(SilentItemWarning, match="items 1, 2") as caught:
        scores = differentiable(name)(references, processed, RATE, LOSSES, level=LEVELS[name])
    assert len(caught) == 1
    scores.sum().backward()
    assert scores[0] > 0
    assert scores[1:].tolist() == [0.0, 0.0]
    assert torch.all(torch.isfinite(processed.grad))
    assert torch.any(processed.grad[0] != 0)
    assert not torch.any(processed.grad[1:])


def test_nothing_but_silence_still_has_a_gradient():
    processed = torch.zeros(2, 12000, requires_grad=True)
    with pytest.warns(SilentItemWarning):
        haspi(torch.zeros(2, 12000), processed, RATE, [LOSS, LOSS]).sum().backward()
    assert not torch.any(processed.grad)


def test_a_reference_below_threshold_counts_as_silent():
    clean, heard = tensors(*pair("haspi", RATE, 12000))
    with pytest.warns(SilentItemWarning):
        assert float(haspi(1e-4 * clean, heard, RATE, [LOSS])) == 0.0


@pytest.mark.parametrize("metric", [haspi_better_ear, hasqi_better_ear])
def test_better_ear(metric):
    clean, heard = (signal[0] for signal in tensors(*pair("haspi", RATE)))
    name = metric.__name__.removesuffix("_better_ear")
    worse = heard + 0.2 * torch.randn(heard.shape, generator=torch.Generator().manual_seed(1)).double()
    processed = torch.stack([torch.stack([worse, heard], -1), torch.stack([heard, worse], -1)]).requires_grad_()
    reference = torch.stack([clean, clean], -1).expand(2, -1, -1)
    scores = metric(reference, processed, RATE, [[LOSS, LOSS], [LOSS, LOSS]], level=65.0, dither=[1, 2])
    # One stream serves the left ear, then the right ear.
    for item, (ears, seed) in enumerate(((("worse", "heard"), 1), (("heard", "worse"), 2))):
        stream = np.random.RandomState(seed)
        sounds = {"worse": worse.numpy(), "heard": heard.numpy()}
        wanted = max(exact(name, clean.numpy(), sounds[ear], RATE, LOSS, rng=stream) for ear in ears)
        assert float(scores[item].detach()) == pytest.approx(wanted, abs=1e-6)
    scores.sum().backward()
    assert not torch.any(processed.grad[0, :, 0])
    assert torch.any(processed.grad[0, :, 1] != 0)
    assert not torch.any(processed.grad[1, :, 1])


def test_a_given_delay_is_taken():
    clean, heard = tensors(*pair("haspi", RATE))
    late = torch.nn.functional.pad(heard, (240, 0))[:, : heard.shape[1]]
    found, given, wrong = (
        float(haspi(clean, late, RATE, [LOSS], delay=delay)) for delay in (None, torch.tensor([360]), [-9000])
    )
    assert found == given
    assert wrong < found


def test_advance():
    values = torch.arange(5.0)
    assert advance(values, 2).tolist() == [2, 3, 4, 0, 0]
    assert advance(values, -2).tolist() == [0, 0, 0, 1, 2]
    assert advance(values, 5).tolist() == advance(values, -9).tolist() == [0] * 5


@pytest.mark.parametrize("bands_at_once", [None, 4])
def test_memory_grows_with_length_no_faster(bands_at_once):
    """What tensors hold is seen by their saved sizes: rows of 32 bands, or of a few."""

    def saved(samples: int) -> int:
        clean, heard = tensors(*pair("haspi", RATE, samples))
        heard.requires_grad_()
        total = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            haspi(clean, heard, RATE, [LOSS], bands_at_once=bands_at_once)
        return total

    short, long = saved(10000), saved(20000)
    assert long < 2.2 * short
    if bands_at_once:
        assert long < 20 * 20000 * 8  # fewer than 20 rows; all bands have 32 and more
