"""The ordered engine: the same bits as SimPy on any network, as the windows where all is in step, and exact values."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchers.rules.basic import SendToOwn
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from emulator.engines.comparison import EnginesDifferError, check_equal
from emulator.engines.compiled import answers, slices
from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.compiled.sorting import in_order
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import Traces, joined
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Switched
from emulator.model.laws import Exponential
from emulator.model.network import Clock, Duration, Latency, Loss, Network
from emulator.model.system import System
from emulator.model.topologies import access_lists, edge_list, torus
from emulator.verification.random_networks import random_network
from emulator.verification.random_systems import Habitual, Tracking
from emulator.workload.workload import Workload

EVERYTHING = Traces(jobs=True, epochs=True)

FAR = Latency(base=Duration(1.0, Exponential()))

NETWORKS = {
    "in step": Network(),
    "random phases": Network(samples=Clock(2.0, "random")),
    "far and lossy": Network(samples=Clock(2.0, "random"), latency=FAR, loss=Loss(0.1, 0.8, 0.1, 0.3)),
    "polls": Network(kind="poll", samples=Clock(3.0, "even"), latency=FAR, own_is_exact=False),
    "clocks": Network(latency=FAR, decisions=Clock(1.5, "random"), keeps_newest=False),
    "thresholds": Network(samples=Clock(0.5, "random"), difference=2),
    "far servers": Network(dispatch=FAR),
}


def system_on(network, **more):
    """Return a small system on a network."""
    return System(torus(4), 2.0, 21.0, 4, np.tile([0.5, 1.0, 2.0, 1.0], 4), network=network, **more)


def compare(system, dispatcher, replication=0):
    """Compare the ordered engine with SimPy: whole, in parts, without traces, and again."""
    workload = Workload(system, replication)
    reference = SimpyEngine(system, dispatcher).episode(workload, EVERYTHING)
    engine = OrderedEngine(system, dispatcher)
    check_equal(reference, engine.episode(workload, EVERYTHING))
    jobs, epochs = zip(*engine.parts(workload, EVERYTHING), strict=True)
    check_equal(reference, replace(reference, jobs=joined(jobs), epochs=joined(epochs)))
    check_equal(replace(reference, jobs=None, epochs=None), engine.episode(workload))
    return reference


@pytest.mark.parametrize("name", NETWORKS)
def test_it_does_what_simpy_does(name):
    compare(system_on(NETWORKS[name]), JoinShortestQueue())


@pytest.mark.parametrize("dispatcher", [RoundRobin(), Tracking(), Habitual()], ids=lambda rule: type(rule).__name__)
def test_it_does_so_for_rules_that_remember(dispatcher):
    for network in NETWORKS.values():
        compare(system_on(network), dispatcher)


def test_it_does_what_simpy_does_on_random_networks():
    for number in range(5):
        case = random_network(number)
        mail = compare(case.system, case.dispatcher, case.replication).totals.mail
        assert mail.sent == mail.received + mail.lost + mail.under_way
        assert mail.ignored <= mail.received


def test_a_difference_is_seen():
    system = system_on(NETWORKS["far and lossy"])
    reference = SimpyEngine(system, JoinShortestQueue()).episode(Workload(system, 0), EVERYTHING)
    other = system_on(replace(system.network, keeps_newest=False))
    with pytest.raises(EnginesDifferError):
        check_equal(reference, OrderedEngine(other, JoinShortestQueue()).episode(Workload(other, 0), EVERYTHING))


@pytest.mark.parametrize(
    "dispatcher", [JoinShortestQueue(), MeanFieldOwn(rule=[0.1, 0.5, 0.9, 1.0, 1.0], draws="epoch")]
)
def test_it_does_what_the_windows_do(dispatcher):
    system = system_on(Network())
    windows = WindowEngine(system, dispatcher).episode(Workload(system, 3), EVERYTHING)
    check_equal(windows, OrderedEngine(system, dispatcher).episode(Workload(system, 3), EVERYTHING))


@pytest.mark.parametrize("jobs", [0.1, 0.7])
def test_slices_of_any_length_make_no_difference(monkeypatch, jobs):
    for network in NETWORKS.values():
        system = system_on(network)
        reference = OrderedEngine(system, RoundRobin()).episode(Workload(system, 1), EVERYTHING)
        with monkeypatch.context() as patch:
            patch.setattr(slices, "SLICE_JOBS", jobs)
            patch.setattr(slices, "SMALLEST_SLICE", 1)
            short = OrderedEngine(system, RoundRobin()).episode(Workload(system, 1), EVERYTHING)
        check_equal(reference, short)


def test_answers_are_forgotten_when_there_are_many(monkeypatch):
    monkeypatch.setattr(answers, "MOST", -200)  # of 80 entries, so that there is room for a few
    system = system_on(NETWORKS["far and lossy"])
    compare(system, MeanFieldGlobalLike())


class MeanFieldGlobalLike(MeanFieldOwn):
    """A rule that knows all queues and has other answers at each epoch."""

    information = ("broadcast", "global")

    def __init__(self):
        super().__init__(rule=[0.1, 0.2, 0.5, 0.9, 1.0])

    def route(self, view):
        return view.offload(0.5 * view.distribution[np.minimum(view.own_lengths, view.buffer)])


def test_instants_are_put_in_order():
    generator = np.random.default_rng(5)
    for count in (0, 1, 2, 1000):
        times, indices = generator.integers(8, 40, count) / 4.0, generator.integers(0, 5, count).astype(np.int32)
        ordered, places = in_order(times, indices, 2.0, 10.0)
        expected = np.lexsort((indices, times))
        assert places.tolist() == expected.tolist()
        assert ordered.tolist() == [*times[expected], np.inf]


@pytest.mark.parametrize(
    ("network", "dispatcher", "drops"),
    [
        (Network(), JoinShortestQueue(), 7.969628),
        (Network(samples=Clock(5.0, (0.0, 2.5) * 1000)), JoinShortestQueue(), 6.500548),
        (Network(latency=Latency(base=Duration(1.0))), JoinShortestQueue(), 7.493565),
        (Network(), SendToOwn(), 4.978659),
        (Network(dispatch=Latency(base=Duration(1.0)), own_dispatch_is_exact=False), SendToOwn(), 4.865240),
    ],
)
def test_exact_values_of_pairs_of_queues(network, dispatcher, drops):
    pairs = edge_list([[2 * pair, 2 * pair + 1] for pair in range(1000)])
    system = System(pairs, 5.0, 50.0, 5, arrivals=Switched(high=0.9, low=0.9), network=network)
    engine = OrderedEngine(system, dispatcher)
    dropped = np.array([engine.episode(Workload(system, number)).totals.drops for number in range(20)]) / 2000
    assert abs(dropped.mean() - drops) < 4.0 * dropped.std(ddof=1) / np.sqrt(20)


class Longest(JoinShortestQueue):
    """A rule that goes by costs no more."""

    def route(self, view):
        """See `Dispatcher.route`."""
        return view.least(-view.queue_lengths)


class Relative(JoinShortestQueueWithMemory):
    """A plan for a server that depends on the others."""

    def plan(self, view):
        """See `PerJobDispatcher.plan`."""
        plan = super().plan(view)
        plan[:, :, 0] -= np.where(view.accessible, view.queue_lengths, 0).max(axis=1, keepdims=True)
        return plan


OF_EACH = [
    JoinShortestQueue(),
    JoinShortestQueue(ties="job"),
    ShortestExpectedDelay(),
    RoundRobin(),
    JoinShortestQueueWithMemory(),
    JoinShortestQueueWithMemory(weight="sharing", bonus=-0.5),
]


@pytest.mark.parametrize("name", ["in step", "far and lossy", "polls"])
def test_rules_that_look_at_each_server_alone_are_asked_once(monkeypatch, name):
    """Where there are too many observations to number them; others are asked at each decision."""
    monkeypatch.setattr(answers, "LARGEST_TABLE", 10)
    asked = []
    learn = answers.OnDemand.learn
    monkeypatch.setattr(answers.OnDemand, "learn", lambda self, one: asked.append(one) or learn(self, one))
    lists = access_lists([[i, (i + 3 * j) % 16] for i in range(9) for j in range(5)], 16)
    without_own = replace(system_on(NETWORKS[name]), topology=lists)
    irregular = replace(system_on(NETWORKS[name]), topology=edge_list([[0, i] for i in range(1, 16)] + [[1, 2]]))
    for system in (system_on(NETWORKS[name]), without_own, irregular):
        for dispatcher in OF_EACH:
            asked.clear()
            compare(system, dispatcher)
            classes = len(np.unique(system.access.counts))
            assert len(asked) <= 2 * classes, dispatcher
        for dispatcher in (Longest(), Relative()):
            asked.clear()
            compare(system, dispatcher)
            assert len(asked) > 20
