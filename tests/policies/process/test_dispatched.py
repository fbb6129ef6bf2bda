"""Dispatchers that are asked by the law of the epochs, and their scores, against engines and exact laws."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from test_epoch_law import exact

from dispatchers.choice import pick
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.onnx_files.kinds import CONTRACT_VERSION
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldGlobal, MeanFieldNeighbourhood, MeanFieldOwn
from dispatchers.rules.memory import RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.compiled.numbering import AllAtOnce
from emulator.engines.observations import EpochDraws
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.system import System
from emulator.model.topologies import edge_list, torus
from emulator.workload.workload import Workload
from policies.export import fixed_to_onnx, write
from policies.process import dispatched
from policies.process.dispatched import DispatchedNetworks
from policies.process.networks import ParallelNetworks
from policies.process.scoring import score

BUFFER = 5


def begun(system, **options):
    networks = ParallelNetworks(system, **options)
    networks.reset()
    return networks


def test_own_is_the_queue_with_switched_arrival_rate():
    # The law over (rate, length) is carried through all epochs, the last one shorter.
    system = System(torus(5), delta_t=4.0, horizon=22.0, buffer=3)
    arrivals = system.arrivals
    switch = np.array([
        [1 - arrivals.high_to_low, arrivals.high_to_low],
        [arrivals.low_to_high, 1 - arrivals.low_to_high],
    ])  # fmt: skip
    joint, expected = np.outer([0.5, 0.5], np.eye(4)[0]), 0.0
    for duration in [4.0] * 5 + [2.0]:
        for number, rate in enumerate((arrivals.high, arrivals.low)):
            probability = joint[number].sum()
            law, dropped = exact(joint[number] / probability, rate, 1.0, duration, 3)
            joint[number], expected = law * probability, expected + dropped * probability
        joint = switch.T @ joint
    sample = score(SendToOwn(), system, 4000, 9)
    assert stats.ttest_1samp(sample, expected * 50 / 22).pvalue > 1e-6
    assert sample.std() / math.sqrt(4000) < 0.01 * expected


@pytest.mark.parametrize("draws", ["job", "epoch"])
def test_the_engine_drops_as_many_jobs_as_the_law_expects(draws):
    rule = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    tree = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]])
    system = System(tree, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7], delta_t=3.0, horizon=20.0)
    dispatcher = MeanFieldOwn(rule=rule, draws=draws)
    episodes = [SimpyEngine(system, dispatcher).episode(Workload(system, number)).totals for number in range(400)]
    dropped = np.array([totals.drops for totals in episodes]) / system.nodes * 50.0 / 20.0
    # The same seed, so the same paths of arrival rates.
    expected = score(dispatcher, system, 400, system.seed)
    assert stats.ttest_rel(dropped, expected).pvalue > 1e-6
    assert (dropped - expected).std() / math.sqrt(400) < 0.05 * expected.mean()


def test_jsq_drops_as_many_jobs_as_in_the_engine():
    tree = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]])
    system = System(tree, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7], delta_t=3.0, horizon=20.0)
    episodes = [
        SimpyEngine(system, JoinShortestQueue()).episode(Workload(system, number)).totals for number in range(400)
    ]
    dropped = np.array([totals.drops for totals in episodes]) / system.nodes * 50.0 / 20.0
    expected = score(JoinShortestQueue(), system, 400, system.seed)
    assert stats.ttest_rel(dropped, expected).pvalue > 1e-6
    assert (dropped - expected).std() / math.sqrt(400) < 0.05 * expected.mean()


def test_random_equals_own_on_a_regular_graph():
    system = System(torus(4))
    np.testing.assert_allclose(score(Random(), system, 5), score(SendToOwn(), system, 5), rtol=1e-9)


class ByEverything(Dispatcher):
    """A rule that looks at whatever belongs to one scheduler and epoch alone."""

    draws = "epoch"

    def __init__(self, *names):
        self.names = names

    def route(self, view):
        """Send by a cost that each of the names has a part in, nearly all to the least one."""
        columns = np.arange(1, view.accessible.shape[1] + 1)
        cost = view.queue_lengths + sum(
            np.sin(getattr(view, name).reshape(view.rows, -1) * columns) for name in self.names
        )
        return 0.75 * view.least(cost) + 0.25 * view.uniform()


TREE = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]], nodes=6)


def with_random_lengths(dispatcher, system, copies=5):
    networks = DispatchedNetworks(dispatcher, system, copies=copies, seed=3)
    networks.reset()
    networks.queue_lengths[:] = np.random.default_rng(1).integers(0, system.buffer + 1, networks.queue_lengths.shape)
    return networks


def decided(dispatcher, networks, copy):
    """Return what the engine's decisions come to in a copy, one row of probabilities for each scheduler."""
    system = networks.system
    decisions = AllAtOnce(dispatcher, system)
    draws = EpochDraws(Workload(system, int(networks.replications[copy])), networks.epoch)
    decisions.decide(networks.queue_lengths[copy].astype(np.int32), draws, decisions.at_start())
    counts = decisions.counts[:, None]
    columns = np.minimum(np.arange(counts.max()), counts - 1)
    cumulative = decisions.answers[decisions.start[:, None] + columns]
    if dispatcher.draws == "epoch":
        cumulative = np.array(
            [np.arange(len(row)) >= pick(row, coin) for row, coin in zip(cumulative, draws.coins, strict=True)]
        )
    return np.diff(cumulative, axis=1, prepend=0.0)


