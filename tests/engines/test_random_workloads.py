"""The engines agree, to the last bit, on random systems with arrivals of every kind."""

from collections import Counter

import pytest

from emulator.model.arrivals import ARRIVALS
from emulator.verification.agreement import check
from emulator.verification.random_workloads import random_workload


@pytest.mark.parametrize("first", [0, pytest.param(28, marks=pytest.mark.slow)])
def test_engines_agree_on_random_workloads(first):
    for number in range(first, 5 * first + 28):
        check(random_workload(number))


def test_random_workloads_are_of_every_kind():
    seen = Counter()
    for number in range(70):
        arrivals = random_workload(number).system.arrivals
        seen[arrivals.kind] += 1
        seen["batches"] += arrivals.batch is not None
        seen["weights"] += arrivals.weights is not None
        seen[getattr(arrivals, "assign", "")] += 1
        seen[getattr(arrivals, "chain", "")] += 1
        seen["network"] += not random_workload(number).system.network.is_synchronous
    wanted = {*ARRIVALS, "batches", "weights", "network", "round_robin", "random", "column", "rotate", "shared", "own"}
    assert wanted <= {name for name, count in seen.items() if count > 0}
