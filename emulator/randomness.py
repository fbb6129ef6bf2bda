"""All randomness of the project: addressed, counter-based draws.

Nothing is consumed from a stream. Each number is a function of its address: the key (seed, replication) and a counter
(scheduler, epoch, number, stream). So any engine, thread or process that asks for the same address gets the same bits.

The generator is Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy
as 1, 2, 3; SC11). Everything is compiled without fast-math, and the logarithm is written out here, because libraries
differ in its last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled

# The last word of the counter: what a number is drawn for.
JOB, DECISION, ORDER, RATE, SERVICE, TOPOLOGY, PHASE, SAMPLE, MESSAGE, LINK, DISPATCH, MORE = range(12)
MARK, FAILURE, RETRY = range(24, 27)

SECOND = 128
"""Added to a purpose below it: the second number of a block is meant, not the first."""

MORE_LIMIT = 2**16
"""Blocks of further numbers at an address."""

SEED_LIMIT = 2**32
"""Seeds and replications are below this."""

_LN2_HIGH = 6.93147180369123816490e-01  # ln 2, rounded so that an exponent times it is exact
_LN2_LOW = 1.90821492927058770002e-10  # what is missing


@compiled(inline="always")
def philox(scheduler, epoch, number, stream, seed, replication):  # type: ignore[no-untyped-def]
    """Return the four 32-bit words, as uint64, at an address of six 32-bit words."""
    mask = uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = uint64(scheduler), uint64(epoch), uint64(number), uint64(stream)
    k0, k1 = uint64(seed), uint64(replication)
    for _ in range(10):
        # The upper halves of c1 and c3 are never cleared: the products ignore them, and so does the result.
        product0 = uint64(0xD2511F53) * (c0 & mask)
        product1 = uint64(0xCD9E8D57) * (c2 & mask)
        c0 = (product1 >> uint64(32)) ^ c1 ^ k0
        c1 = product1
        c2 = (product0 >> uint64(32)) ^ c3 ^ k1
        c3 = product0
        k0 = (k0 + uint64(0x9E3779B9)) & mask
        k1 = (k1 + uint64(0xBB67AE85)) & mask
    return c0 & mask, c1 & mask, c2 & mask, c3 & mask


@compiled(inline="always")
def exponential(bits):  # type: ignore[no-untyped-def]
    """Return an exponential number of mean 1 from 48 random bits: -ln((bits + 1/2) / 2**48).

    With the argument written as 2**e * m, m in [sqrt(1/2), sqrt(2)), and s = (m - 1) / (m + 1), the logarithm is
    e ln 2 + 2 (s + s**3/3 + s**5/5 + ...); ten terms leave an error below that of rounding.
    """
    u = (np.float64(np.int64(bits)) + 0.5) * 2.0**-48
    pattern = np.float64(u).view(np.int64)
    shifted = pattern - np.int64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
    exponent = shifted >> np.int64(52)
    mantissa = np.int64(pattern - (exponent << np.int64(52))).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = 1.0 / 21.0
    series = series * z + 1.0 / 19.0
    series = series * z + 1.0 / 17.0
    series = series * z + 1.0 / 15.0
    series = series * z + 1.0 / 13.0
    series = series * z + 1.0 / 11.0
    series = series * z + 1.0 / 9.0
    series = series * z + 1.0 / 7.0
    series = series * z + 1.0 / 5.0
    series = series * z + 1.0 / 3.0
    logarithm = 2.0 * s + (2.0 * s * z * series + exponent * _LN2_LOW) + exponent * _LN2_HIGH
    return -logarithm


class Address(NamedTuple):
    """Where a number is drawn, so that a law which needs more than its 48 bits gets further ones that no other has.

    All are words as uint64. `asker` is the purpose of the block in which the 48 bits are, plus SECOND where they are
    the second ones in it.
    """

    a: np.uint64
    b: np.uint64
    c: np.uint64
    asker: np.uint64
    seed: np.uint64
    replication: np.uint64


@compiled(inline="always")
def address(a, b, c, asker, seed, replication):  # type: ignore[no-untyped-def]
    """Return an `Address`, of one type whatever integers it is made of."""
    return Address(uint64(a), uint64(b), uint64(c), uint64(asker), uint64(seed), uint64(replication))


@compiled(inline="always")
def more_bits(more, block):  # type: ignore[no-untyped-def]
    """Return the 48, 48 and 32 further bits of a block, numbered from 0 to below MORE_LIMIT, at an `Address`.

    The counter's last word is MORE + 2**8 times the asker + 2**16 times the block.
    """
    stream = uint64(MORE) | (more.asker << uint64(8)) | (uint64(block) << uint64(16))
    a, b, c, d = philox(more.a, more.b, more.c, stream, more.seed, more.replication)
    return (a << uint64(16)) | (b >> uint64(16)), ((b & uint64(0xFFFF)) << uint64(32)) | c, d


@compiled()
def _words(seed, stream, count):  # type: ignore[no-untyped-def]
    words = np.empty(count, dtype=np.uint64)
    for index in range(count):
        high, low, _, _ = philox(index & 0xFFFFFFFF, index >> 32, 0, stream, seed, 0)
        words[index] = (high << uint64(32)) | low
    return words


def random_words(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """Return `count` random 64-bit words that belong to a scenario as a whole, not to a replication."""
    return _words(uint32(seed), stream, count)


@compiled(inline="always")
def random_uniform(scheduler, epoch, number, stream, seed, replication):  # type: ignore[no-untyped-def]
    """Return the number in [0, 1), of 53 bits, at an address."""
    high, low, _, _ = philox(scheduler, epoch, number, stream, seed, replication)
    return np.float64(((high << uint64(32)) | low) >> uint64(11)) * 2.0**-53


@compiled()
def _uniforms(epochs, stream, seed, replication):  # type: ignore[no-untyped-def]
    numbers = np.empty(epochs)
    for epoch in range(epochs):
        numbers[epoch] = random_uniform(0, epoch, 0, stream, seed, replication)
    return numbers


def random_uniforms(epochs: int, stream: int, seed: int, replication: int) -> NDArray[np.float64]:
    """Return a number in [0, 1), of 53 bits, for each of the first epochs of a replication."""
    return _uniforms(epochs, stream, np.uint64(seed), np.uint64(replication))
