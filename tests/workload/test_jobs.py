"""One draw of a job for all engines, whoever has written the law."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit

from emulator.errors import InputError
from emulator.model.arrivals.switched import PoissonStream
from emulator.model.laws import LAWS, Exponential
from emulator.randomness import JOB, MORE, SECOND, address, exponential, more_bits, philox
from emulator.verification.conformance import check_law
from emulator.workload.jobs import told_apart, try_out, works_of

BITS = np.arange(3, dtype=np.uint64)


def law_of(work):
    """Return a law whose numbers have the same names whatever it draws, as a user's have before and after an edit."""

    class Numbers(NamedTuple):
        size: float

        @staticmethod
        def compiled_draw():
            return lambda numbers, bits: numbers.size * work

    class Mine(Exponential):
        def numbers(self) -> Any:
            return Numbers(0.5)

    return Mine()


def test_laws_of_equal_names_are_told_apart():
    assert [works_of(BITS, law_of(work)).tolist() for work in (2.0, 4.0)] == [[1.0] * 3, [2.0] * 3]


def test_numbers_of_this_software_stay_as_they_are_and_have_names_of_their_own():
    laws = [law.sample(np.random.default_rng(1)).numbers() for law in LAWS.values()]
    numbers = [*laws, PoissonStream(1.0)]
    assert all(told_apart(each) is each for each in numbers)
    assert len({type(each).__name__ for each in numbers}) == len(numbers)


@pytest.mark.parametrize("work", [-1.0, float("inf"), float("nan")])
def test_works_that_no_server_can_do_are_refused(work):
    with pytest.raises(InputError, match="must draw finite works >= 0, got"):
        try_out(law_of(work))


class SumNumbers(NamedTuple):
    """Of a law that adds up three exponential numbers."""

    @staticmethod
    def compiled_draw():
        def draw(numbers, bits, more):
            second, third, _ = more_bits(more, 0)
            return (exponential(bits) + exponential(second) + exponential(third)) / 3.0

        return draw


class Sum(Exponential):
    """A user's law that needs further bits."""

    def numbers(self):
        return SumNumbers()

    def variance(self):
        return 1.0 / 3.0

    def cdf(self, work):
        x = 3.0 * work
        return 1.0 - np.exp(-x) * (1.0 + x + x**2 / 2.0)


def test_a_law_gets_as_many_further_bits_as_it_needs():
    check_law(Sum())


def test_further_bits_are_of_blocks_that_nothing_else_has():
    @njit
    def drawn(a, b, c, asker, block):
        return more_bits(address(a, b, c, asker, 5, 6), block)

    @njit
    def words(a, b, c, stream):
        return philox(a, b, c, stream, 5, 6)

    first, second, third, fourth = (int(word) for word in words(1, 2, 3, MORE + 256 * (JOB + SECOND) + 65536 * 4))
    expected = (first << 16) | (second >> 16), ((second & 0xFFFF) << 32) | third, fourth
    assert tuple(map(int, drawn(1, 2, 3, JOB + SECOND, 4))) == expected
    places = [(1, 2, 3, JOB, 0), (1, 2, 3, JOB + SECOND, 0), (1, 2, 3, JOB, 1), (1, 2, 4, JOB, 0), (1, 3, 2, JOB, 0)]
    assert len({tuple(map(int, drawn(*place))) for place in places}) == len(places)
