"""The window engine on what SimPy is not asked for: a plain list of all jobs, sorted and served one by one, agrees."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from dispatchers.contract import Dispatcher, PerJobDispatcher
from dispatchers.rules.basic import Random
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.comparison import check_equal
from emulator.engines.compiled import numbering, window_run
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, Traces
from emulator.engines.observations import NARROW, OneByOne
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.access import Access
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic
from emulator.model.system import System
from emulator.model.topologies import edge_list, torus
from emulator.model.topology import AccessLists
from emulator.verification.random_systems import Habitual, Impatient, Moody, Personal
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True)


def system_of(lists, servers, *, delta_t=2.0, horizon=31.0, buffer=3, rates=None, **more):
    """Return a system in which scheduler i can access the servers `lists[i]`, the first of which is its home."""
    rates = np.ones(servers) if rates is None else rates
    offsets = np.cumsum([0, *map(len, lists)])
    access = Access(offsets, np.concatenate(lists).astype(np.int32), servers, has_own=True)
    return System(AccessLists("lists", access), delta_t, horizon, buffer, rates, **more)


def random_lists(schedulers, servers, most, seed):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, most + 1, schedulers)
    return [generator.permutation(servers)[:count] for count in counts]


class Fate(NamedTuple):
    """One job as the plain list has it; NaN for times that did not happen."""

    epoch: int
    scheduler: int
    number: int
    server: int
    arrival_time: float
    start_time: float
    departure_time: float
    queue_length_at_arrival: int
    outcome: int


def served(system, jobs):
    """Return the fates of (epoch, scheduler, number, server, time, work), in the order of a trace."""
    fates = []
    departures: list[list[float]] = [[] for _ in range(system.access.server_count)]
    for epoch, scheduler, number, server, time, work in sorted(jobs, key=lambda job: (job[4], job[1], job[2])):
        mine = departures[server]
        length = sum(departure > time for departure in mine)
        start = departure = np.nan
        outcome = DROPPED
        if length < system.buffer:
            start = max([time, *mine[-1:]])
            departure = start + work / system.service_rates[server]
            mine.append(departure)
            outcome = COMPLETED if departure <= system.horizon else IN_SYSTEM
            departure = departure if outcome == COMPLETED else np.nan
            start = start if start <= system.horizon else np.nan
        fates.append(Fate(epoch, scheduler, number, server, time, start, departure, length, outcome))
    return sorted(fates), departures


def plainly(system, dispatcher, replication):
    """Return the fates of an episode's jobs, and its queue lengths (epochs x servers)."""
    workload, access = Workload(system, replication), system.access
    observations = OneByOne(dispatcher, system, workload)
    jobs: list[Any] = []
    lengths = []
    for epoch, now in enumerate(system.timetable.starts):
        departures = served(system, jobs)[1]
        lengths.append([sum(departure > now for departure in mine) for mine in departures])
        known = observations.known
        known.queue_lengths[:] = np.array(lengths[-1])[access.servers]
        known.service_rates[:] = system.service_rates[access.servers]
        known.sampled_times[:] = now
        known.distribution[:] = np.bincount(lengths[-1], minlength=system.buffer + 1) / access.server_count
        born = workload.jobs(epoch)
        for scheduler in range(access.scheduler_count):
            rule = observations.decide(scheduler, now, epoch, [0] * int(access.counts[scheduler]))
            for number, job in enumerate(range(*born.offsets[scheduler : scheduler + 2])):
                time, coin = born.arrival_times[job], born.coins[job]
                server = access.of(scheduler)[rule.column(number, coin, time - now)]
                jobs.append((epoch, scheduler, number, server, time, born.works[job]))
    return served(system, jobs)[0], np.array(lengths)


