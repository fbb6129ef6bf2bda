"""The reference engine: schedulers know only what messages told them, and the network is a seam."""

import gc

import numpy as np
import pytest

from dispatchers.contract import Dispatcher, PerJobDispatcher
from dispatchers.errors import DispatcherError
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.episode import IN_SYSTEM, LOST, RECEIVED, UNDER_WAY, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.engines.simpy.event_loop import ARRIVAL, DECISION, DELIVERY, DEPARTURE, SAMPLE, EventLoop, turn
from emulator.engines.simpy.network import Carrier
from emulator.model.laws import Exponential
from emulator.model.network import Clock, Duration, Latency, Loss, Network
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list, torus
from emulator.workload.workload import Workload


def system_of(topology, **changes):
    settings = {
        "delta_t": 3.0,
        "horizon": 20.0,
        "buffer": 4,
        "service_rates": 1.0 + np.arange(topology.nodes) % 3,
        "seed": 5,
    }
    return System(topology=topology, **(settings | changes))


class Eavesdropper(Dispatcher):
    """Keeps every view it is shown."""

    def __init__(self):
        self.seen = []

    def route(self, view):
        self.seen.append(
            (int(view.schedulers[0]), view.queue_lengths.copy(), view.service_rates.copy(), view.age.copy())
        )
        return view.uniform()


class LyingCarrier(Carrier):
    """Tells everyone 2 jobs at rate 7, whatever the server says."""

    def deliver(self, message, receiver):
        super().deliver(message._replace(queue_length=2, service_rate=7.0), receiver)


SILENT = Network(loss=Loss(1.0, 1.0), own_is_exact=False)
"""Loses everything."""

LATE = Network(latency=Latency(base=Duration(1.0)), own_is_exact=False)
"""Delivers each message 1 ms after it was sent."""


def test_a_view_shows_what_messages_carried_and_nothing_else():
    eavesdropper = Eavesdropper()
    system = system_of(torus(3))
    SimpyEngine(system, eavesdropper, carrier=LyingCarrier).episode(Workload(system, 0))
    assert len(eavesdropper.seen) == 9 * 7
    for _, lengths, rates, _ in eavesdropper.seen:
        assert (lengths == 2).all()
        assert (rates == 7.0).all()


def test_without_messages_a_scheduler_knows_nothing():
    eavesdropper = Eavesdropper()
    system = system_of(torus(3), network=SILENT)
    episode = SimpyEngine(system, eavesdropper).episode(Workload(system, 0), Traces(messages=True))
    mail = episode.totals.mail
    assert (mail.sent, mail.lost, mail.received) == (7 * 45, 7 * 45, 0)
    assert {(record.fate, np.isnan(record.received_time)) for record in episode.messages} == {(LOST, True)}
    assert len(eavesdropper.seen) == 9  # at time 0, when all know that queues are empty
    for _, lengths, rates, age in eavesdropper.seen:
        assert (lengths == 0).all()
        assert (rates == 1.0).all()
        assert (age == 0.0).all()


@pytest.mark.parametrize(("network", "late"), [(Network(), False), (LATE, True)])
def test_a_view_shows_the_queues_at_the_last_message_received(network, late):
    """Against the epoch trace: this epoch's lengths, at once or 1 ms late; late, there is a decision at 0 before."""
    eavesdropper = Eavesdropper()
    system = system_of(edge_list([[0, 1], [0, 2], [0, 3]], nodes=5), network=network)
    episode = SimpyEngine(system, eavesdropper).episode(Workload(system, 0), Traces(epochs=True))
    true_lengths = episode.epochs.queue_length
    assert true_lengths.max() > 0
    assert len(eavesdropper.seen) == 5 * (7 + late) == episode.totals.decisions
    for number, (scheduler, lengths, rates, age) in enumerate(eavesdropper.seen[5 * late :]):
        epoch, servers = number // 5, system.access.of(scheduler)
        count = len(servers)
        assert lengths[0, :count].tolist() == true_lengths[epoch, servers].tolist()
        assert rates[0, :count].tolist() == system.service_rates[servers].tolist()
        assert age[0, :count].tolist() == [1.0 if late else 0.0] * count


def test_equal_observations_are_evaluated_once():
    class Counting(JoinShortestQueue):
        calls = 0

        def route(self, view):
            self.calls += 1
            return super().route(view)

    dispatcher = Counting()
    system = system_of(torus(6), service_rates=np.ones(36), horizon=60.0, buffer=1)
    SimpyEngine(system, dispatcher).episode(Workload(system, 0))
    assert 1 < dispatcher.calls <= 2**5
    eavesdropper = Eavesdropper()
    SimpyEngine(system, eavesdropper).episode(Workload(system, 0))
    assert len(eavesdropper.seen) == 36 * 20  # it reads what belongs to one scheduler, so it is asked every time


