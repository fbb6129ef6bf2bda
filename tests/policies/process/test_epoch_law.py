"""The law of one epoch against the matrix exponential."""

import numpy as np
import pytest
from scipy import linalg, stats

from emulator.errors import InputError
from emulator.model.arrivals import Switched
from emulator.model.system import System
from emulator.model.topologies import cycle
from policies.process.epoch_law import EpochLaw, evolve

BUFFER = 5


def exact(start, arrival_rate, service_rate, duration, buffer):
    """The law and the expected drops by matrix exponential, drops being counted in a state of their own."""
    generator = np.zeros((buffer + 2, buffer + 2))
    for length in range(buffer + 1):
        generator[length, length + 1] = arrival_rate
        if length < buffer:
            generator[length, length] -= arrival_rate
        if length > 0:
            generator[length, length - 1] = service_rate
            generator[length, length] -= service_rate
    result = np.append(start, 0.0) @ linalg.expm(generator * duration)
    return result[:-1], result[-1]


@pytest.mark.parametrize("buffer", [1, 2, 5, 20])
@pytest.mark.parametrize(
    ("arrival_rate", "service_rate", "duration"),
    [(0.9, 1.0, 5.0), (0.0, 1.0, 5.0), (4.5, 2.0, 0.01), (1.0, 1.0, 40.0), (60.0, 1.0, 25.0)],
)
def test_the_law_of_an_epoch_is_the_matrix_exponential(buffer, arrival_rate, service_rate, duration):
    start = np.arange(1.0, buffer + 2) / np.arange(1.0, buffer + 2).sum()
    law, expected_drops = evolve(start, arrival_rate, service_rate, duration)
    exact_law, exact_drops = exact(start, arrival_rate, service_rate, duration, buffer)
    np.testing.assert_allclose(law, exact_law, atol=1e-8)
    assert expected_drops == pytest.approx(exact_drops, rel=1e-7, abs=1e-8)
    assert law.sum() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(("buffer", "duration"), [(1, 0.3), (5, 1.0), (5, 10.0), (20, 5.0)])
def test_the_tabulated_law_is_the_law(buffer, duration):
    # Of many queues that start alike and get jobs at rates between those of the table.
    rates = np.random.default_rng(1).uniform(0.0, 0.9 * 3, 40)
    system = System(cycle(40), buffer=buffer)
    law = EpochLaw([system])
    start = buffer // 2
    lengths = np.full((4000, 40), start)
    received = np.tile(rates, (4000, 1))
    drops = law.advance(lengths, received, np.zeros(4000, dtype=np.int64), duration, 7, np.arange(4000), 0)
    for node, rate in enumerate(rates):
        expected, dropped = evolve(np.eye(buffer + 1)[start], rate, 1.0, duration)
        np.testing.assert_allclose(drops[:, node], dropped, rtol=1e-4, atol=3e-6)
        counts = np.bincount(lengths[:, node], minlength=buffer + 1)
        likely = expected * 4000 > 5
        table = np.append(counts[likely], counts[~likely].sum()), np.append(expected[likely], expected[~likely].sum())
        keep = table[1] > 0
        if keep.sum() > 1:
            assert stats.chisquare(table[0][keep], 4000 * table[1][keep] / table[1][keep].sum()).pvalue > 1e-7


def test_too_many_service_rates_are_refused():
    system = System(cycle(300), service_rates=np.linspace(1.0, 2.0, 300))
    with pytest.raises(InputError, match="at most 256 distinct service rates, got 300"):
        EpochLaw([system])


def test_rates_too_high_to_tabulate_are_refused():
    system = System(cycle(5), arrivals=Switched(high=2000.0, low=0.6))
    with pytest.raises(InputError, match="queues sent up to 6000 jobs per ms, at most are 2e\\+09: take"):
        EpochLaw([system])


def test_two_epochs_of_the_same_rate_are_one_long_epoch():
    start = np.eye(BUFFER + 1)[2]
    half, first = evolve(start, 0.9, 1.0, 3.0)
    law, second = evolve(half, 0.9, 1.0, 4.0)
    whole, both = evolve(start, 0.9, 1.0, 7.0)
    np.testing.assert_allclose(law, whole, atol=1e-8)
    assert first + second == pytest.approx(both, rel=1e-7)
