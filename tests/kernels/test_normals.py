"""Standard normals of RandomState, made in blocks: the same numbers, and the same state afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.kernels.normals import NormalStream, skip_normals

# The polynomial of the logarithm, a division, a root and a multiplication: a few units in the last place.
ROUNDING = 1e-15

# Less than a pair, less and more than the numbers that one renewal of the generator yields, and many.
COUNTS = [0, 1, 2, 3, 240, 247, 250, 1001, 20000]


def stream(seed: int, begun: int) -> np.random.RandomState:
    """A stream that has given so many uniform numbers and, if that is odd, keeps a normal waiting."""
    random = np.random.RandomState(seed)
    random.random_sample(begun)
    if begun % 2:
        random.standard_normal()
    return random


def assert_same_state(one: np.random.RandomState, two: np.random.RandomState) -> None:
    first, second = one.get_state(), two.get_state()
    np.testing.assert_array_equal(first[1], second[1])
    assert first[2:] == second[2:]


def draw_normals(random: np.random.RandomState, normals: np.ndarray) -> None:
    numbers = NormalStream(random)
    numbers.fill(normals)
    numbers.put_back(random)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("begun", [0, 1, 2, 155, 156, 311, 312, 313])
def test_drawing_and_skipping(count, begun):
    expected, drawn, skipped = (stream(3, begun) for _ in range(3))
    normals = np.full(count, np.nan)
    draw_normals(drawn, normals)
    skip_normals(skipped, count)
    np.testing.assert_allclose(normals, expected.standard_normal(count), rtol=ROUNDING)
    assert_same_state(drawn, expected)
    assert_same_state(skipped, expected)
    # A waiting normal is the very one.
    assert drawn.standard_normal() == skipped.standard_normal() == expected.standard_normal()


def test_words_that_do_not_fill_a_point_are_not_lost():
    # 32-bit numbers leave the generator between the words of a point.
    for words in range(1, 9):
        expected, drawn, skipped = (np.random.RandomState(7) for _ in range(3))
        for random in (expected, drawn, skipped):
            random.randint(0, 2**31, size=words)
        normals = np.empty(3001)
        draw_normals(drawn, normals)
        skip_normals(skipped, 3001)
        np.testing.assert_allclose(normals, expected.standard_normal(3001), rtol=ROUNDING)
        assert_same_state(drawn, expected)
        assert_same_state(skipped, expected)


def test_a_stream_goes_on_and_leaves_the_random_state_until_it_is_put_back():
    random, expected = np.random.RandomState(5), np.random.RandomState(5)
    before = random.get_state()
    numbers = NormalStream(random)
    first, second = np.empty(701), np.empty(5)
    numbers.fill(first)
    numbers.skip(100)
    numbers.fill(second)
    np.testing.assert_array_equal(random.get_state()[1], before[1])
    normals = expected.standard_normal(806)
    np.testing.assert_allclose(np.concatenate([first, second]), np.delete(normals, np.s_[701:801]), rtol=ROUNDING)
    numbers.put_back(random)
    assert_same_state(random, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, ROUNDING), (np.float32, 1e-6)])
def test_normals_are_added_times_a_factor(dtype, tolerance):
    added = np.full(777, 3.0, dtype=dtype)
    numbers = NormalStream(stream(5, 1))
    numbers.add(added[:400], 0.5)
    numbers.add(added[400:], 0.5)
    np.testing.assert_allclose(added, 3 + 0.5 * stream(5, 1).standard_normal(777), rtol=tolerance, atol=tolerance)


def test_two_streams_of_one_random_state_do_not_disturb_each_other():
    random = np.random.RandomState(5)
    one, two = NormalStream(random), NormalStream(random)
    first, second = np.empty(1000), np.empty(1000)
    one.fill(first)
    two.fill(second)
    np.testing.assert_array_equal(first, second)
