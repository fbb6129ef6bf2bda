"""More jobs than the windows have room for: what is complete is served, and the episodes stay those of SimPy."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dispatchers.rules.basic import Random
from dispatchers.rules.memory import RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.comparison import check_equal
from emulator.engines.compiled import windows
from emulator.engines.compiled.filling import Filling
from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Mmpp, Poisson, Profile, Switched, TraceReplay
from emulator.model.arrivals.batch import Batch
from emulator.model.measuring import Measuring
from emulator.model.network import Duration
from emulator.model.station import Failures, JobClass, Patience, Station
from emulator.model.system import System
from emulator.model.topologies import torus
from emulator.workload.drawing import BLOCK
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True)


@pytest.fixture
def happened(monkeypatch):
    """Count how often windows end early, and how often rows are made longer."""
    calls = Counter()

    def counted(name, original):
        def call(self, argument):
            calls[name] += 1
            return original(self, argument)

        return call

    for name in ("_put_aside", "_make_room"):
        monkeypatch.setattr(Filling, name, counted(name, getattr(Filling, name)))
    return calls


def check(system, rule, threads):
    """Compare the compiled engines with SimPy, with and without traces."""
    reference = SimpyEngine(system, rule).episode(Workload(system, 0), EVERYTHING)
    engine = WindowEngine(system, rule, threads)
    check_equal(reference, engine.episode(Workload(system, 0), EVERYTHING))
    check_equal(replace(reference, jobs=None, epochs=None), engine.episode(Workload(system, 0)))
    check_equal(reference, OrderedEngine(system, rule).episode(Workload(system, 0), EVERYTHING))
    return reference


SPIKE = Profile(points=[[0, 0.02], [6.0, 0.02], [6.0, 150.0], [6.5, 0.0]])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "rule", [Random, *(pytest.param(rule, marks=pytest.mark.slow) for rule in (JoinShortestQueue, RoundRobin))]
)
def test_a_burst_within_a_window_is_served_part_by_part(rule, threads, happened, monkeypatch):
    monkeypatch.setattr(windows.Run, "_room", lambda self: BLOCK + 20)
    episode = check(System(torus(6), 4.0, 10.0, arrivals=SPIKE), rule(), threads)
    assert happened["_put_aside"] > 3
    assert episode.totals.arrivals > 1200


CLASSES = JobClass("short", 0.7, 1, 0.5), JobClass("long", 0.3, 0, 2.0)


@pytest.mark.parametrize(
    "beside",
    [
        {"measuring": Measuring(warmup=2.0, batches=3, everything=True)},
        pytest.param(
            {"station": Station(servers=2, has_priorities=True, classes=CLASSES, patience=Patience(Duration(1.0)))},
            marks=pytest.mark.slow,
        ),
        {"station": Station(failures=Failures(Duration(3.0), Duration(1.0))), "measuring": Measuring(everything=True)},
    ],
    ids=["a census", "classes and patience", "failures and a census"],
)
def test_a_burst_reaches_stations_and_the_census_part_by_part(beside, happened, monkeypatch):
    monkeypatch.setattr(windows.Run, "_room", lambda self: BLOCK + 20)
    arrivals = SPIKE.model_copy(update={"points": [(0.0, 0.5), (6.0, 0.5), *SPIKE.points[2:]]})
    episode = check(System(torus(6), 4.0, 10.0, arrivals=arrivals, **beside), Random(), 2)
    assert happened["_put_aside"] > 3
    assert episode.totals.arrivals > 1200


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "arrivals",
    [
        pytest.param(Switched(high=6.0, low=5.0), marks=pytest.mark.slow),
        Poisson(rate=6.0),
        Mmpp(rates=[30.0, 0.0], generator=[[-1.0, 1.0], [0.3, -0.3]], chain="own"),
    ],
    ids=lambda process: process.kind,
)
def test_too_little_room_for_any_window(arrivals, threads, happened, monkeypatch):
    monkeypatch.setattr(windows.Run, "_room", lambda self: BLOCK + 20)
    check(System(torus(5), 5.0, 10.0, 3, arrivals=arrivals), RoundRobin(), threads)
    assert happened["_put_aside"] > 3


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_of_any_size(threads, happened):
    arrivals = Poisson(rate=0.01, batch=Batch.model_validate(2000))
    episode = check(System(torus(3), 5.0, 40.0, arrivals=arrivals), JoinShortestQueue(), threads)
    assert episode.totals.arrivals >= 2000
    assert happened["_make_room"] > 0


def test_a_trace_that_comes_all_at_once(tmp_path, happened, monkeypatch):
    monkeypatch.setattr(windows.Run, "_room", lambda self: BLOCK + 20)
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["t", "0", *["7"] * 3000, "9"]))
    arrivals = TraceReplay(path=str(path), time="t", unit="ms", assign="random")
    episode = check(System(torus(4), 3.0, 17.0, arrivals=arrivals), Random(), 2)
    assert episode.totals.arrivals == 3002 + 3001
    assert happened["_make_room"] > 0
    jobs = episode.jobs
    assert np.count_nonzero(jobs.arrival_time == 7.0) == 3000


def test_a_burst_that_nobody_could_foresee():
    """Twenty times as many jobs come in one epoch as on average: once the windows gave up there."""
    arrivals = Mmpp(rates=[40.0, 0.0], generator=[[-0.05, 0.05], [0.002, -0.002]], chain="own")
    system = System(torus(7), 25.0, 50.0, arrivals=arrivals)
    drawn = [np.max(np.diff(Workload(system, 3).jobs(epoch).offsets)) for epoch in range(2)]
    assert max(drawn) > 500
    engine = WindowEngine(system, Random())
    reference = SimpyEngine(system, Random()).episode(Workload(system, 3), EVERYTHING)
    check_equal(reference, engine.episode(Workload(system, 3), EVERYTHING))