def test_every_message_is_traced_and_counted():
    system = system_of(edge_list([[0, 1], [0, 2], [0, 3]], nodes=5))
    episode = SimpyEngine(system, Random()).episode(Workload(system, 0), Traces(epochs=True, messages=True))
    access = {(server, other) for server in range(5) for other in range(5) if server == other or 0 in (server, other)}
    access = {pair for pair in access if 4 not in pair or pair == (4, 4)}
    assert episode.totals.mail.sent == len(episode.messages) == 7 * (5 + 2 * 3)
    for epoch in range(7):
        records = [record for record in episode.messages if record.number == epoch]
        assert {(record.server, record.scheduler) for record in records} == access
        for record in records:
            assert record.sent_time == record.received_time == 3.0 * epoch
            assert (record.kind, record.age, record.fate) == ("state", 0.0, RECEIVED)
            assert record.queue_length == episode.epochs.queue_length[epoch, record.server]


def test_questions_and_answers_are_messages():
    system = system_of(cycle(4), network=Network(kind="poll", latency=Latency(base=Duration(2.0))))
    episode = SimpyEngine(system, JoinShortestQueue()).episode(Workload(system, 0), Traces(messages=True))
    counts = {}
    for record in episode.messages:
        is_own = record.server == record.scheduler
        assert record.received_time == record.sent_time + (0.0 if is_own else 2.0) or record.fate == UNDER_WAY
        key = record.kind, record.fate
        counts[key] = counts.get(key, 0) + 1
    # Each of four schedulers asks at 0, 3, ..., 18; of the last answers of others, sent at 20, there is none.
    assert counts == {
        ("question", RECEIVED): 4 * (7 + 12),
        ("question", UNDER_WAY): 8,
        ("answer", RECEIVED): 4 * (7 + 12),
    }
    mail = episode.totals.mail
    assert mail.sent == mail.received + mail.lost + mail.under_way == sum(counts.values())


def test_a_message_older_than_what_is_known_is_ignored_unless_the_last_one_counts():
    latency = Latency(base=Duration(6.0, Exponential()))
    totals = {}
    for keeps_newest in (True, False):
        network = Network(latency=latency, keeps_newest=keeps_newest)
        system = system_of(cycle(6), horizon=200.0, network=network)
        totals[keeps_newest] = SimpyEngine(system, Random()).episode(Workload(system, 0)).totals
    assert totals[True].mail.ignored > 0 == totals[False].mail.ignored
    assert totals[True].mail[:4] == totals[False].mail[:4]
    assert totals[True].ages.over_time < totals[False].ages.over_time


def test_only_lengths_that_differ_are_told():
    system = system_of(cycle(6), horizon=300.0, network=Network(difference=2))
    episode = SimpyEngine(system, Random()).episode(Workload(system, 0), Traces(epochs=True, messages=True))
    told = np.zeros(6, dtype=int)
    expected = []
    for epoch, lengths in enumerate(episode.epochs.queue_length):
        for server in np.flatnonzero(abs(lengths - told) >= 2).tolist():
            told[server] = lengths[server]
            expected += [(epoch, server, lengths[server])] * 3
    assert [(record.number, record.server, record.queue_length) for record in episode.messages] == expected


