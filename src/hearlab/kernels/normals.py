"""Standard normals of numpy's RandomState, the same ones in the same order, faster.

RandomState draws pairs by the polar method (Marsaglia and Bray 1964) from a Mersenne Twister (Matsumoto and Nishimura
1998). Here the twister, the trial of points and the logarithm run on whole blocks. Whether a point is taken is decided
by the same arithmetic, so a stream is left in the very state; the normals differ by a few units in the last place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import log2
from hearlab.kernels.simd import broadcast, broadcast_pairs, in_unit_interval, load, reduce_add, sqrt, store, swap_pairs

# Words of the twister's state, all of them renewed at once.
WORDS = 624
DISTANCE = 397

# A point takes two numbers, of two words each.
POINTS = WORDS // 4


class NormalStream:
    """The standard normals that a RandomState would give from where it stands.

    The RandomState itself stays there until the stream is put back.

    Args:
        random: with a Mersenne Twister, which is the default of RandomState.
    """

    def __init__(self, random: np.random.RandomState) -> None:
        state: Any = random.get_state(legacy=False)
        self._key, self._position = state["state"]["key"], int(state["state"]["pos"])
        # Normals are made in pairs, of which the second one waits.
        self._waiting = bool(state["has_gauss"])
        self._second = float(state["gauss"])

    def put_back(self, random: np.random.RandomState) -> None:
        """Bring a RandomState to where this stream stands."""
        random.set_state(("MT19937", self._key, self._position, int(self._waiting), self._second))

    def fill(self, normals: Array) -> None:
        """Fill an array, shape (n,), with the next normals."""
        normals[:] = 0.0
        self.add(normals, 1.0)

    def add(self, target: NDArray[np.floating], factor: float) -> None:
        """Add the next normals, times a factor, to an array, shape (n,)."""
        start = 0
        if target.size and self._waiting:
            target[0] += factor * self._second
            self._waiting, self._second = False, 0.0
            start = 1
        whole = (target.size - start) // 2
        self._position = _add_pairs(self._key, self._position, target[start : start + 2 * whole], factor)
        if start + 2 * whole < target.size:
            target[-1] += factor * self._half_a_pair()

    def skip(self, count: int) -> None:
        """Pass over `count` normals without computing them.

        Where a stream arrives is remembered: all signals of a scene pass over the same numbers.
        """
        start = self._key.tobytes(), self._position, self._waiting, self._second
        key, self._position, self._waiting, self._second = _arrival(*start, count)
        self._key = np.frombuffer(key, dtype=np.uint32).copy()

    def _half_a_pair(self) -> float:
        pair = np.zeros(2)
        self._position = _add_pairs(self._key, self._position, pair, 1.0)
        self._waiting, self._second = True, float(pair[1])
        return float(pair[0])


@lru_cache(maxsize=64)
def _arrival(key: bytes, position: int, waiting: bool, second: float, count: int) -> tuple[bytes, int, bool, float]:
    """The state of a stream `count` normals later: the twister's key and position, and the waiting normal."""
    words = np.frombuffer(key, dtype=np.uint32).copy()
    if count and waiting:
        waiting, second, count = False, 0.0, count - 1
    position = _skip_pairs(words, position, count // 2)
    if count % 2:
        pair = np.zeros(2)
        position = _add_pairs(words, position, pair, 1.0)
        waiting, second = True, float(pair[1])
    return words.tobytes(), position, waiting, second


def skip_normals(random: np.random.RandomState, count: int) -> None:
    """Advance a RandomState by `count` standard normals without computing them."""
    stream = NormalStream(random)
    stream.skip(count)
    stream.put_back(random)


@compiled
def _renew(key: NDArray[np.uint32]) -> None:
    """The next state of the twister."""
    upper, lower, one = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(1)
    matrix = np.uint32(0x9908B0DF)
    for k in range(WORDS - DISTANCE):
        mixed = (key[k] & upper) | (key[k + 1] & lower)
        key[k] = key[k + DISTANCE] ^ (mixed >> one) ^ ((mixed & one) * matrix)
    for j in range(DISTANCE - 1):
        k = j + WORDS - DISTANCE
        mixed = (key[k] & upper) | (key[k + 1] & lower)
        key[k] = key[j] ^ (mixed >> one) ^ ((mixed & one) * matrix)
    mixed = (key[WORDS - 1] & upper) | (key[0] & lower)
    key[WORDS - 1] = key[DISTANCE - 1] ^ (mixed >> one) ^ ((mixed & one) * matrix)


@compiled
def _temper(key: NDArray[np.uint32], words: NDArray[np.uint32]) -> None:
    """Random words of (the rest of) a state."""
    for k in range(key.size):
        y = key[k]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        y ^= y >> np.uint32(18)
        words[k] = y


@compiled
def _try_points(words: NDArray[np.uint32], numbers: Array, square: Array) -> None:
    """Points in the square from -1 to 1 (x, y, x, y ...), and the squares of their distances from its centre."""
    for k in range(numbers.size):
        high, low = np.int32(words[2 * k] >> np.uint32(5)), np.int32(words[2 * k + 1] >> np.uint32(6))
        numbers[k] = 2.0 * ((high * 67108864.0 + low) / 9007199254740992.0) - 1.0
    for k in range(square.size):
        square[k] = numbers[2 * k] * numbers[2 * k] + numbers[2 * k + 1] * numbers[2 * k + 1]


@compiled
def _count_taken(square: Array, points: int) -> int:
    """How many of the points are taken: those inside the circle, but for its centre."""
    square[points : points + 3] = 2.0
    taken = broadcast(0.0)
    for k in range(0, points, 4):
        taken = taken + in_unit_interval(load(square, k))
    return int(reduce_add(taken))


@compiled
def _points_until(square: Array, wanted: int) -> int:
    """How many points it takes to get so many pairs."""
    k = 0
    while wanted > 0:
        if 0.0 < square[k] < 1.0:
            wanted -= 1
        k += 1
    return k


@compiled
def _keep_rest(words: NDArray[np.uint32], points: int, available: int) -> int:
    """Move the words that did not make a point to the front; their number."""
    left = available - 4 * points
    for k in range(left):
        words[k] = words[4 * points + k]
    return left


@compiled
def _skip_pairs(key: NDArray[np.uint32], position: int, wanted: int) -> int:
    """Pass over so many pairs; the state's new position."""
    words = np.empty(WORDS + 4, dtype=np.uint32)
    numbers, square = np.empty(2 * POINTS + 2), np.empty(POINTS + 4)
    left = 0
    while wanted > 0:
        if position == WORDS:
            _renew(key)
            position = 0
        _temper(key[position:], words[left:])
        available = left + WORDS - position
        points = available // 4
        _try_points(words, numbers[: 2 * points], square[:points])
        taken = _count_taken(square, points)
        if taken >= wanted:
            return position + 4 * _points_until(square, wanted) - left
        wanted -= taken
        left = _keep_rest(words, points, available)
        position = WORDS
    return position


@compiled
def _add_pairs(key: NDArray[np.uint32], position: int, target: NDArray[np.floating], factor: float) -> int:
    """Add pairs of normals, times a factor; the state's new position."""
    words = np.empty(WORDS + 4, dtype=np.uint32)
    numbers, square = np.empty(2 * POINTS + 8), np.empty(POINTS + 4)
    left = 0
    done, wanted = 0, target.size // 2
    while done < wanted:
        if position == WORDS:
            _renew(key)
            position = 0
        _temper(key[position:], words[left:])
        available = left + WORDS - position
        points = available // 4
        _try_points(words, numbers[: 2 * points], square[:points])
        enough = _count_taken(square, points) >= wanted - done
        if enough:
            points = _points_until(square, wanted - done)
        taken = 0
        for k in range(points):
            distance = square[k]
            square[taken] = distance
            numbers[2 * taken], numbers[2 * taken + 1] = numbers[2 * k], numbers[2 * k + 1]
            taken += int(distance < 1.0) & int(distance > 0.0)
        _scale(numbers, square, taken)
        part = target[2 * done : 2 * (done + taken)]
        for k in range(part.size):
            part[k] += factor * numbers[k]
        done += taken
        if enough:
            return position + 4 * points - left
        left = _keep_rest(words, points, available)
        position = WORDS
    return position


@compiled
def _scale(numbers: Array, square: Array, taken: int) -> None:
    """Points of the circle to normals, in place, of each point the second number first."""
    if taken == 1:  # as the waiting normal of a pair is kept in the state, it is computed as numpy does it
        factor = np.sqrt(-2.0 * np.log(square[0]) / square[0])
        numbers[0], numbers[1] = factor * numbers[1], factor * numbers[0]
        return
    minus_two_log = broadcast(-2 * np.log(2.0))
    square[taken : taken + 3] = 0.5
    for k in range(0, taken, 4):
        distances = load(square, k)
        store(square, k, sqrt(minus_two_log * log2(distances) / distances))
    for k in range(0, taken, 2):
        store(numbers, 2 * k, swap_pairs(load(numbers, 2 * k)) * broadcast_pairs(square[k], square[k + 1]))
