"""Clients wait for their jobs: closed systems and sessions, in SimPy and in the ordered engine."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchers.rules.basic import Random, SendToOwn
from emulator.engines.comparison import check_equal
from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.episode import COMPLETED, IN_SYSTEM, UNTRACED, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Closed, Sessions
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import Exponential
from emulator.model.measuring import Measuring
from emulator.model.network import Duration, Latency, Network
from emulator.model.station import JobClass, Patience, Retries, Station
from emulator.model.system import System
from emulator.model.topologies.cycle import cycle
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True, nodes=True)
THINK = Duration(3.0, Exponential())
CLOSED = Closed(clients=6, think=THINK)
SESSIONS = Sessions(rate=0.25, jobs=3.0, think=THINK)
IMPATIENT = Station(
    has_priorities=True,
    classes=(JobClass("short", 0.7, 0, 0.5), JobClass("long", 0.3, 1, 2.0)),
    patience=Patience(Duration(2.0, Exponential())),
    retries=Retries(("drop", "timeout"), 2, Duration(1.0, Exponential())),
)
LATE = Network(dispatch=Latency(base=Duration(0.5, Exponential())))


def system_of(arrivals, station=None, *, nodes=8, horizon=60.0, buffer=3, **more):
    return System(cycle(nodes), 3.0, horizon, buffer, arrivals=arrivals, station=station or Station(), **more)


def emulated(system, dispatcher, replication=0, traces=EVERYTHING):
    return OrderedEngine(system, dispatcher).episode(Workload(system, replication), traces)


@pytest.mark.parametrize("arrivals", [CLOSED, SESSIONS], ids=["closed", "sessions"])
@pytest.mark.parametrize("station", [pytest.param(None, marks=pytest.mark.slow), IMPATIENT], ids=["queue", "impatient"])
def test_engines_agree(arrivals, station):
    system = system_of(arrivals, station, network=LATE if station else Network(), measuring=Measuring(10.0, 2))
    for dispatcher in (SendToOwn(), Random()):
        reference = SimpyEngine(system, dispatcher).episode(Workload(system, 0), EVERYTHING)
        check_equal(reference, emulated(system, dispatcher))
    assert reference.totals.arrivals > 300
    assert (reference.totals.retries > 30) == (station is not None)


def most_at_once(jobs, scheduler):
    """How many jobs of a scheduler there are at once, at most; what is not completed is gone at once."""
    mine = (jobs.scheduler == scheduler) & np.isin(jobs.outcome, [COMPLETED, IN_SYSTEM])
    comes, goes = jobs.arrival_time[mine], jobs.departure_time[mine]
    changes = [(time, 1) for time in comes] + [(time, -1) for time in goes[~np.isnan(goes)]]
    return max(np.cumsum([change for _, change in sorted(changes)]))


def test_no_client_has_two_jobs():
    jobs = emulated(system_of(CLOSED, buffer=20), SendToOwn()).jobs
    most = [most_at_once(jobs, scheduler) for scheduler in range(8)]
    assert max(most) == 6
    assert min(most) > 1


def test_a_client_thinks_after_the_last_attempt():
    """With jobs that are all dropped, a client's cycle takes its backoffs and one thinking."""
    retries = Retries(("timeout",), 2, Duration(1.0))
    station = Station(patience=Patience(Duration(0.0), of_sojourn=True), retries=retries)
    system = system_of(Closed(clients=1, think=Duration(5.0)), station, nodes=3, horizon=50.0)
    jobs = SimpyEngine(system, SendToOwn()).episode(Workload(system, 0), EVERYTHING).jobs
    of_one = jobs.arrival_time[jobs.scheduler == 0]
    assert of_one.tolist() == [7.0 * job + time for job in range(7) for time in (5.0, 6.0, 7.0)]
    assert jobs.attempt[jobs.scheduler == 0].tolist() == [0, 1, 2] * 7


def test_the_machine_repairman():
    """Throughput and sojourn time of 8 clients who think for 8 ms at a queue of 8 places, in the long run."""
    arrivals = Closed(clients=8, think=Duration(8.0, Exponential()))
    system = system_of(arrivals, nodes=500, horizon=400.0, buffer=8, measuring=Measuring(100.0, everything=True))
    accounts = [emulated(system, SendToOwn(), replication, UNTRACED).account for replication in range(8)]
    for found, value in (
        ([each.arrivals / each.span / 500 for each in accounts], 0.764430),
        ([each.sojourn_time / each.completions for each in accounts], 2.465318),
    ):
        error = np.std(found, ddof=1) / len(found) ** 0.5
        assert abs(np.mean(found) - value) < 5.5 * error
        assert error < 0.003 * value


def test_sessions_have_as_many_jobs_as_they_should():
    """In the long run; with room for all, so that no client leaves early or late."""
    system = system_of(SESSIONS, nodes=500, horizon=400.0, buffer=80, measuring=Measuring(200.0))
    rates = [emulated(system, SendToOwn(), number, UNTRACED).account.arrivals / 500 / 200.0 for number in range(6)]
    error = np.std(rates, ddof=1) / len(rates) ** 0.5
    assert abs(np.mean(rates) - 0.75) < 6.0 * error
    assert error < 0.01


def test_a_clients_jobs_are_the_same_under_all_dispatchers():
    works = [set(emulated(system_of(CLOSED), rule).jobs.work.tolist()) for rule in (Random(), SendToOwn())]
    fewer, more = sorted(works, key=len)
    assert len(fewer & more) > 0.9 * len(fewer)


def test_weights_divide_the_time_for_which_clients_think():
    weights = Weights.model_validate([4.0] * 2 + [0.0] * 6)
    system = system_of(CLOSED.model_copy(update={"weights": weights}))
    jobs = emulated(system, SendToOwn()).jobs
    assert set(jobs.scheduler.tolist()) == {0, 1}
    few = emulated(replace(system, arrivals=CLOSED), SendToOwn()).jobs
    assert (jobs.scheduler == 0).sum() > 1.2 * (few.scheduler == 0).sum()
