"""Philox against its published known answers; the exponential against arithmetic of 50 digits."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from numba import njit
from scipy import stats

from emulator.randomness import TOPOLOGY, exponential, philox, random_uniform, random_words


@njit
def words_at(a, b, c, d, e, f):
    return philox(a, b, c, d, e, f)


@njit
def exponentials(bits):
    result = np.empty(len(bits))
    for index in range(len(bits)):
        result[index] = exponential(bits[index])
    return result


ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES,) * 4, (ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, answer):
    assert " ".join(f"{int(word):08x}" for word in words_at(*counter, *key)) == answer


def test_the_exponential_is_within_two_units_in_the_last_place():
    getcontext().prec = 50
    edges = [
        0,
        1,
        2,
        2**47,
        2**47 - 1,
        2**48 - 1,
        2**48 - 2,
        round(2**48 * 0.5**0.5),
        round(2**47 * 0.5**0.5),
    ]
    bits = np.array([*edges, *np.random.default_rng(1).integers(0, 2**48, 2000)], dtype=np.uint64)
    for bit, value in zip(bits.tolist(), exponentials(bits).tolist(), strict=True):
        exact = -((Decimal(bit) + Decimal("0.5")) / Decimal(2**48)).ln()
        assert abs(Decimal(value) - exact) <= 2 * Decimal(np.spacing(value)), bit


def test_the_exponential_is_positive_and_falls_with_its_bits():
    bits = np.sort(np.random.default_rng(2).integers(0, 2**48, 10_000).astype(np.uint64))
    values = exponentials(bits)
    assert (values > 0).all()
    assert (np.diff(values) <= 0).all()


def test_vector_and_scalar_code_give_the_same_bits():
    bits = np.random.default_rng(3).integers(0, 2**48, 1001).astype(np.uint64)
    together = exponentials(bits)
    alone = [exponentials(bits[index : index + 1])[0] for index in range(len(bits))]
    assert together.tolist() == alone


def test_words_are_addressed_not_consumed():
    long = random_words(7, TOPOLOGY, 1000)
    assert random_words(7, TOPOLOGY, 10).tolist() == long[:10].tolist()
    assert random_words(8, TOPOLOGY, 10).tolist() != long[:10].tolist()
    assert random_words(7, TOPOLOGY - 1, 10).tolist() != long[:10].tolist()


def test_uniform_numbers_are_uniform_in_every_word_of_the_address():
    """Kolmogorov-Smirnov at level 1e-4 for each of six sequences of addresses."""
    for place in range(6):
        addresses = np.zeros((2000, 6), dtype=np.uint64)
        addresses[:, place] = np.arange(2000)
        numbers = [random_uniform(*address) for address in addresses]
        assert min(numbers) >= 0.0
        assert max(numbers) < 1.0
        assert stats.kstest(numbers, "uniform").pvalue > 1e-4
