"""Copies of a system that are advanced side by side."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from emulator.errors import InputError
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list, torus
from emulator.workload.workload import Workload
from policies.process.epoch_law import evolve
from policies.process.networks import ParallelNetworks

BUFFER = 5


def begun(system, **options):
    networks = ParallelNetworks(system, **options)
    networks.reset()
    return networks


def test_queues_are_drawn_from_the_law():
    system = System(cycle(3), arrivals=Switched(high=0.9, low=0.9))
    networks = begun(system, copies=20_000, seed=4)
    networks.queue_lengths[:] = 3
    networks.step(np.zeros((20_000, 3)))
    law, _ = evolve(np.eye(BUFFER + 1)[3], 0.9, 1.0, 5.0)
    counts = np.bincount(networks.queue_lengths.ravel(), minlength=BUFFER + 1)
    assert stats.chisquare(counts, 60_000 * law).pvalue > 1e-6


def test_arrival_rates_follow_section_1_2_4():
    # A star with a node apart. The first epoch starts from empty queues, so its drops are known.
    system = System(
        edge_list([[0, 1], [0, 2], [0, 3]], nodes=5),
        service_rates=[1.0, 2.0, 0.5, 1.0, 0.7],
        arrivals=Switched(high=3.0, low=3.0),
    )
    offload = np.array([0.5, 0.2, 0.3, 1.0, 0.9])
    rates = 3.0 * np.array([0.5 + 0.2 + 0.3 + 1.0, 0.8 + 0.5 / 3, 0.7 + 0.5 / 3, 0.0 + 0.5 / 3, 1.0])
    assert rates.sum() == pytest.approx(5 * 3.0)
    empty = np.eye(BUFFER + 1)[0]
    servers = zip(rates, system.service_rates, strict=True)
    expected = [evolve(empty, rate, service, 5.0)[1] for rate, service in servers]
    networks = begun(system, copies=2, seed=1)
    drops = networks.step(np.tile(offload, (2, 1)))
    np.testing.assert_allclose(networks.received, np.tile(rates, (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(drops, np.tile(expected, (2, 1)), rtol=1e-5)  # the table is interpolated


def test_copies_of_a_group_share_the_arrival_rates_and_nothing_else():
    networks = begun(System(torus(3), horizon=250.0), copies=12, seed=1, copies_per_path=4)
    paths = networks.arrival_rates.reshape(3, 4, 50)
    assert (paths == paths[:, :1]).all()
    assert len({path.tobytes() for path in paths[:, 0]}) == 3
    while networks.epoch < 5:
        networks.step(np.full((12, 9), 0.5))
    assert len({copy.tobytes() for copy in networks.queue_lengths}) == 12


def test_arrival_rates_are_the_workloads():
    system = System(torus(3), seed=77)
    networks = begun(system, copies=3, seed=5)
    for copy in range(3):
        workload = Workload(replace(system, seed=5), replication=copy)
        np.testing.assert_array_equal(networks.arrival_rates[copy], workload.arrival_rates)


def test_an_episode_starts_empty_and_differs_from_the_last():
    networks = begun(System(torus(3)), copies=10, seed=1)
    first = networks.arrival_rates
    while not networks.is_over:
        networks.step(np.zeros((10, 9)))
    assert networks.queue_lengths.any()
    networks.reset()
    assert not networks.queue_lengths.any()
    assert (networks.arrival_rates != first).any()
    assert not networks.is_over


def test_distributions_and_rules_belong_to_each_copy():
    networks = begun(System(cycle(4), buffer=2), copies=2, seed=1)
    networks.queue_lengths[:] = [[0, 0, 1, 2], [2, 2, 2, 2]]
    np.testing.assert_array_equal(networks.distributions(), [[0.5, 0.25, 0.25], [0, 0, 1]])
    rules = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    np.testing.assert_array_equal(networks.follow(rules), [[0.1, 0.1, 0.2, 0.3], [0.6, 0.6, 0.6, 0.6]])


def test_other_work_than_exponential_is_refused():
    with pytest.raises(InputError, match=r"exponential only, got deterministic"):
        ParallelNetworks(System(torus(3), work=Deterministic()), copies=1, seed=1)
