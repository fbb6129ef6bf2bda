"""Every law, arrival process and topology keeps its promises, and who does not is told which one."""

from itertools import count

import numpy as np
import pytest

from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.engine import ENGINES
from emulator.errors import InputError
from emulator.model.arrivals import ARRIVALS, Poisson, Renewal, Switched, TraceReplay
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import LAWS, Exponential, Hyperexponential
from emulator.model.topologies import TOPOLOGIES
from emulator.model.topologies.bipartite import Bipartite
from emulator.model.topologies.cycle import Cycle
from emulator.model.topologies.random_regular import RandomRegular
from emulator.model.topology import AccessLists, Topology, from_edges, from_entries, from_neighbours
from emulator.verification.conformance import check_arrivals, check_engine, check_law, check_topology


@pytest.mark.parametrize("law", LAWS.values())
def test_laws(law):
    for number in range(3):
        check_law(law.sample(np.random.default_rng(number)))


@pytest.mark.parametrize("process", ARRIVALS.values())
def test_arrival_processes(process):
    for number in range(3):
        check_arrivals(process.sample(np.random.default_rng(number)))


@pytest.mark.parametrize("process", ARRIVALS.values())
def test_arrival_processes_with_weights_and_batches(process):
    generator = np.random.default_rng(1)
    batches = process.sample(generator).model_copy(update={"batch": Batch.sample(generator)})
    check_arrivals(batches)
    weights = process.sample(generator).model_copy(update={"weights": Weights.sample(generator)})
    check_arrivals(weights.model_copy(update={"assign": "random"}) if process is TraceReplay else weights)


@pytest.mark.parametrize("kind", TOPOLOGIES.values())
def test_topologies(kind):
    for number in range(20):
        check_topology(kind.sample(np.random.default_rng(number)))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_engines(engine):
    check_engine(engine.load())


def test_an_engine_that_forgets_is_found():
    class Forgetful(WindowEngine):
        def parts(self, workload, traces):
            yield from list(super().parts(workload, traces))[1:]

    with pytest.raises(
        InputError, match=r"^Forgetful: random case \d+: simpy and its parts differ in epoch of the jobs"
    ):
        check_engine(Forgetful)


def test_names_are_those_of_the_registries():
    generator = np.random.default_rng(1)
    assert [law.sample(generator).law for law in LAWS.values()] == [*LAWS]
    assert [process.sample(generator).kind for process in ARRIVALS.values()] == [*ARRIVALS]
    assert [kind.sample(generator).kind for kind in TOPOLOGIES.values()] == [*TOPOLOGIES]


class SaysTwice(Exponential):
    def variance(self):
        return 2.0


class LongerThanOne(Exponential):
    def cdf(self, work):
        return super().cdf(work / 1.1)


class Promises(Hyperexponential):
    """Draws what it should, but says that it were exponential."""

    def variance(self):
        return 1.0

    def cdf(self, work):
        return -np.expm1(-work)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (SaysTwice(), "^exponential: cdf must have the variance 2, got 1$"),
        (LongerThanOne(), r"^exponential: cdf must have mean 1, got 1\.1$"),
        (Promises(scv=1.2), r"^hyperexponential: works must follow cdf to within 0\.0060, got 0\.0"),
    ],
)
def test_a_law_that_breaks_a_promise(law, message):
    with pytest.raises(InputError, match=message):
        check_law(law)


class Faster(Switched):
    def expected_rate(self, schedulers=1):
        return 1.1 * super().expected_rate()


class Lower(Switched):
    def highest_rate(self, schedulers=1):
        return self.low


class Slower(Switched):
    def stream(self, rate):
        return super().stream(0.9 * rate)


class Regular(Renewal):
    """Says that its gaps were exponential."""

    def dispersion(self):
        return 1.0


class Lazy(Poisson):
    """Brings a tenth of the jobs less than it says."""

    def arrivals(self, setting):
        return super().arrivals(setting._replace(weights=0.9 * setting.weights))._replace(shares=setting.weights)


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (Faster(), r"^switched: the rate must be 0\.89\d* on average, got 0\.81"),
        (Lower(), r"^switched: rates must be from 0 to 0\.6$"),
        (Slower(), r"^switched: jobs beyond those that the rates say must be 0 on average, got -"),
        (Lazy(rate=0.8), r"^poisson: jobs beyond those that the rates say must be 0 on average, got -"),
        (Regular(rate=0.8, gap=Hyperexponential(scv=4.0)), r"^renewal: variance over mean of jobs must be 1 on avera"),
    ],
)
def test_a_process_that_breaks_a_promise(process, message):
    with pytest.raises(InputError, match=message):
        check_arrivals(process)


