"""SAC's training against a plain one, and what comes of it: policies, their file, their score. No torch."""

import math
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from dispatchers.onnx_files.kinds import CONTRACT_VERSION, AgentPolicy
from dispatchers.rules.basic import Random
from emulator.engines.simpy.engine import SimpyEngine
from emulator.errors import InputError
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list, torus
from emulator.randomness import DECISION, random_uniform
from emulator.workload.workload import Workload
from policies.algorithms.actor_critic import ActorCritic, ScalableActorCritic, convergence, train_actors
from policies.algorithms.actors import Actors, actors_to_onnx
from policies.export import write
from policies.log import TrainingLog, lines_of
from policies.process.dispatched import DispatchedNetworks
from policies.process.epoch_law import EpochLaw
from policies.process.scoring import dispatcher_of, score

SAC = ScalableActorCritic()
SHORT = ScalableActorCritic(iterations=200)

TREE = edge_list([[0, 1], [0, 2], [2, 3]], nodes=5)
"""Agents with 1, 2 and 3 accessible servers; the last has no neighbour."""


make_system = partial(System, delta_t=3.0, horizon=30.0)


def sac(actors):
    """Return the dispatcher that executes policies."""
    return dispatcher_of(actors_to_onnx(actors, {}), "SAC")


def drops(system, actors, **options):
    return score(sac(actors), system, **options)


def random_actors(topology, buffer, seed=3):
    columns = topology.max_degree + 1
    logits = np.random.default_rng(seed).normal(size=(topology.nodes, (buffer + 1) ** columns, columns))
    return Actors(topology, buffer, 2.0 * logits)


class PlainActorCritic:
    """The same algorithm in dictionaries and loops: logits by agent and lengths, values by agent, lengths, actions."""

    def __init__(self, system, preset):
        self.system, self.preset = system, preset
        self.law = EpochLaw([system])
        self.access = [
            [int(server) for server in system.access.servers[start:end]]
            for start, end in zip(system.access.offsets[:-1], system.access.offsets[1:], strict=True)
        ]
        self.logits, self.values = {}, {}
        self.dropped = 0.0

    def row(self, agent, seen):
        return self.logits.setdefault((agent, seen), np.zeros(len(self.access[agent])))

    def probabilities(self, agent, seen):
        weights = np.exp(self.row(agent, seen))
        return weights / weights.sum()

    def play(self, episode):
        preset, agents = self.preset, range(self.system.nodes)
        workload = Workload(self.system, episode)
        epochs, durations = workload.epochs, np.diff(self.system.timetable.times)
        since = episode % preset.restart
        lengths = np.zeros((1, self.system.nodes), dtype=np.int64)
        history, rewards = [], []
        for t in range(epochs + 1):
            seen = [tuple(int(lengths[0, server]) for server in self.access[agent]) for agent in agents]
            actions = []
            for agent in agents:
                coin = random_uniform(agent, t, 0, DECISION, np.uint64(self.system.seed), episode)
                cumulative = np.cumsum(self.probabilities(agent, seen[agent]))
                actions.append(min(int((coin >= cumulative).sum()), len(cumulative) - 1))
            keys = [(i, seen[i], tuple(actions[j] for j in self.access[i])) for i in agents]
            history.append((seen, actions, keys))
            if t > 0:
                step = 1.0 / math.sqrt(since * epochs + t)
                for agent in agents:
                    before = history[-2][2][agent]
                    old, new = self.values.get(before, 0.0), self.values.get(keys[agent], 0.0)
                    self.values[before] = old + step * (rewards[-1][agent] + preset.discount * new - old)
            if t < epochs:
                received = np.zeros((1, self.system.nodes))
                for agent in agents:
                    received[0, self.access[agent][actions[agent]]] += workload.arrival_rates[t]
                one = np.zeros(1, dtype=np.int64)
                dropped = self.law.advance(
                    lengths, received, one, float(durations[t]), self.system.seed, one + episode, t
                )
                rewards.append(-dropped[0])
                self.dropped += dropped.sum()
        eta = preset.actor_step / math.sqrt(since + 1)
        for agent in agents:
            for t, (seen, actions, keys) in enumerate(history):
                value = sum(self.values.get(keys[other], 0.0) for other in self.access[agent])
                score = -self.probabilities(agent, seen[agent])
                score[actions[agent]] += 1.0
                step = eta * preset.discount**t / self.system.nodes
                self.logits[agent, seen[agent]] = self.row(agent, seen[agent]) + step * value * score


# The training