def check(system, dispatcher, threads=1, replication=0):
    """Compare the window engine with the plain list; return the engine's episode."""
    fates, lengths = plainly(system, dispatcher, replication)
    engine = WindowEngine(system, dispatcher, threads)
    episode = engine.episode(Workload(system, replication), EVERYTHING)
    check_equal(replace(episode, jobs=None, epochs=None), engine.episode(Workload(system, replication)))
    for name in Fate._fields:
        if name != "number":
            mine = np.array([getattr(fate, name) for fate in fates])
            np.testing.assert_array_equal(mine, getattr(episode.jobs, name), err_msg=name)
    _check_epochs(system, episode.epochs, fates, lengths)
    assert episode.totals.drops == sum(fate.outcome == DROPPED for fate in fates)
    return episode


def _check_epochs(system, epochs, fates, lengths):
    servers, schedulers = system.access.server_count, system.access.scheduler_count
    assert epochs.queue_length.shape == (len(lengths), max(servers, schedulers))
    arrivals, drops = np.zeros_like(lengths), np.zeros_like(lengths)
    for fate in fates:
        arrivals[fate.epoch, fate.server] += 1
        drops[fate.epoch, fate.server] += fate.outcome == DROPPED
    for name, expected in (("queue_length", lengths), ("arrivals", arrivals), ("drops", drops)):
        column = getattr(epochs, name)
        np.testing.assert_array_equal(column[:, :servers], expected, err_msg=name)
        assert (column[:, servers:] == -1).all()
    assert np.isnan(epochs.offload_probability[:, schedulers:]).all()


RULES: list[Callable[[], Any]] = [
    Random,
    JoinShortestQueue,
    lambda: JoinShortestQueue("job"),
    lambda: MeanFieldOwn(rule=[0.1, 0.3, 0.5, 0.9], draws="epoch"),
    RoundRobin,
    JoinShortestQueueWithMemory,
    lambda: JoinShortestQueueWithMemory("sharing"),
    Impatient,
    Personal,
    Habitual,
    Moody,
]


