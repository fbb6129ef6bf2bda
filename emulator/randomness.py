"""All randomness of the project: addressed, counter-based draws.

Nothing is consumed from a stream. Each number is a function of its address: the key (seed, replication) and a counter
(scheduler, epoch, number, stream). So any engine, thread or process that asks for the same address gets the same bits.

The generator is Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy
as 1, 2, 3; SC11). The logarithm is that of `emulator.elementary`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray

from emulator.elementary import logarithm
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
def uniform(bits):  # type: ignore[no-untyped-def]
    """Return (bits + 1/2) / 2**48, a number in (0, 1) of 48 random bits."""
    return (np.float64(np.int64(bits)) + 0.5) * 2.0**-48


@compiled(inline="always")
def exponential(bits):  # type: ignore[no-untyped-def]
    """Return an exponential number of mean 1 from 48 random bits: -ln u, with u = (bits + 1/2) / 2**48."""
    return -logarithm(uniform(bits))


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


@compiled(inline="always")
def number_at(more):  # type: ignore[no-untyped-def]
    """Return which one in its row what is drawn at an `Address` is: of a scheduler's jobs, of a sender's samples."""
    purpose = more.asker & uint64(SECOND - 1)
    if purpose == uint64(PHASE):
        return more.a
    is_sample = purpose == uint64(SAMPLE) or purpose == uint64(MESSAGE) or purpose == uint64(DISPATCH)
    return more.b if is_sample else more.c


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
