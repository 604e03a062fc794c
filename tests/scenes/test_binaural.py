"""The segment-wise renderer against the direct definition, channel by channel and sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.scenes.ambisonics import channel_count, rotate, rotation_terms
from hearlab.scenes.binaural import Source, render_groups
from hearlab.scenes.head_rotation import HeadRotation

ORDER = 2
CHANNELS = channel_count(ORDER)
# Both ways are exact but for the rounding of transforms.
ROUNDING = 1e-11


def direct(group: list[Source], decoders: list[np.ndarray], rotation: HeadRotation) -> list[np.ndarray]:
    """Ambisonic signals of the whole scene, each sample rotated, each channel convolved with its filter."""
    duration = rotation.theta.size
    signals = np.zeros((duration, CHANNELS))
    for source in group:
        for channel in range(CHANNELS):
            full = np.convolve(source.signal, source.response[:, channel])[: max(duration - source.delay, 0)]
            signals[source.delay : source.delay + full.size, channel] += full
    turned = signals.T.copy()
    rotate(turned, *rotation_terms(rotation.theta, ORDER), ORDER)
    return [
        np.stack([sum(np.convolve(turned[c], decoder[:, c, ear]) for c in range(CHANNELS)) for ear in (0, 1)], axis=1)
        for decoder in decoders
    ]


def make_rotation(duration: int, start: int, end: int) -> HeadRotation:
    theta = np.interp(np.arange(duration), [start, end - 1], [0.3, 1.1])
    return HeadRotation(theta, start, end)


@pytest.mark.parametrize(
    ("start", "end"), [(300, 420), (0, 90), (880, 1000), (5, 12), (995, 1000), (0, 1000), (400, 985)]
)
def test_segments_equal_the_direct_definition(start: int, end: int) -> None:
    rng = np.random.RandomState(start + end)
    group = [
        Source(rng.standard_normal(700), rng.standard_normal((150, CHANNELS)), 120),
        Source(rng.standard_normal(1000), rng.standard_normal((90, CHANNELS)), 0),
        Source(rng.standard_normal(400), rng.standard_normal((1, CHANNELS)), 777),
    ]
    decoders = [rng.standard_normal((17, CHANNELS, 2)) for _ in range(2)]
    rotation = make_rotation(1000, start, end)
    alone, together = render_groups([group[:1], group], decoders, rotation, ORDER)
    expected = direct(group[:1], decoders, rotation) + direct(group, decoders, rotation)
    for found, wanted in zip(alone + together, expected, strict=True):
        assert found.shape == (1016, 2)
        np.testing.assert_allclose(found, wanted, atol=ROUNDING * np.max(np.abs(wanted)))


def test_a_head_that_never_turns() -> None:
    rng = np.random.RandomState(1)
    group = [Source(rng.standard_normal(300), rng.standard_normal((40, CHANNELS)), 10)]
    decoders = [rng.standard_normal((9, CHANNELS, 2))]
    rotation = HeadRotation(np.full(400, 0.7), 0, 0)
    (((found,),)) = render_groups([group], decoders, rotation, ORDER)
    wanted = direct(group, decoders, rotation)[0]
    np.testing.assert_allclose(found, wanted, atol=ROUNDING * np.max(np.abs(wanted)))


def test_rendering_is_linear_in_its_sources() -> None:
    rng = np.random.RandomState(2)
    one, two = (Source(rng.standard_normal(500), rng.standard_normal((60, CHANNELS)), d) for d in (0, 33))
    decoders = [rng.standard_normal((9, CHANNELS, 2))]
    rotation = make_rotation(600, 200, 260)
    (a,), (b,), (both,) = render_groups([[one], [two], [one, two]], decoders, rotation, ORDER)
    np.testing.assert_allclose(a + b, both, atol=1e-9)


def test_longer_scenes_than_one_block_and_long_filters() -> None:
    rng = np.random.RandomState(4)
    # Responses of three blocks, a turn of several hops, filters longer than the shortest hop.
    group = [Source(rng.standard_normal(3000), rng.standard_normal((2500, CHANNELS)), delay) for delay in (0, 150)]
    decoders = [rng.standard_normal((taps, CHANNELS, 2)) for taps in (30, 700)]
    rotation = make_rotation(6000, 2000, 4000)
    (found,) = render_groups([group], decoders, rotation, ORDER)
    for got, wanted in zip(found, direct(group, decoders, rotation), strict=True):
        np.testing.assert_allclose(got, wanted, atol=ROUNDING * np.max(np.abs(wanted)))


def test_a_group_at_some_of_the_pairs() -> None:
    rng = np.random.RandomState(5)
    groups = [[Source(rng.standard_normal(300), rng.standard_normal((taps, CHANNELS)), 10)] for taps in (40, 1)]
    decoders = [rng.standard_normal((9, CHANNELS, 2)) for _ in range(3)]
    rotation = make_rotation(500, 100, 200)
    everywhere = render_groups(groups, decoders, rotation, ORDER)
    chosen = render_groups(groups, decoders, rotation, ORDER, [[2, 0], [1]])
    assert [len(pairs) for pairs in chosen] == [2, 1]
    for group, pair, found in ((0, 2, chosen[0][0]), (0, 0, chosen[0][1]), (1, 1, chosen[1][0])):
        np.testing.assert_allclose(found, everywhere[group][pair], atol=1e-12)
