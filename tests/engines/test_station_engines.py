"""Stations in all engines: the same bits from each, and what queueing theory says."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchers.contract import Dispatcher, PerJobDispatcher
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.comparison import EnginesDifferError, check_equal
from emulator.engines.compiled import slices, window_run
from emulator.engines.compiled.nodes import Nodes
from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import COMPLETED, DROPPED, GAVE_UP, LOST_JOB, REFUSED, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Switched
from emulator.model.laws import Exponential, Hyperexponential
from emulator.model.measuring import Measuring
from emulator.model.network import Clock, Duration, Latency, Network
from emulator.model.station import Failures, JobClass, Patience, Retries, Station
from emulator.model.system import System
from emulator.model.topologies import cycle, torus
from emulator.runs.episode_runner import check_conservation
from emulator.verification import agreement
from emulator.verification.random_stations import random_station
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True)

TWO_CLASSES = (JobClass("short", 0.75, 0, 0.5), JobClass("long", 0.25, 1, 2.5, Hyperexponential(scv=4.0)))


def exponential(mean):
    return Duration(mean, Exponential())


ALL_AT_ONCE = Station(
    servers=2,
    has_priorities=True,
    preempts=True,
    speeds=(1.0, 1.5, 0.5),
    classes=TWO_CLASSES,
    patience=Patience(exponential(4.0), of_sojourn=True),
    failures=Failures(exponential(8.0), exponential(2.0), group=3, jobs="lose", refuses=True, told=True),
)
RETRIED = replace(ALL_AT_ONCE, retries=Retries(("drop", "refuse", "lose", "timeout"), 3, exponential(1.0)))
FAR = Network(samples=Clock(2.0, "random"), dispatch=Latency(base=exponential(1.0)), own_dispatch_is_exact=False)


def system_of(station, **more):
    return System(torus(4), 2.0, 41.0, 4, arrivals=Switched(high=1.5, low=1.0), station=station, **more)


def compare(kind, system, dispatcher, replication=0):
    """Compare an engine with SimPy: whole, and without traces."""
    workload = Workload(system, replication)
    reference = SimpyEngine(system, dispatcher).episode(workload, EVERYTHING)
    check_equal(reference, kind(system, dispatcher).episode(workload, EVERYTHING))
    check_equal(replace(reference, jobs=None, epochs=None), kind(system, dispatcher).episode(workload))
    check_conservation(reference)
    return reference


@pytest.mark.parametrize("kind", [WindowEngine, OrderedEngine])
def test_all_keys_at_once(kind):
    totals = compare(kind, system_of(ALL_AT_ONCE), JoinShortestQueue()).totals
    assert min(totals.drops, totals.refused, totals.lost, totals.gave_up, totals.completions) > 10


def test_jobs_on_their_way_give_up_too():
    for goes_on in (False, True):
        patience = Patience(exponential(2.0), of_sojourn=True, goes_on=goes_on)
        system = system_of(replace(ALL_AT_ONCE, patience=patience), network=FAR)
        jobs = compare(OrderedEngine, system, JoinShortestQueue()).jobs
        gave_up = jobs.outcome == GAVE_UP
        on_their_way = gave_up & np.isnan(jobs.reached_time)
        assert on_their_way.sum() > (0 if goes_on else 50)  # if servers go on, only those on their way at the horizon
        assert np.isnan(jobs.departure_time[on_their_way]).all()
        assert (jobs.queue_length_at_arrival[on_their_way] == -1).all()


@pytest.mark.parametrize("network", [pytest.param(Network(), marks=pytest.mark.slow), FAR], ids=["in step", "far"])
def test_jobs_are_tried_again(network):
    episode = compare(OrderedEngine, system_of(RETRIED, network=network), JoinShortestQueue())
    jobs, totals = episode.jobs, episode.totals
    assert jobs.attempt.max() == 3
    assert totals.retries == (jobs.attempt > 0).sum() > 100
    assert totals.arrivals == len(jobs.attempt)
    failed = np.isin(jobs.outcome, [DROPPED, REFUSED, LOST_JOB, GAVE_UP]).sum(where=jobs.attempt < 3)
    assert totals.retries <= failed  # the last ones come after the horizon
    assert totals.retries > 0.9 * failed
    is_next = (np.diff(jobs.epoch) == 0) & (np.diff(jobs.scheduler) == 0)
    assert (np.diff(jobs.arrival_time)[is_next] >= 0.0).all()
    assert WindowEngine.obstacle(Random(), Network()) is None
    told = "it draws jobs before it is known what becomes of others"
    assert WindowEngine.obstacle(Random(), Network(), has_feedback=True) == told
    assert OrderedEngine.obstacle(Random(), network, has_feedback=True) is None


def test_each_attempt_of_a_job_has_its_work_and_class():
    jobs = SimpyEngine(system_of(RETRIED), Random()).episode(Workload(system_of(RETRIED), 0), EVERYTHING).jobs
    first = {
        (scheduler, work): class_
        for scheduler, work, class_ in zip(
            *(column[jobs.attempt == 0].tolist() for column in (jobs.scheduler, jobs.work, jobs.class_)), strict=True
        )
    }
    again = jobs.attempt > 0
    columns = (column[again].tolist() for column in (jobs.scheduler, jobs.work, jobs.class_))
    assert all(first[scheduler, work] == class_ for scheduler, work, class_ in zip(*columns, strict=True))


@pytest.mark.parametrize("kind", [WindowEngine, OrderedEngine])
def test_the_kernel_of_stations_gives_a_fifo_queue_its_bits(kind, monkeypatch):
    system = system_of(Station(), service_rates=np.tile([0.5, 1.0, 2.0, 1.0], 4))
    plain = kind(system, JoinShortestQueue()).episode(Workload(system, 0), EVERYTHING)
    monkeypatch.setattr(Station, "is_plain", property(lambda station: False))
    check_equal(plain, kind(system, JoinShortestQueue()).episode(Workload(system, 0), EVERYTHING))
    check_equal(plain, SimpyEngine(system, JoinShortestQueue()).episode(Workload(system, 0), EVERYTHING))


def test_threads_and_windows_make_no_difference(monkeypatch):
    system = system_of(ALL_AT_ONCE)
    one = WindowEngine(system, JoinShortestQueue()).episode(Workload(system, 1), EVERYTHING)
    monkeypatch.setattr(window_run, "SMALLEST_WINDOW", 8)
    monkeypatch.setattr(window_run, "WINDOW_JOBS", 0.5)
    check_equal(one, WindowEngine(system, JoinShortestQueue(), threads=3).episode(Workload(system, 1), EVERYTHING))


def test_slices_make_no_difference(monkeypatch):
    system = system_of(RETRIED, network=FAR)
    long = OrderedEngine(system, JoinShortestQueue()).episode(Workload(system, 1), EVERYTHING)
    monkeypatch.setattr(slices, "SLICE_JOBS", 0.3)
    monkeypatch.setattr(slices, "SMALLEST_SLICE", 1)
    check_equal(long, OrderedEngine(system, JoinShortestQueue()).episode(Workload(system, 1), EVERYTHING))


KINDS = (Random, JoinShortestQueue)
"""Rules that are drawn alike: others take their time to be compiled, and are met in `test_many_random_stations`."""


@pytest.mark.parametrize("on_networks", [False, True])
def test_random_stations(on_networks):
    for number in range(6):
        case = random_station(number, on_networks=on_networks)
        case = replace(case, dispatcher=KINDS[number % 2]())
        agreement.check(case)


@pytest.mark.slow
@pytest.mark.parametrize("on_networks", [False, True])
def test_many_random_stations(on_networks):
    for number in range(6, 16):
        agreement.check(random_station(number, on_networks=on_networks))


def test_random_stations_have_every_key():
    stations = [random_station(number).system.station for number in range(200)]
    assert {station.servers for station in stations} == {1, 2, 3}
    assert {station.discipline for station in stations} == {"fifo", "ps"}
    assert {station.has_priorities + station.preempts for station in stations} == {0, 1, 2}
    patience = [station.patience for station in stations if station.patience]
    assert {(one.of_sojourn, one.goes_on) for one in patience} == {(False, False), (True, False), (True, True)}
    failures = [station.failures for station in stations if station.failures]
    assert len({(one.jobs, one.refuses, one.told) for one in failures}) == 12
    assert {len(station.classes) for station in stations} == {0, 1, 2, 3}
    assert any(station.speeds for station in stations)
    reasons = {reason for station in stations if station.retries for reason in station.retries.on}
    assert reasons == {"drop", "refuse", "lose", "timeout"}


@pytest.mark.parametrize("sabotage", ["departure", "deadline", "start_time"])
def test_a_difference_is_found(sabotage, monkeypatch):
    """A kernel does not pass in which a number of the jobs at nodes is another one from some epoch on."""
    begin = Nodes.begin

    def spoilt(self, start, end):
        begin(self, start, end)
        if start >= 10.0:
            self.stations.slots[sabotage] *= 1.0 + 1e-12

    system = system_of(Station(servers=2, patience=Patience(exponential(1.0))))
    compare(WindowEngine, system, Random())
    monkeypatch.setattr(Nodes, "begin", spoilt)
    with pytest.raises(EnginesDifferError):
        compare(WindowEngine, system, Random())


def test_servers_that_give_other_work_than_was_done_are_found(monkeypatch):
    close = Nodes.close

    def spoilt(self):
        self.stations.nodes["given"][3] += 0.5
        close(self)

    monkeypatch.setattr(Nodes, "close", spoilt)
    system = system_of(ALL_AT_ONCE)
    with pytest.raises(RuntimeError, match=r"^server 3 has given .* of work, but .* was done of its jobs$"):
        WindowEngine(system, Random()).episode(Workload(system, 0))


def test_jobs_that_are_not_accounted_for_are_found():
    system = system_of(ALL_AT_ONCE)
    episode = WindowEngine(system, Random()).episode(Workload(system, 0))
    check_conservation(episode)
    for name in ("refused", "lost", "gave_up"):
        other = replace(episode.totals, **{name: getattr(episode.totals, name) - 1})
        with pytest.raises(RuntimeError, match="accounted for"):
            check_conservation(replace(episode, totals=other))


def test_lengths_over_time_that_do_not_fit_the_times_of_jobs_are_found():
    system = system_of(ALL_AT_ONCE, measuring=Measuring(everything=True))
    episode = WindowEngine(system, Random()).episode(Workload(system, 0))
    check_conservation(episode)
    other = replace(episode.account, presence_time=episode.account.presence_time * (1.0 + 1e-5))
    with pytest.raises(RuntimeError, match=r"^jobs have spent .* ms at servers, but queues held them for .* ms$"):
        check_conservation(replace(episode, account=other))


class Watching(Dispatcher):
    """Keeps the longest queue of which it hears."""

    information = ("broadcast",)
    longest = 0

    def route(self, view):
        self.longest = max(self.longest, int(view.queue_lengths.max()))
        return view.uniform()


@pytest.mark.parametrize("kind", [SimpyEngine, WindowEngine, OrderedEngine])
@pytest.mark.parametrize("told", [False, True])
def test_schedulers_hear_that_a_server_is_down_if_that_is_told(kind, told):
    failures = Failures(exponential(2.0), exponential(2.0), told=told)
    system = replace(system_of(Station(failures=failures)), arrivals=Switched(high=0.1, low=0.1))
    dispatcher = Watching()
    kind(system, dispatcher).episode(Workload(system, 0))
    assert (dispatcher.longest == 4) == told


NODES = 6000
WARM_UP, END = 60.0, 260.0
DEVIATIONS = 4.9
"""A normal number is farther from its mean with a probability of 1e-6."""

FIRST, SECOND = JobClass("first", 1 / 3, 0), JobClass("second", 2 / 3, 1)


def lives(station, rate, *, buffer=5, work=None, nodes=NODES):
    """Return the jobs of many queues on their own that arrived in the steady state, and each job's queue."""
    system = System(
        cycle(nodes),
        20.0,
        END,
        buffer,
        arrivals=Switched(high=rate, low=rate),
        work=work or Exponential(),
        station=station,
    )
    jobs = WindowEngine(system, SendToOwn()).episode(Workload(system, 0), Traces(jobs=True)).jobs
    kept = (jobs.arrival_time > WARM_UP) & (jobs.arrival_time < END - 60.0)
    return {name: column[kept] for name, column in vars(jobs).items()}


