"""Counted random numbers: Philox, what is drawn from it, and how parameters start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.reference.common import known


class Purpose(IntEnum):
    """What a stream of random numbers is for: streams of different purposes never share a counter."""

    INITIAL_WEIGHTS = 1
    SHUFFLE = 2
    DROPOUT = 3
    NOISE = 4
    AUGMENTATION = 5


def philox_words(counter: Sequence[Any], key: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Return Philox4x32-10's four words of 32 bits for each counter of four words, and a key of two; (..., 4).

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    x0, x1, x2, x3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    key0, key1 = key
    half, low = np.uint64(32), np.uint64(2**32 - 1)
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1 = (product1 >> half) ^ x1 ^ np.uint64(key0), product1 & low
        x2, x3 = (product0 >> half) ^ x3 ^ np.uint64(key1), product0 & low
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return np.stack([x0, x1, x2, x3], axis=-1)


def philox(seed: int, purpose: int, layer: int, step: int, block: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return four 32-bit words of the counted random numbers, for each number in `block`; (..., 4).

    (x0, x1, x2, x3) = philox(key = seed, counter = (block, step low, step high, purpose * 2^24 + layer))
    """
    return philox_words((block, step % 2**32, step >> 32, purpose << 24 | layer), (seed % 2**32, seed >> 32))


def philox_pair(seed: int, purpose: int, layer: int, step: int, block: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return two 64-bit words of a block, the first word of each pair in the low half; (..., 2)."""
    words = philox(seed, purpose, layer, step, block)
    pairs: npt.NDArray[np.uint64] = words[..., 0::2] | words[..., 1::2] << np.uint64(32)
    return pairs


def unit_interval(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return 53 bits of a 64-bit word as a double in [0, 1)."""
    unit: npt.NDArray[np.float64] = np.multiply(word >> np.uint64(11), 2.0**-53)
    return unit


Words = npt.NDArray[np.uint64]
SHUFFLE_ROUNDS = 16


def shuffled_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int32]:
    """Return the order of rows 0..n-1 in an epoch, each place on its own.

    With a = ceil(sqrt(n)) and the least even b for which a b >= n, place i is the pair (l, r), i = l b + r. Sixteen
    rounds take turns, each with a random key, and all again while the pair is none of the n::

        l <- (l + f(r)) mod a,  r <- (r + f(l)) mod b,      f(x) = floor(limit h(x xor key) / 2^32), limit = a or b
        h(x) = high xor low half of 0xD2511F53 x

    Source: J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """
    keys = philox(seed, Purpose.SHUFFLE, 0, epoch, np.arange(SHUFFLE_ROUNDS // 4)).reshape(-1)
    a = math.isqrt(n - 1) + 1 if n else 1
    b = 2 * math.ceil(n / (2 * a))
    half, low = np.uint64(32), np.uint64(2**32 - 1)

    def turned(x: Words, limit: int, other: Words, key: np.uint64) -> Words:
        product = np.uint64(0xD2511F53) * (other ^ key)
        f = (product >> half ^ product & low) * np.uint64(limit) >> half
        result: Words = (x + f) % np.uint64(limit)
        return result

    rows = np.arange(n, dtype=np.uint64)
    here = np.full(n, True)  # places that have rounds to go
    while here.any():
        left, right = np.divmod(rows[here], np.uint64(b))
        for even, odd in keys.reshape(-1, 2):
            left = turned(left, a, right, even)
            right = turned(right, b, left, odd)
        rows[here] = left * np.uint64(b) + right
        here = rows >= n
    return rows.astype(np.int32)


def normal_numbers(n: int, seed: int, layer: int, step: int) -> npt.NDArray[np.float64]:
    """Return n normal numbers of mean 0 and deviation 1; block b makes elements 4b to 4b + 3."""
    return normals_of_words(philox(seed, Purpose.NOISE, layer, step, np.arange((n + 3) // 4)).reshape(-1))[:n]


def normals_of_words(words: Words) -> npt.NDArray[np.float64]:
    """Return a normal number for each of an even number of words, by the method of G. Box and M. Muller (1958).

    Words 0 and 1 make elements 0 and 1, words 2 and 3 the next two, and so on:
    u0 = (w0 + 1/2) / 2^32, u1 = w1 / 2^32;  sqrt(-2 log u0) times cos(2 pi u1) and sin(2 pi u1)
    """
    w = words.reshape(-1, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((w[:, 0] + 0.5) * 2.0**-32)), 2 * np.pi * (w[:, 1] * 2.0**-32)
    pairs: npt.NDArray[np.float64] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)


INITIALIZERS: dict[str, Callable[[float, int, int], float]] = {
    # The value of a constant, the bound of a uniform or the standard deviation of a normal distribution.
    "constant": lambda a, fan_in, fan_out: a,
    "uniform": lambda a, fan_in, fan_out: a,
    "normal": lambda a, fan_in, fan_out: a,
    "fan_in_uniform": lambda gain, fan_in, fan_out: math.sqrt(3 * (gain / fan_in)),  # He: gain 2
    "fan_in_normal": lambda gain, fan_in, fan_out: math.sqrt(gain / fan_in),
    "fan_avg_uniform": lambda gain, fan_in, fan_out: math.sqrt(3 * (gain / ((fan_in + fan_out) / 2))),  # Glorot: 1
    "fan_avg_normal": lambda gain, fan_in, fan_out: math.sqrt(gain / ((fan_in + fan_out) / 2)),
}


def initial_values(
    shape: tuple[int, ...], kind: str, a: float, fan_in: int, fan_out: int, *, seed: int, layer: int, parameter: int
) -> npt.NDArray[np.float64]:
    """Return how parameter number `parameter` (0 weight, 1 bias) of a layer starts, in float64.

    Words u0, u1 of block b make elements 2b and 2b+1. Uniform: bound * (2 u - 1). Normal (Box and Muller):
    deviation * sqrt(-2 log(1 - u0)) times cos(2 pi u1) and sin(2 pi u1).
    """
    size, n = known("kind", kind, INITIALIZERS)(a, fan_in, fan_out), math.prod(shape)
    unit = unit_interval(philox_pair(seed, Purpose.INITIAL_WEIGHTS, layer, parameter, np.arange((n + 1) // 2)))
    if kind.endswith("normal"):
        radius, angle = np.sqrt(-2 * np.log(1 - unit[:, 0])), 2 * np.pi * unit[:, 1]
        values = size * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    else:
        values = np.full_like(unit, size) if kind == "constant" else size * (2 * unit - 1)
    return values.reshape(-1)[:n].reshape(shape)
