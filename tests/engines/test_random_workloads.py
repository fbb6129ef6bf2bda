"""The engines agree, to the last bit, on random systems with arrivals of every kind."""

from collections import Counter
from dataclasses import replace

import pytest

from dispatchers.rules.basic import Random
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.model.arrivals import ARRIVALS
from emulator.verification.agreement import check
from emulator.verification.random_workloads import random_workload

KINDS = (Random, JoinShortestQueue)
"""Rules that are drawn alike: others take their time to be compiled beside each kind."""


@pytest.mark.parametrize(
    "numbers", [range(0, 9, 4), pytest.param(range(9, 18), marks=pytest.mark.slow, id="many")], ids=repr
)
def test_engines_agree_on_random_workloads(numbers):
    for number in numbers:
        check(replace(random_workload(number), dispatcher=KINDS[number % 2]()))


def test_random_workloads_are_of_every_kind():
    seen = Counter()
    for number in range(250):
        system = random_workload(number).system
        arrivals, station = system.arrivals, system.station
        seen[arrivals.kind] += 1
        seen["batches"] += arrivals.batch is not None
        seen["weights"] += arrivals.weights is not None
        seen[getattr(arrivals, "assign", "")] += 1
        seen[getattr(arrivals, "chain", "")] += 1
        is_stepwise, has_batch = system.network.is_synchronous, arrivals.batch is not None
        seen["network"] += not is_stepwise and station.is_plain
        seen["stations"] += is_stepwise and not station.is_plain and not system.has_feedback
        seen["stations on a network"] += not is_stepwise and not station.is_plain
        seen["batches in classes"] += has_batch and bool(station.classes)
        seen["batches that come again"] += has_batch and system.has_feedback
        seen["recorded works in classes"] += arrivals.brings_work and bool(station.classes)
    wanted = {*ARRIVALS, "batches", "weights", "round_robin", "random", "column", "rotate", "shared", "own"}
    wanted |= {"network", "stations", "stations on a network"}
    wanted |= {"batches in classes", "batches that come again", "recorded works in classes"}
    assert wanted - {name for name, count in seen.items() if count > 0} == set()
