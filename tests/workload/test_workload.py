"""The workload's laws, and that any part of it can be drawn on its own."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from dispatchers.rules.basic import Random
from dispatchers.rules.memory import JoinShortestQueueWithMemory
from emulator import randomness
from emulator.engines.compiled import fifo, numbering, routing
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic, Exponential, Hyperexponential
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list
from emulator.workload import coins, drawing, jobs
from emulator.workload.workload import Workload


def ring(nodes=200, **changes):
    return System(cycle(nodes), **({"seed": 3} | changes))


def test_jobs_arrive_within_their_epoch_in_order():
    workload = Workload(ring(horizon=48.0), replication=0)
    for epoch in range(workload.epochs):
        jobs = workload.jobs(epoch)
        assert jobs.offsets[-1] == len(jobs.arrival_times) == len(jobs.works) == len(jobs.coins)
        assert (jobs.arrival_times >= workload.times[epoch]).all()
        assert (jobs.arrival_times < workload.times[epoch + 1]).all()
        assert (jobs.works > 0).all()
        assert ((jobs.coins >= 0) & (jobs.coins < 1)).all()
        for start, stop in zip(jobs.offsets, jobs.offsets[1:], strict=False):
            assert (np.diff(jobs.arrival_times[start:stop]) >= 0).all()


def test_a_scheduler_meets_the_same_jobs_whatever_stands_around_it():
    """Adding nodes, or epochs, or replications, changes nothing that exists."""
    small, large = Workload(ring(10), 4), Workload(ring(300, horizon=200.0), 4)
    assert (small.arrival_rates == large.arrival_rates[: small.epochs]).all()
    for epoch in range(small.epochs):
        ours, theirs = small.jobs(epoch), large.jobs(epoch)
        count = ours.offsets[-1]
        assert (ours.offsets == theirs.offsets[:11]).all()
        assert (ours.arrival_times == theirs.arrival_times[:count]).all()
        assert (ours.works == theirs.works[:count]).all()
        assert (ours.coins == theirs.coins[:count]).all()
        assert (small.decision_coins(epoch) == large.decision_coins(epoch)[:10]).all()
        assert (small.decision_orders(epoch) == large.decision_orders(epoch)[:30]).all()


def test_replications_and_seeds_differ():
    first = Workload(ring(), 0).jobs(0).arrival_times
    assert first.tolist() != Workload(ring(), 1).jobs(0).arrival_times.tolist()
    assert first.tolist() != Workload(ring(seed=4), 0).jobs(0).arrival_times.tolist()


def test_arrivals_are_poisson_and_works_exponential():
    """Each at level 1e-4: gaps and works by Kolmogorov-Smirnov, counts by their dispersion."""
    workload = Workload(ring(5000, arrivals=Switched(high=0.9, low=0.9)), 0)
    jobs = workload.jobs(0)
    counts = np.diff(jobs.offsets)
    assert stats.kstest(jobs.arrival_times / 5.0, "uniform").pvalue > 1e-4
    assert stats.kstest(jobs.works, "expon").pvalue > 1e-4
    assert stats.kstest(jobs.coins, "uniform").pvalue > 1e-4
    dispersion = (counts - counts.mean()) @ (counts - counts.mean()) / counts.mean()
    assert 1e-4 < stats.chi2.cdf(dispersion, len(counts) - 1) < 1 - 1e-4
    assert stats.poisson.cdf(counts.sum(), 0.9 * 5 * 5000) == pytest.approx(0.5, abs=0.5 - 1e-4)


def test_the_rate_path_is_the_papers_chain():
    """Eq. (2): starts of 4,000 replications and switches of 4,000 epochs, each at level 1e-4."""
    starts = [Workload(ring(3, horizon=5.0), replication).arrival_rates[0] for replication in range(4000)]
    assert stats.binomtest(starts.count(0.9), len(starts), 0.5).pvalue > 1e-4
    path = Workload(ring(3, horizon=20_000.0), 0).arrival_rates == 0.9
    from_high, from_low = path[1:][path[:-1]], path[1:][~path[:-1]]
    assert stats.binomtest(int((~from_high).sum()), len(from_high), 0.2).pvalue > 1e-4
    assert stats.binomtest(int(from_low.sum()), len(from_low), 0.5).pvalue > 1e-4


@pytest.mark.parametrize(
    ("law", "scv"),
    [(Exponential(), 1.0), (Deterministic(), 0.0), (Hyperexponential(scv=4.0), 4.0)],
)
def test_works_have_mean_1_and_their_variation(law, scv):
    works = Workload(ring(20_000, work=law), 0).jobs(0).works
    error = 5 * works.std() / len(works) ** 0.5
    assert works.mean() == pytest.approx(1.0, abs=error + 1e-12)
    squares_error = 5 * (works**2).std() / len(works) ** 0.5
    assert (works**2).mean() == pytest.approx(scv + 1.0, abs=squares_error + 1e-12)


def test_rate_zero_brings_no_jobs():
    jobs = Workload(ring(arrivals=Switched(high=0.0, low=0.0)), 0).jobs(0)
    assert jobs.offsets.tolist() == [0] * 201
    assert len(jobs.arrival_times) == 0


def test_orders_are_permutations_and_uniform():
    """Each of the 6 orders of 3 columns equally often, chi-square at level 1e-4."""
    orders = Workload(ring(6000), 0).decision_orders(0).reshape(-1, 3)
    assert (np.sort(orders, axis=1) == [0, 1, 2]).all()
    _, counts = np.unique(orders @ [9, 3, 1], return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-4


def test_orders_follow_each_schedulers_degree():
    system = System(
        topology=edge_list([[0, 1], [0, 2], [0, 3]], nodes=5),
        delta_t=1.0,
        horizon=2.0,
        buffer=2,
        service_rates=np.ones(5),
    )
    orders = np.split(Workload(system, 0).decision_orders(1), system.access.offsets[1:-1])
    assert [sorted(order.tolist()) for order in orders] == [[0, 1, 2, 3], [0, 1], [0, 1], [0, 1], [0]]
    access = np.split(system.access.servers, system.access.offsets[1:-1])
    assert [servers.tolist() for servers in access] == [[0, 1, 2, 3], [1, 0], [2, 0], [3, 0], [4]]
    assert system.access.sharing.tolist() == [4, 2, 2, 2, 1]


def test_nothing_that_is_kept_knows_a_law_of_users():
    """Another process could not import its type, and would fail to read what is kept."""

    class OddNumbers(NamedTuple):
        factor: float

        @staticmethod
        def compiled_draw():
            return lambda numbers, bits: numbers.factor

    class Odd(Deterministic):
        def numbers(self):
            return OddNumbers(1.0)

    system = System(cycle(5), work=Odd())
    for dispatcher in (Random(), JoinShortestQueueWithMemory()):
        for engine in (SimpyEngine, WindowEngine):
            engine(system, dispatcher).episode(Workload(system, 0), Traces(jobs=True))
    kernels = [
        each
        for module in (routing, fifo, numbering, drawing, jobs, coins, randomness)
        for each in (*vars(module).values(), *getattr(module, "KEPT", ()))
        if hasattr(each, "nopython_signatures") and "Null" not in type(each._cache).__name__
    ]
    told = {kernel.__name__: str(kernel.nopython_signatures) for kernel in kernels}
    assert {"keep_arrived", "_draw_in_epoch", "serve"} <= told.keys()
    assert not [name for name, signatures in told.items() if "OddNumbers" in signatures]