def test_memory_counts_jobs_since_what_is_known_was_so():
    """Messages take 1 ms to others: a decision on a delivery at t counts what was sent to the other since t - 1."""
    seen = []

    class Watching(PerJobDispatcher):
        def plan(self, view):
            return np.zeros((*view.accessible.shape, 1))

        @staticmethod
        def choose(job):
            seen.append((job.sent.tolist(), job.total_sent))
            return int(job.coin < 0.5)

    system = system_of(edge_list([[0, 1]]), horizon=30.0, network=Network(latency=Latency(base=Duration(1.0))))
    jobs = SimpyEngine(system, Watching()).episode(Workload(system, 0), Traces(jobs=True)).jobs
    by_time = np.argsort(jobs.arrival_time, kind="stable")
    for (sent, total), index in zip(seen, by_time, strict=True):
        now = jobs.arrival_time[index]
        own, other = 3.0 * (now // 3.0), max(0.0, 3.0 * ((now - 1.0) // 3.0))
        before = (jobs.scheduler == jobs.scheduler[index]) & (jobs.arrival_time < now)
        to_own = jobs.server == jobs.scheduler[index]
        expected = [(before & to_own & (jobs.arrival_time >= own)).sum()]
        expected += [(before & ~to_own & (jobs.arrival_time >= other)).sum()]
        assert (sent, total) == (expected, sum(expected))


def test_jobs_take_time_to_servers():
    network = Network(dispatch=Latency(base=Duration(2.0)), decisions=Clock(4.0, "even"))
    system = system_of(cycle(5), horizon=60.0, network=network)
    episode = SimpyEngine(system, Random()).episode(Workload(system, 0), Traces(jobs=True, epochs=True))
    jobs = episode.jobs
    on_its_way = np.isnan(jobs.reached_time)
    away = jobs.server != jobs.scheduler
    assert on_its_way.tolist() == (away & (jobs.arrival_time + 2.0 >= 60.0)).tolist()
    assert (jobs.reached_time == jobs.arrival_time + 2.0 * away)[~on_its_way].all()
    assert (jobs.queue_length_at_arrival[on_its_way] == -1).all()
    assert (jobs.outcome[on_its_way] == IN_SYSTEM).all()
    assert episode.epochs.arrivals.sum() == (~on_its_way).sum()
    assert episode.totals.decisions == 5 * 15 + 4  # the first of an even clock is at 0 for one scheduler alone


def test_global_state_costs_global_messages():
    class Informed(Dispatcher):
        observes = "all"

        def __init__(self):
            self.seen = []

        def route(self, view):
            self.seen.append(view.distribution.tolist())
            return view.own()

    dispatcher = Informed()
    system = system_of(cycle(6))
    episode = SimpyEngine(system, dispatcher).episode(Workload(system, 0), Traces(epochs=True, messages=True))
    assert episode.totals.mail.sent == 7 * (6 * 3 + 2 * 6)
    assert sum(record.server == -1 for record in episode.messages) == 7 * 6
    assert sum(record.scheduler == -1 for record in episode.messages) == 7 * 6
    shares = [np.bincount(lengths, minlength=5) / 6 for lengths in episode.epochs.queue_length]
    assert {tuple(share) for share in shares} == {tuple(share) for share in dispatcher.seen}

    class Curious(Informed):
        observes = "accessible"

    with pytest.raises(DispatcherError, match=r"^Curious: reads view.distribution, so its information must include"):
        SimpyEngine(system, Curious()).episode(Workload(system, 0))


def test_a_jsq_scheduler_keeps_to_one_server_per_epoch_unless_ties_are_broken_per_job():
    system = system_of(torus(4), horizon=3.0, arrivals=system_of(cycle(3)).arrivals, service_rates=np.ones(16))

    def servers_used(dispatcher):
        jobs = SimpyEngine(system, dispatcher).episode(Workload(system, 0), Traces(jobs=True)).jobs
        return [len(set(jobs.server[jobs.scheduler == scheduler].tolist())) for scheduler in range(16)]

    assert max(servers_used(JoinShortestQueue())) == 1
    assert max(servers_used(JoinShortestQueue(ties="job"))) > 1


def test_offload_probability_is_what_the_scheduler_did():
    system = system_of(torus(4), service_rates=np.ones(16))

    def offloads(dispatcher):
        episode = SimpyEngine(system, dispatcher).episode(Workload(system, 0), Traces(jobs=True, epochs=True))
        return episode.epochs.offload_probability, episode.jobs

    assert offloads(SendToOwn())[0].max() == 0.0
    assert np.allclose(offloads(Random())[0], 0.8)
    assert set(np.unique(offloads(JoinShortestQueue())[0])) == {0.0, 1.0}
    shares, jobs = offloads(RoundRobin())
    for epoch in range(7):
        for scheduler in range(16):
            mine = (jobs.epoch == epoch) & (jobs.scheduler == scheduler)
            if mine.any():
                assert shares[epoch, scheduler] == pytest.approx((jobs.server[mine] != scheduler).mean())
            else:
                assert np.isnan(shares[epoch, scheduler])


def test_a_per_job_rule_counts_its_own_jobs_since_the_last_message():
    seen = []

    class Watching(PerJobDispatcher):
        def plan(self, view):
            return np.zeros((*view.accessible.shape, 1))

        @staticmethod
        def choose(job):
            seen.append((job.sent.tolist(), job.total_sent, job.elapsed))
            return job.total_sent % len(job.sent)

    system = system_of(edge_list([[0, 1]]), horizon=30.0)
    jobs = SimpyEngine(system, Watching()).episode(Workload(system, 0), Traces(jobs=True)).jobs
    assert len(seen) == len(jobs.server)
    by_time = np.argsort(jobs.arrival_time, kind="stable")
    for (sent, total, elapsed), index in zip(seen, by_time, strict=True):
        mine = (jobs.epoch == jobs.epoch[index]) & (jobs.scheduler == jobs.scheduler[index])
        before = mine & (jobs.arrival_time < jobs.arrival_time[index])
        assert total == before.sum() == sum(sent)
        assert sent[0] == (before & (jobs.server == jobs.scheduler[index])).sum()
        assert elapsed == jobs.arrival_time[index] - 3.0 * jobs.epoch[index]


@pytest.mark.parametrize("column", [-1, 3, 2.0])
def test_a_column_that_does_not_exist_is_refused(column):
    class Lost(PerJobDispatcher):
        def plan(self, view):
            return np.zeros((*view.accessible.shape, 1))

        @staticmethod
        def choose(job):
            return column

    system = system_of(cycle(5))
    with pytest.raises(DispatcherError, match=r"Lost.*from 0 to 2"):
        SimpyEngine(system, Lost()).episode(Workload(system, 0))


def test_a_wrong_answer_is_refused_in_the_middle_of_an_episode():
    class Leaky(Dispatcher):
        def route(self, view):
            return np.where(view.queue_lengths[:, :1] > 1, 0.9, 1.0) * view.own()

    system = system_of(cycle(5), horizon=60.0)
    with pytest.raises(DispatcherError, match=r"Leaky.*sum to 0\.9"):
        SimpyEngine(system, Leaky()).episode(Workload(system, 0))


def test_progress_tells_the_time_at_each_epoch_and_the_horizon():
    times = []
    system = system_of(cycle(5))
    SimpyEngine(system, Random()).episode(Workload(system, 0), progress=times.append)
    assert times == [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 20.0]


def test_the_garbage_collector_goes_on_afterwards():
    system = system_of(cycle(5))
    assert gc.isenabled()
    SimpyEngine(system, JoinShortestQueueWithMemory()).episode(Workload(system, 0))
    assert gc.isenabled()


class TestEventLoop:
    def test_processes_wake_at_the_very_time_in_their_turn(self):
        loop, log = EventLoop(), []
        time = 0.1 + 0.7

        def sleeper(turn):
            yield loop.at(0.3, turn)
            yield loop.at(time, turn)
            log.append((loop.now, turn))

        steps = (ARRIVAL, DECISION, SAMPLE, DEPARTURE, DELIVERY)
        turns = [
            turn(*place) for place in [(step,) for step in steps] + [(DELIVERY, 2), (DELIVERY, 1, 5), (DELIVERY, 1)]
        ]
        for each in turns:
            loop.process(sleeper(each))
        loop.run_to(2.0)
        assert log == [(time, each) for each in sorted(turns)]
        assert turn(DELIVERY, 2**24, 2**30) < turn(DECISION)

    def test_at_the_horizon_only_departures_happen(self):
        loop, log = EventLoop(), []

        def sleeper(step):
            yield loop.at(1.0, turn(step))
            log.append(step)

        for step in (ARRIVAL, DECISION, SAMPLE, DEPARTURE):
            loop.process(sleeper(step))
        loop.run_to(1.0)
        assert log == [DEPARTURE]
        assert loop.now == 1.0

    def test_the_processes_and_events_of_simpy_work_beside_it(self):
        loop, log = EventLoop(), []
        door = loop.event()

        def opener():
            yield loop.timeout(1.5)
            door.succeed("open")
            yield loop.at(3.0, ARRIVAL)
            return "closed"

        def visitor(process):
            log.append((yield door))
            log.append((loop.now, (yield process)))
            log.append((yield process))  # already over

        loop.process(visitor(loop.process(opener())))
        loop.run_to(5.0)
        assert log == ["open", (1.5, "closed"), "closed"]

    def test_an_error_in_a_process_comes_out(self):
        loop = EventLoop()

        def failing():
            yield loop.at(1.0, ARRIVAL)
            raise ValueError("broken")

        def failing_by_event():
            yield loop.event().fail(KeyError("lost"))

        loop.process(failing())
        with pytest.raises(ValueError, match="broken"):
            loop.run_to(2.0)
        loop = EventLoop()
        loop.process(failing_by_event())
        with pytest.raises(KeyError):
            loop.run_to(2.0)

    def test_waking_returns_to_the_waking_process(self):
        loop, log = EventLoop(), []

        def sleeper():
            yield loop.until_woken()
            log.append("woken")
            yield loop.at(5.0, ARRIVAL)
            log.append("later")

        def waker(process):
            yield loop.at(1.0, ARRIVAL)
            loop.wake(process)
            log.append("waker")
            yield loop.at(2.0, ARRIVAL)
            log.append("waker again")

        loop.process(waker(loop.process(sleeper())))
        loop.run_to(6.0)
        assert log == ["woken", "waker", "waker again", "later"]