def lonely(kind, seed):
    return from_edges("cycle", np.array([[0, 1]]), kind.nodes + 1)


def one_way(kind, seed):
    return from_neighbours("cycle", (np.arange(kind.nodes)[:, None] + 1) % kind.nodes)


DAYS = count()


def of_the_day(kind, seed):
    return from_edges("cycle", np.array([[0, 1 + next(DAYS) % 2]]), kind.nodes)


def of_another_kind(kind, seed):
    return from_edges("ring", np.array([[0, 1]]), kind.nodes)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lonely, "^cycle: node_count says 5, but there are 6 nodes$"),
        (one_way, "^cycle: node 1 is a neighbour of node 0, but not the other way round$"),
        (of_the_day, "^cycle: the same keys and seed must give one graph$"),
        (of_another_kind, "^cycle: the graph must have this kind, got ring"),
    ],
)
def test_a_topology_that_breaks_a_promise(monkeypatch, made, message):
    monkeypatch.setattr(Cycle, "build", made)
    with pytest.raises(InputError, match=message):
        check_topology(Cycle(nodes=5))


LISTS = Bipartite(schedulers=2, servers=3, choices=[2])


def listed(*pairs, **keys):
    return from_entries("bipartite", np.array(pairs), 2, 3, **keys)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            listed((0, 0), (0, 1), (1, 0), (1, 1)),
            r"^bipartite: servers must be chosen equally often, .* got 0 to 2 times$",
        ),
        (listed((0, 0), (0, 1), (1, 2), (1, 2)), "^bipartite: scheduler 1 can access server 2 twice$"),
        (listed((0, 0), (0, 1)), "^bipartite: scheduler 1 can access no server$"),
        (listed((0, 0), (1, 1), has_own=True), "^bipartite: has_own says False, got True$"),
        (
            from_entries("bipartite", np.array([[0, 0]]), 1, 3),
            "^bipartite: scheduler_count says 2, but there are 1 sched",
        ),
        (
            from_entries("bipartite", np.array([[0, 0], [1, 0]]), 2, 1),
            "^bipartite: server_count says 3, but there are 1",
        ),
        (from_edges("bipartite", np.array([[0, 1]]), 3), "^bipartite: has_nodes says False, got Topology$"),
        (
            listed((0, 0), (0, 1), (1, 2), lengths=np.array([1.0, -1.0, 0.0])),
            "^bipartite: lengths must be numbers >= 0$",
        ),
    ],
)
def test_access_lists_that_break_a_promise(monkeypatch, made, message):
    assert isinstance(made, AccessLists | Topology)
    monkeypatch.setattr(Bipartite, "build", lambda kind, seed: made)
    with pytest.raises(InputError, match=message):
        check_topology(LISTS)


def test_replications_that_share_a_graph_are_found(monkeypatch):
    monkeypatch.setattr(RandomRegular, "build_for", lambda kind, seed, replication: kind.build(seed))
    with pytest.raises(InputError, match=r"^random_regular: replications must draw graphs of their own$"):
        check_topology(RandomRegular(nodes=20, degree=3))


def test_graphs_that_differ_without_being_asked_for_are_found(monkeypatch):
    monkeypatch.setattr(RandomRegular, "build_for", lambda kind, seed, replication: kind.build(seed + replication))
    with pytest.raises(InputError, match=r"^random_regular: without per: replication there must be one graph$"):
        check_topology(RandomRegular(nodes=20, degree=3))


def test_edges_that_are_longer_one_way_are_found():
    topology = Topology("odd", np.array([0, 1, 2]), np.array([1, 0]), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="an edge must be as long one way as the other"):
        topology.check()


@pytest.mark.parametrize(
    ("offsets", "neighbours", "message"),
    [
        ([0, 1, 3], [1, 0], "offsets must rise"),
        ([0, 1, 2], [1, 2], "from 0 to 1"),
        ([0, 1, 2], [0, 1], "node 0 is its own neighbour"),
        ([0, 2, 3, 4], [2, 1, 0, 0], "increasing order"),
        ([0, 2, 4], [1, 1, 0, 0], "increasing order, none twice"),
    ],
)
def test_arrays_that_are_no_graph(offsets, neighbours, message):
    with pytest.raises(InputError, match=message):
        Topology("odd", np.array(offsets), np.array(neighbours)).check()
