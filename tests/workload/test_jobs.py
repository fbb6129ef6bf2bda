"""One draw of a job for all engines, whoever has written the law."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from emulator.errors import InputError
from emulator.model.arrivals.switched import PoissonStream
from emulator.model.laws import LAWS, Exponential
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