def check_ratio(above, below, queue, expected, within=0.06):
    """Check a ratio of sums over jobs, by queues, which are independent: an interval that is narrow and holds it."""
    tops, bottoms = (np.bincount(queue, values.astype(float), minlength=NODES) for values in (above, below))
    ratio = tops.sum() / bottoms.sum()
    error = np.sqrt(((tops - ratio * bottoms) ** 2).sum()) / bottoms.sum()
    assert DEVIATIONS * error < within * expected
    assert abs(ratio - expected) < DEVIATIONS * error


def check_share(jobs, outcome, expected, chosen=None):
    every = np.ones(len(jobs["outcome"])) if chosen is None else chosen
    check_ratio((jobs["outcome"] == outcome) * every, every, jobs["server"], expected)


def check_sojourn(jobs, expected, chosen=True):
    done = (jobs["outcome"] == COMPLETED) & chosen
    times = np.where(done, jobs["departure_time"] - jobs["arrival_time"], 0.0)
    check_ratio(times, done, jobs["server"], expected)


def test_two_servers():
    jobs = lives(Station(servers=2), 1.8)
    check_share(jobs, DROPPED, 0.141077)
    check_sojourn(jobs, 2.456965 / (1.8 * (1 - 0.141077)))  # Little's law


def test_ten_servers():
    check_share(lives(Station(servers=10), 9.0, buffer=10, nodes=700), DROPPED, 0.167963)