@pytest.mark.parametrize("make", RULES, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize(("schedulers", "servers"), [(7, 12), (12, 7), (1, 4), (5, 1)])
def test_schedulers_and_servers_are_two_sets(make, schedulers, servers):
    lists = random_lists(schedulers, servers, min(4, servers), seed=schedulers)
    rates = np.random.default_rng(servers).choice([0.5, 1.0, 2.5], servers)
    episode = check(system_of(lists, servers, rates=rates, horizon=13.0), make(), threads=2)
    if not isinstance(make(), PerJobDispatcher):
        assert not np.isnan(episode.epochs.offload_probability[:, :schedulers]).any()


def test_servers_that_nobody_can_access_stay_empty():
    episode = check(system_of([[0, 1], [1, 0]], 4), Random())
    assert (episode.epochs.arrivals[:, 2:] == 0).all()
    assert (episode.epochs.queue_length[:, 2:] == 0).all()


def test_the_distribution_is_that_of_the_servers():
    told = []

    class Watching(Random):
        information = ("broadcast", "global")

        def route(self, view):
            told.append(np.array(view.distribution))
            return super().route(view)

    episode = check(system_of(random_lists(4, 9, 3, seed=1), 9), Watching())
    assert all(np.isclose(each * 9, np.rint(each * 9)).all() for each in told)
    assert episode.totals.mail.sent == (len(np.concatenate(random_lists(4, 9, 3, seed=1))) + 9 + 4) * 16


class StepsStream(NamedTuple):
    """Equal gaps, of as many kinds as there are steps."""

    gap: float
    steps: int

    @staticmethod
    def compiled_next():
        """See `Stream.compiled_next`; the first job comes at the epoch's start."""

        def next_arrival(stream, scheduler, number, time, bits):
            return time + stream.gap * (1 + scheduler % stream.steps) if number > 0 else time

        return next_arrival


class InStep(Switched):
    """Schedulers have jobs at the same times, which are those of departures, too."""

    kind = "in step"
    steps: int = 1

    def stream(self, rate):
        """See `ArrivalProcess.stream`."""
        return StepsStream(0.5, self.steps)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("make", RULES, ids=lambda make: type(make()).__name__)
def test_jobs_that_arrive_together_go_by_scheduler_and_number(make, threads, monkeypatch):
    """1,000 schedulers are more than are drawn together, so the order of drawing is another one."""
    monkeypatch.setattr(window_run, "SMALLEST_WINDOW", 3000)
    torus_ = System(torus(32), 2.0, 6.5, 3, np.full(1024, 0.5), InStep(high=2.0, low=2.0), Deterministic())
    hub = replace(torus_, topology=edge_list([[0, leaf] for leaf in range(1, 70)], nodes=70), service_rates=np.ones(70))
    for system in (torus_, hub):
        reference = SimpyEngine(system, make()).episode(Workload(system, 0), EVERYTHING)
        check_equal(reference, WindowEngine(system, make(), threads).episode(Workload(system, 0), EVERYTHING))
        check_equal(
            replace(reference, jobs=None, epochs=None),
            WindowEngine(system, make(), threads).episode(Workload(system, 0)),
        )
        times, servers = reference.jobs.arrival_time, reference.jobs.server
        assert len(np.unique(np.stack([times, servers]), axis=1).T) < 0.8 * len(times)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("make", RULES, ids=lambda make: type(make()).__name__)
def test_a_plain_list_has_the_same_order(make, threads):
    """Schedulers whose first jobs are drawn together meet there with the second and third jobs of others."""
    arrivals = InStep(high=2.0, low=2.0, steps=3)
    lists = [*random_lists(40, 7, 4, seed=5), *[np.array([7])] * 20]
    check(system_of(lists, 8, horizon=7.0, arrivals=arrivals), make(), threads)


class Adding(Dispatcher):
    """A rule whose bits depend on how many columns it is given, as numpy adds up rows in blocks."""

    def route(self, view):
        weight = view.accessible / (1.0 + view.queue_lengths / 3.0)
        return weight / weight.sum(axis=1, keepdims=True)


def hubs(nodes=120, seed=4):
    """Return a graph whose degrees go from 1 to more than 60."""
    generator = np.random.default_rng(seed)
    ends = (nodes * generator.random((3 * nodes, 2)) ** [4.0, 1.0]).astype(int)
    pairs = np.unique(np.sort(np.append(ends, [[0, leaf] for leaf in range(1, 60)], axis=0), axis=1), axis=0)
    return edge_list(pairs[pairs[:, 0] != pairs[:, 1]], nodes=nodes)


@pytest.mark.parametrize("limit", [None, "LARGEST_TABLE", "NUMBERS_AT_ONCE"])
@pytest.mark.parametrize("make", [*RULES, Adding], ids=lambda make: type(make()).__name__)
def test_few_schedulers_with_many_servers(make, limit, monkeypatch):
    if limit is not None:
        monkeypatch.setattr(numbering, limit, 600)  # of 4 and 4**4 observations, and 37 rows
    system = System(hubs(), 2.0, 9.0, 3)
    assert system.access.counts.min() < NARROW < 4 * NARROW < system.access.width
    reference = SimpyEngine(system, make()).episode(Workload(system, 0), EVERYTHING)
    engine = WindowEngine(system, make(), 2)
    check_equal(reference, engine.episode(Workload(system, 0), EVERYTHING))
    check_equal(reference, engine.episode(Workload(system, 0), EVERYTHING))


@pytest.mark.parametrize("make", [JoinShortestQueue, JoinShortestQueueWithMemory, Random])
def test_memory_goes_by_entries(make):
    """A star of 4,000 nodes has 12,000 entries, and 16 million pairs."""
    system = System(edge_list([[0, leaf] for leaf in range(1, 4000)], nodes=4000), 5.0, 10.0, 5)
    WindowEngine(system, make()).episode(Workload(system, 0))
    tracemalloc.start()
    WindowEngine(system, make()).episode(Workload(system, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * len(system.access.servers)