@pytest.mark.parametrize(
    "dispatcher",
    [
        Random(),
        MeanFieldOwn(rule=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        JoinShortestQueue(),
        JoinShortestQueue(ties="job"),
        ByEverything("coins"),
        ByEverything("order"),
        ByEverything("schedulers"),
    ],
    ids=lambda each: f"{type(each).__name__} {getattr(each, 'names', each.draws)}",
)
def test_servers_receive_what_the_engines_rule_values_send_them(dispatcher):
    system = System(TREE, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7, 1.0])
    networks = with_random_lengths(dispatcher, system)
    expected = np.zeros((5, 6))
    for copy in range(5):
        for node, sent in enumerate(decided(dispatcher, networks, copy)):
            servers = system.access.of(node)
            np.add.at(expected[copy], servers, networks.arrival_rates[copy, 0] * sent[: len(servers)])
    networks.advance()
    np.testing.assert_allclose(networks.received, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("draws", ["job", "epoch"])
def test_a_dispatcher_with_a_rule_does_what_the_rule_does_in_training(draws):
    system, rule = System(TREE), np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    networks = with_random_lengths(MeanFieldOwn(rule=rule.tolist(), draws=draws), system)
    twin = begun(system, copies=5, seed=3, draws=draws)
    twin.queue_lengths[:] = networks.queue_lengths
    for _ in range(3):
        np.testing.assert_allclose(networks.advance(), twin.step(rule[twin.queue_lengths]), rtol=1e-9)
        np.testing.assert_array_equal(networks.queue_lengths, twin.queue_lengths)
    assert (set(np.unique(twin.offloaded)) == {0.0, 1.0}) == (draws == "epoch")


@pytest.mark.parametrize("names", [[], ["coins"], ["schedulers"]])
def test_copies_that_are_asked_together_are_scored_as_alone(names, monkeypatch):
    system = System(TREE, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7, 1.0])
    together = score(ByEverything(*names), system, 6)
    monkeypatch.setattr(dispatched, "SCHEDULERS_AT_ONCE", 1)
    np.testing.assert_array_equal(score(ByEverything(*names), system, 6), together)


def test_all_executions_of_a_rule_that_observes_nothing_agree(tmp_path):
    system, rule, path = System(torus(4)), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], str(tmp_path / "rule.onnx")
    write(Path(path), fixed_to_onnx(rule, {"contract_version": CONTRACT_VERSION}))
    own = score(MeanFieldOwn(rule=rule), system, 3)
    for dispatcher in (MeanFieldOwn(path), MeanFieldNeighbourhood(path), MeanFieldGlobal(path)):
        np.testing.assert_allclose(score(dispatcher, system, 3), own, rtol=1e-5)


def test_a_rule_without_a_law_and_one_that_does_not_fit_are_refused():
    system = System(torus(3))
    with pytest.raises(
        DispatcherError, match=r"^RR: has no law of the epochs, as it chooses for each job by those sent"
    ):
        score(RoundRobin(), system)
    with pytest.raises(DispatcherError, match=r"^MF-R: was made for buffer 1, the scenario has buffer 5$"):
        score(MeanFieldOwn(rule=[0.0, 1.0]), system)