@pytest.mark.parametrize("work", [Exponential(), Hyperexponential(scv=4.0)])
def test_sharing_cares_for_the_mean_work_alone(work):
    jobs = lives(Station(discipline="ps"), 0.9, work=work)
    check_share(jobs, DROPPED, 0.126023)
    check_sojourn(jobs, 2.790286)


def test_priorities():
    jobs = lives(Station(has_priorities=True, classes=(FIRST, SECOND)), 0.9)
    for class_, sojourn in enumerate((1.920752, 3.225053)):
        check_sojourn(jobs, sojourn, jobs["class_"] == class_)
        check_share(jobs, DROPPED, 0.126023, (jobs["class_"] == class_).astype(float))


def test_the_first_class_takes_no_notice_of_others_if_it_preempts():
    """In a buffer that is never full, by formulas of A. Cobham (1954) for each class."""
    jobs = lives(Station(has_priorities=True, preempts=True, classes=(FIRST, SECOND)), 0.6, buffer=60)
    check_sojourn(jobs, 1 / (1 - 0.2), jobs["class_"] == 0)
    check_sojourn(jobs, 1 / ((1 - 0.2) * (1 - 0.6)), jobs["class_"] == 1)


def test_failures():
    station = Station(failures=Failures(exponential(50.0), exponential(5.0)))
    jobs = lives(station, 0.7)
    check_share(jobs, DROPPED, 0.110861)
    check_sojourn(jobs, 2.970878)


