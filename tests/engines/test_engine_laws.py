"""Laws that every episode of every system obeys, on random small systems, and the order of things at equal times."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic, Exponential, Hyperexponential
from emulator.model.system import System
from emulator.model.topologies import edge_list
from emulator.workload.workload import EpochJobs, Workload


@st.composite
def systems(draw):
    """Random graphs, isolated nodes and stars among them, in all regimes of load, buffer and delta_t."""
    nodes = draw(st.integers(1, 7))
    pairs = [[i, j] for j in range(nodes) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique_by=tuple)) if pairs else []
    rate = st.floats(0.0, 4.0)
    horizon = draw(st.floats(0.5, 25.0))
    return System(
        topology=edge_list(np.array(edges, dtype=int).reshape(-1, 2), nodes=nodes),
        delta_t=draw(st.one_of(st.floats(0.3, 30.0), st.just(horizon / 4))),
        horizon=horizon,
        buffer=draw(st.integers(1, 8)),
        service_rates=np.array(draw(st.lists(st.floats(0.2, 5.0), min_size=nodes, max_size=nodes))),
        arrivals=Switched(high=draw(rate), low=draw(rate)),
        work=draw(st.sampled_from([Exponential(), Deterministic(), Hyperexponential(scv=3.0)])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def dispatchers_for(system):
    rule = np.linspace(0.0, 1.0, system.buffer + 1)
    return [
        SendToOwn(),
        Random(),
        JoinShortestQueue(),
        JoinShortestQueue(ties="job"),
        ShortestExpectedDelay(),
        MeanFieldOwn(rule=rule),
        RoundRobin(),
        JoinShortestQueueWithMemory(),
        JoinShortestQueueWithMemory("sharing", bonus=0.3),
    ]


def check_laws(system, dispatcher):
    workload = Workload(system, 3)
    episode = SimpyEngine(system, dispatcher).episode(workload, Traces(jobs=True, epochs=True, messages=True))
    jobs, epochs, totals = episode.jobs, episode.epochs, episode.totals
    check_totals(system, workload, jobs, totals)
    accessible = {
        (scheduler, server)
        for scheduler in range(system.nodes)
        for server in system.access.servers[system.access.offsets[scheduler] : system.access.offsets[scheduler + 1]]
    }
    assert set(zip(jobs.scheduler, jobs.server, strict=True)) <= accessible
    for server in range(system.nodes):
        mine = np.flatnonzero(jobs.server == server)
        mine = mine[np.argsort(jobs.arrival_time[mine], kind="stable")]
        check_server(system, workload, server, mine, jobs, epochs)
    assert (
        totals.mail.sent
        == totals.mail.received
        == len(episode.messages)
        == workload.epochs * len(system.access.servers)
    )
    return episode


def check_totals(system, workload, jobs, totals):
    counts = np.bincount(jobs.outcome, minlength=3).tolist()
    assert counts == [totals.completions, totals.drops, totals.in_system]
    assert sum(counts) == totals.arrivals == sum(len(workload.jobs(k).works) for k in range(workload.epochs))
    assert (
        totals.drops_by_epoch.tolist()
        == np.bincount(jobs.epoch[jobs.outcome == DROPPED], minlength=workload.epochs).tolist()
    )
    sojourns = (jobs.departure_time - jobs.arrival_time)[jobs.outcome == COMPLETED]
    waits = system.horizon - jobs.arrival_time[jobs.outcome == IN_SYSTEM]
    assert totals.sojourn_time == pytest.approx(sojourns.sum())
    assert totals.presence_time == pytest.approx(sojourns.sum() + waits.sum())


def check_server(system, workload, server, mine, jobs, epochs):
    """First in, first out; never more than the buffer; no idling; times to the bit."""
    rate = system.service_rates[server]
    departures = []  # of accepted jobs, beyond the horizon too
    for job in mine:
        arrival = jobs.arrival_time[job]
        present = sum(time > arrival for time in departures)
        assert jobs.queue_length_at_arrival[job] == present <= system.buffer
        if present == system.buffer:
            assert jobs.outcome[job] == DROPPED
            assert np.isnan([jobs.start_time[job], jobs.departure_time[job]]).all()
            continue
        start = max(arrival, departures[-1]) if departures else arrival
        departures.append(start + jobs.work[job] / rate)
        happened = [start if start <= system.horizon else np.nan]
        happened.append(departures[-1] if departures[-1] <= system.horizon else np.nan)
        assert np.array_equal([jobs.start_time[job], jobs.departure_time[job]], happened, equal_nan=True)
        assert jobs.outcome[job] == (COMPLETED if departures[-1] <= system.horizon else IN_SYSTEM)
    accepted = mine[jobs.outcome[mine] != DROPPED]
    for epoch, time in enumerate(workload.times[:-1]):
        here = (jobs.arrival_time[accepted] < time) & ~(jobs.departure_time[accepted] <= time)
        assert epochs.queue_length[epoch, server] == here.sum()
        assert epochs.arrivals[epoch, server] == (jobs.epoch[mine] == epoch).sum()
        assert epochs.drops[epoch, server] == ((jobs.epoch[mine] == epoch) & (jobs.outcome[mine] == DROPPED)).sum()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(systems())
def test_episodes_obey_the_laws(system):
    for dispatcher in dispatchers_for(system):
        check_laws(system, dispatcher)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(systems())
def test_many_episodes_obey_the_laws(system):
    for dispatcher in dispatchers_for(system):
        check_laws(system, dispatcher)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(systems())
def test_the_same_episode_has_the_same_fingerprint_and_all_dispatchers_meet_the_same_jobs(system):
    episodes = [
        SimpyEngine(system, rule).episode(Workload(system, 1), Traces(jobs=True)) for rule in dispatchers_for(system)
    ]
    again = [SimpyEngine(system, rule).episode(Workload(system, 1)) for rule in dispatchers_for(system)]
    assert [e.totals.fingerprint for e in episodes] == [e.totals.fingerprint for e in again]
    first = episodes[0].jobs
    for episode in episodes:
        for column in ("epoch", "scheduler", "arrival_time", "work"):
            assert np.array_equal(getattr(episode.jobs, column), getattr(first, column))
    other = SimpyEngine(system, SendToOwn()).episode(Workload(system, 2))
    if episodes[0].totals.arrivals:
        assert other.totals.fingerprint != episodes[0].totals.fingerprint


def test_the_fingerprint_tells_servers_outcomes_and_times_apart():
    from emulator.engines.episode import fingerprint_of

    nothing = np.nan
    base = [np.array([0, 1]), np.array([0, 2])]
    base += [np.array([0.5, 0.7]), np.array([1.0, nothing]), np.array([2.0, nothing])]
    prints = {int(fingerprint_of(*base))}
    for column, value in ((0, 2), (1, 1), (2, 0.6), (3, np.nextafter(1.0, 2.0)), (4, np.nextafter(2.0, 3.0))):
        changed = [array.copy() for array in base]
        changed[column][0] = value
        prints.add(int(fingerprint_of(*changed)))
    swapped = [*base[:2], base[2][::-1].copy(), *base[3:]]
    assert len(prints | {int(fingerprint_of(*swapped))}) == 7
    assert int(fingerprint_of(*[array[::-1].copy() for array in base])) in prints  # a sum, in any order


def by_hand(system, arrivals, works):
    """Return a workload of one scheduler with given times of arrival and works; delta_t 1."""
    times = np.append(np.arange(round(system.horizon)) * 1.0, system.horizon)

    def jobs(epoch):
        here = [k for k, time in enumerate(arrivals) if times[epoch] <= time < times[epoch + 1]]
        picked = [np.array([column[k] for k in here], dtype=float) for column in (arrivals, works)]
        return EpochJobs(np.array([0, len(here)]), *picked, np.full(len(here), 0.5))

    return SimpleNamespace(
        system=system,
        replication=0,
        times=times,
        epochs=len(times) - 1,
        arrival_rates=np.ones(len(times) - 1),
        cursor=lambda: SimpleNamespace(jobs=jobs),
        decision_coins=lambda number, first, last: np.full(1, 0.5),
        decision_orders=lambda number, first, last: np.zeros(1, dtype=int),
    )


def test_at_equal_times_departures_come_before_broadcasts_and_those_before_arrivals():
    """One server that holds one job, services of exactly 1 ms, arrivals exactly at departures and broadcasts."""
    system = System(edge_list(np.empty((0, 2), dtype=int), nodes=1), 1.0, 4.0, 1)
    seen = []

    class Watching(SendToOwn):
        information = ("broadcast",)

        def route(self, view):
            seen.append((float(view.age[0, 0]), int(view.queue_lengths[0, 0])))
            return view.own()

    workload = by_hand(system, arrivals=[0.0, 1.0, 1.5, 2.0], works=[1.0, 1.0, 1.0, 1.0])
    episode = SimpyEngine(system, Watching()).episode(workload, Traces(jobs=True, epochs=True))
    # The job of 1.0 finds the server empty, for the first has left; that of 1.5 finds it taken.
    assert episode.jobs.queue_length_at_arrival.tolist() == [0, 0, 1, 0]
    assert episode.jobs.outcome.tolist() == [COMPLETED, COMPLETED, DROPPED, COMPLETED]
    # Each broadcast sees the departure, but not the arrival, of its own time, and each decision its broadcast.
    assert episode.epochs.queue_length.ravel().tolist() == [0, 0, 0, 0]
    assert seen == [(0.0, 0)] * 4


@pytest.mark.parametrize(("work", "outcome"), [(2.0, COMPLETED), (np.nextafter(2.0, 3.0), IN_SYSTEM)])
def test_a_departure_at_the_horizon_itself_still_counts(work, outcome):
    system = System(edge_list(np.empty((0, 2), dtype=int), nodes=1), 1.0, 2.0, 1)
    episode = SimpyEngine(system, SendToOwn()).episode(by_hand(system, [0.0], [work]), Traces(jobs=True))
    assert episode.jobs.outcome.tolist() == [outcome]