@pytest.mark.parametrize(
    "system",
    [
        make_system(cycle(5)),
        make_system(TREE, buffer=2, horizon=21.0, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7]),
        replace(make_system(cycle(3), buffer=3), horizon=31.0),  # the last epoch is shorter
    ],
    ids=["ring", "tree", "cut short"],
)
def test_the_updates_are_those_of_a_plain_implementation(system):
    preset = ScalableActorCritic(restart=4)  # so that some of the episodes are after a restart
    training = ActorCritic(system, seed=7, preset=preset)
    plain = PlainActorCritic(replace(system, seed=7), preset)
    met = training.run(10)
    for episode in range(10):
        plain.play(episode)
    assert met == pytest.approx(plain.dropped / (10 * Workload(system, 0).epochs * system.nodes), rel=1e-12)

    actors, lengths = training.actors(), system.buffer + 1
    expected = np.zeros_like(actors.logits)
    for (agent, seen), row in plain.logits.items():
        expected[agent, sum(length * lengths**place for place, length in enumerate(seen)), : len(row)] = row
    np.testing.assert_allclose(actors.logits, expected, rtol=1e-11, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    values, others = training.state()["values"], np.array(list(plain.values.values()))
    np.testing.assert_allclose(np.sort(values[values != 0.0]), np.sort(others[others != 0.0]), rtol=1e-11)
    assert (others != 0.0).sum() > 50


def test_the_same_seed_gives_the_same_bits_and_another_gives_others():
    system = make_system(cycle(5))
    first, again, other = (
        train_actors(system, replace(SAC, iterations=200), seed=seed).logits.tobytes() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_training_goes_on_where_it_was_saved(tmp_path):
    system = make_system(cycle(5))
    straight = ActorCritic(system, seed=1, preset=SAC)
    straight.run(300)
    half = ActorCritic(system, seed=1, preset=SAC)
    half.run(150)
    saved = half.state()
    half.run(1)  # of no effect on what was saved
    np.savez(tmp_path / "state.npz", **saved)
    resumed = ActorCritic(system, seed=1, preset=SAC)
    with np.load(tmp_path / "state.npz") as state:
        resumed.load_state(state)
    resumed.run(150)
    for name, array in straight.state().items():
        assert array.tobytes() == resumed.state()[name].tobytes()
    assert resumed.episode == 300


def test_the_state_of_another_system_is_refused():
    state = ActorCritic(make_system(cycle(5)), seed=1, preset=SAC).state()
    with pytest.raises(InputError, match=r"another system: logits must be \(6, 216, 3\), got \(5, 216, 3\)"):
        ActorCritic(make_system(cycle(6)), seed=1, preset=SAC).load_state(state)


def test_the_log_holds_what_was_met_and_training_goes_on_from_it(tmp_path):
    pytest.importorskip("torch")  # its files hold checkpoints
    system = make_system(cycle(5))
    preset = replace(SAC, iterations=250, keep_every=100)
    told = []
    actors = train_actors(system, preset, seed=1, log=TrainingLog(tmp_path / "whole", {}, told.append))
    assert told == [100, 100, 50]
    lines = lines_of(tmp_path / "whole")
    assert lines["decisions"] == [100 * 50, 200 * 50, 250 * 50]
    training = ActorCritic(system, seed=1, preset=SAC)
    met = [training.run(episodes) * 10 * 50.0 / system.horizon for episodes in (100, 100, 50)]
    np.testing.assert_allclose(lines["drops"], met, rtol=1e-12)
    train_actors(system, replace(preset, iterations=100), seed=1, log=TrainingLog(tmp_path / "part", {}))
    again = train_actors(system, preset, seed=1, log=TrainingLog(tmp_path / "part", {}))
    assert again.logits.tobytes() == actors.logits.tobytes()
    assert lines_of(tmp_path / "part")["drops"] == lines["drops"]


def test_a_fast_server_is_found():
    # Two servers do little, one has room for all jobs: everybody ought to send theirs there.
    system = make_system(cycle(3), horizon=150.0, service_rates=[0.2, 0.2, 9.0])
    before = drops(system, ActorCritic(system, seed=1, preset=SAC).actors(), episodes=50).mean()
    actors = train_actors(system, replace(SAC, iterations=1000), seed=1)
    networks = DispatchedNetworks(sac(actors), system, copies=50, seed=9)
    networks.reset()
    received = np.zeros(3)
    while not networks.is_over:
        networks.advance()
        received += networks.received.sum(axis=0)
    assert received[2] / received.sum() > 0.8
    assert drops(system, actors, episodes=50).mean() < 0.1 * before


@pytest.mark.parametrize(
    ("topology", "numbers"), [(torus(4), r"3\.89e\+08"), (edge_list([[0, leaf] for leaf in range(1, 600)]), "inf")]
)
def test_too_large_tables_are_refused(topology, numbers):
    told = rf"^SAC would need tables of {numbers} numbers .*, at most are 50000000: take fewer nodes, .*buffer$"
    with pytest.raises(InputError, match=told):
        ActorCritic(make_system(topology), seed=1, preset=SAC)


def test_other_work_than_exponential_is_refused():
    with pytest.raises(InputError, match=r"exponential only, got deterministic"):
        ActorCritic(make_system(cycle(3), work=Deterministic()), seed=1, preset=SAC)


# The policies


def test_probabilities_are_the_softmax_over_the_accessible_servers():
    actors = random_actors(TREE, 2)
    assert actors.table.shape == (5, 3**3, 3)
    np.testing.assert_allclose(actors.table.sum(axis=2), 1.0, rtol=1e-12)
    assert (actors.table[4] == [1.0, 0.0, 0.0]).all()
    row = actors.logits[1, 2 + 1 * 3, :2]  # agent 1 has two servers; with 2 jobs in its own, 1 in the other
    softmax = np.exp(row) / np.exp(row).sum()
    (answer,) = actors.probabilities([1], [[2, 1, 0]])
    np.testing.assert_allclose(answer, [*softmax, 0.0], rtol=1e-12)


def test_agents_draw_by_their_probabilities():
    actors = random_actors(TREE, 2)
    networks = DispatchedNetworks(sac(actors), make_system(TREE, buffer=2), copies=5000, seed=4)
    networks.reset()
    networks.queue_lengths[:] = [2, 0, 1, 1, 0]
    networks.advance()
    received = networks.received / networks.arrival_rates[:, :1]
    np.testing.assert_allclose(received.sum(axis=1), 5.0)
    (second,) = actors.probabilities([1], [[0, 2, 0]])  # nobody but agents 0 and 1 sends to server 1
    (hub,) = actors.probabilities([0], [[2, 0, 1]])
    counts = np.bincount(received[:, 1].round().astype(int), minlength=3)
    law = np.convolve([1 - second[0], second[0]], [1 - hub[1], hub[1]])
    assert stats.chisquare(counts, 5000 * law).pvalue > 1e-6


def test_the_engine_drops_as_many_jobs_as_the_law_expects():
    system = make_system(TREE, horizon=18.0, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7])
    actors = random_actors(TREE, system.buffer)
    dispatcher = sac(actors)
    episodes = [SimpyEngine(system, dispatcher).episode(Workload(system, number)).totals for number in range(150)]
    dropped = np.array([totals.drops for totals in episodes]) / system.nodes * 50.0 / system.horizon
    expected = drops(system, actors, episodes=150, seed=system.seed)  # the same paths and, at first, coins
    assert stats.ttest_rel(dropped, expected).pvalue > 1e-6
    assert (dropped - expected).std() / math.sqrt(150) < 0.05 * expected.mean()


def test_keeping_all_jobs_is_own():
    # Server by server the same law as OWN, and RND on a regular graph.
    system = make_system(cycle(5), arrivals=Switched(high=0.9, low=0.6))
    logits = np.tile([1000.0, 0.0, 0.0], (5, 216, 1))
    own = drops(system, Actors(system.topology, 5, logits), episodes=20)
    np.testing.assert_allclose(own, score(Random(), system, 20), rtol=1e-9)


# The file


def test_the_file_holds_the_probabilities(tmp_path):
    actors = random_actors(TREE, 2)
    path = tmp_path / "sac.onnx"
    write(path, actors_to_onnx(actors, {"seed": "5", "buffer": "9"}))
    policy = AgentPolicy(path)
    assert policy.metadata == {
        "contract_version": CONTRACT_VERSION,
        "nodes": "5",
        "buffer": "2",
        "topology_hash": TREE.graph_hash,
        "seed": "5",
    }
    states = np.array([[own, first, second] for second in range(3) for first in range(3) for own in range(3)])
    for agent in range(5):
        answer = policy.probabilities(np.full(27, agent), states)
        np.testing.assert_array_equal(answer, actors.table[agent].astype(np.float32))
        np.testing.assert_array_equal(answer, actors.probabilities([agent] * 27, states).astype(np.float32))
    outside = policy.probabilities([-1, 9, 0], [[-5, 0, 0], [0, 7, 0], [2**60, 1, 1]])
    np.testing.assert_array_equal(outside, policy.probabilities([0, 4, 0], [[0, 0, 0], [0, 2, 0], [2, 1, 1]]))


def test_the_model_is_one_closed_file():
    model = actors_to_onnx(random_actors(TREE, 2), {})
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert re.findall(r"op_type: \"(\w+)\"", str(model)) == ["Clip", "MatMul", "Clip", "Mul", "Add", "Gather"]


# Convergence


def test_convergence_is_where_the_way_to_the_best_is_made():
    time = np.arange(400)
    noise = np.random.default_rng(1).normal(0.0, 0.01, 400)
    falling = 3.0 + 2.0 * np.exp(-time / 40.0)
    exact = 40.0 * math.log(1 / 0.05)  # when 5 % of the way are left
    assert convergence(falling + noise) == pytest.approx(exact, abs=12)
    assert convergence(falling + noise, tolerance=0.02) == pytest.approx(40.0 * math.log(1 / 0.02), abs=20)
    worse_again = falling + noise + 0.005 * np.maximum(0, time - 200)
    assert convergence(worse_again) == pytest.approx(exact, abs=12)
    lucky = falling + noise
    lucky[10] -= 2.0
    assert convergence(lucky) == pytest.approx(exact, abs=12)


@pytest.mark.parametrize(("scores", "number"), [([4.0] * 9, 4), ([1, 2, 3, 4, 5, 6, 7], 4), ([2.0], 0), ([3, 1], 1)])
def test_convergence_of_short_and_flat_trainings(scores, number):
    assert convergence(scores) == number