def test_patience():
    jobs = lives(Station(patience=Patience(exponential(4.0))), 0.9)
    check_share(jobs, DROPPED, 0.0278856)
    check_share(jobs, GAVE_UP, 0.205349)


def test_speeds():
    """The lengths are a chain of births and deaths."""
    speeds = (1.0, 0.5, 2.0, 3.0, 1.0)
    weights = np.cumprod([1.0, *(0.9 / speed for speed in speeds)])
    probabilities = weights / weights.sum()
    jobs = lives(Station(speeds=speeds), 0.9)
    check_share(jobs, DROPPED, probabilities[-1])
    check_sojourn(jobs, probabilities @ np.arange(6) / (0.9 * (1 - probabilities[-1])))


def test_works_of_classes():
    shares, means = (0.9, 0.1), (0.5, 5.5)
    classes = tuple(JobClass(str(mean), share, mean=mean) for share, mean in zip(shares, means, strict=True))
    jobs = lives(Station(classes=classes), 0.5, nodes=1000)
    for class_, (share, mean) in enumerate(zip(shares, means, strict=True)):
        mine = jobs["class_"] == class_
        assert abs(mine.mean() - share) < DEVIATIONS * np.sqrt(share * (1 - share) / len(mine))
        assert abs(jobs["work"][mine].mean() - mean) < DEVIATIONS * mean / np.sqrt(mine.sum())


def test_a_rule_for_each_job_meets_stations():
    assert issubclass(JoinShortestQueueWithMemory, PerJobDispatcher)
    for kind, station in ((WindowEngine, ALL_AT_ONCE), (OrderedEngine, RETRIED)):
        compare(kind, system_of(station), JoinShortestQueueWithMemory())
