"""SAC: every agent learns a policy of its own by scalable actor-critic (section 2.2), the paper's baseline.

The algorithm is that of Y. Lin, G. Qu, L. Huang, A. Wierman, *Multi-agent reinforcement learning in stochastic networked
systems* (NeurIPS 2021; the paper's [4]), step sizes and restarts those of its public implementation for tables, which
the paper adapted ([48]). An agent is a scheduler. Its state is the queue lengths of its accessible servers, its own
first; its action is the one accessible server that gets all its jobs of the epoch; its reward is minus the expected
drops of its own server. Actor: a softmax for each agent and state. Critic: a value for each agent, keyed by the state
and the actions of those within one hop (kappa = 1), on which alone its reward depends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.compiling import compiled
from emulator.errors import InputError
from emulator.randomness import DECISION, random_uniform
from emulator.system import System
from emulator.topology import Topology
from emulator.workload import Workload
from policies.environment import ParallelNetworks
from policies.epoch_law import EpochLaw, _advance, _table
from policies.evaluation import EVALUATION_SEED

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_NUMBERS = 50_000_000
"""Numbers in the tables of all agents together; a table grows exponentially with the size of a neighbourhood."""


@dataclass(frozen=True, kw_only=True)
class SacPreset:
    """Hyperparameters of the scalable actor-critic; step sizes and restarts are those of its public implementation."""

    episodes: int = 20_000
    """Episodes that are learned from, M."""

    evaluate_every: int = 500
    """Episodes between two looks at how good the policies are."""

    epochs: int = 50
    """Decision epochs of an episode, T (section 3): whoever makes the system sets its horizon by it."""

    discount: float = 0.99
    """Discount factor per epoch, gamma (Table 2)."""

    actor_step: float = 5.0
    """Step size of the policies after episode m is `actor_step / sqrt(m mod restart + 1)`."""

    restart: int = 100
    """Episodes after which the step sizes of actor and critic begin anew; the tables stay.

    That of the critic at transition t of T (from 1) is `1 / sqrt((m mod restart) * T + t)`.
    """


SAC = SacPreset()


def places(buffer: int, columns: int) -> Integers:
    """Return what a job in each accessible server adds to the number of a state."""
    return (buffer + 1) ** np.arange(columns)


@compiled(inline="always")
def _weigh(row, count, weights):  # type: ignore[no-untyped-def]
    """Write the softmax of `row[:count]`, times the sum that is returned."""
    largest = row[0]
    for column in range(1, count):
        largest = max(largest, row[column])
    total = 0.0
    for column in range(count):
        weights[column] = np.exp(row[column] - largest)
        total += weights[column]
    return total


@compiled()
def _act(logits, queue_lengths, access, offsets, places, seed, replication, epoch, states, actions):  # type: ignore[no-untyped-def]
    """Write the number of each agent's state and the column of the server that its policy draws, by decision coin."""
    weights = np.empty(logits.shape[2])
    for node in range(len(queue_lengths)):
        first, count = offsets[node], offsets[node + 1] - offsets[node]
        state = 0
        for column in range(count):
            state += queue_lengths[access[first + column]] * places[column]
        total = _weigh(logits[node, state], count, weights)
        threshold = random_uniform(node, epoch, 0, DECISION, seed, replication) * total
        action, passed = 0, 0.0
        for column in range(count - 1):
            passed += weights[column]
            action += threshold >= passed
        states[node] = state
        actions[node] = action


@compiled()
def _receive(actions, access, offsets, arrival_rate, received):  # type: ignore[no-untyped-def]
    """Write the jobs per ms that come to each server when each agent sends all its jobs to one."""
    received[:] = 0.0
    for node in range(len(actions)):
        received[access[offsets[node] + actions[node]]] += arrival_rate


@compiled()
def _received(logits, queue_lengths, access, offsets, places, seed, replications, epoch, arrival_rates):  # type: ignore[no-untyped-def]
    """Return the jobs per ms that come to each server, copies x nodes, when all agents act."""
    copies, nodes = queue_lengths.shape
    received = np.empty((copies, nodes))
    states, actions = np.empty(nodes, dtype=np.int64), np.empty(nodes, dtype=np.int64)
    for copy in range(copies):
        _act(logits, queue_lengths[copy], access, offsets, places, seed, replications[copy], epoch, states, actions)
        _receive(actions, access, offsets, arrival_rates[copy], received[copy])
    return received


@compiled()
def _play(logits, values, graph, law, arrival_rates, seed, episode, critic_steps, discount):  # type: ignore[no-untyped-def]
    """Play an episode from empty queues while the critics learn: the inner loop.

    Return the drops, and, epochs + 1 x agents, the states, the actions and where in `values` they stand together.
    """
    access, offsets, places, action_places, value_offsets, joint_actions = graph
    tables, table_of, kinds, step = law
    nodes, epochs = logits.shape[0], len(arrival_rates)
    states = np.empty((epochs + 1, nodes), dtype=np.int64)
    actions, keys = np.empty_like(states), np.empty_like(states)
    graph_of, replications = np.zeros(1, dtype=np.int64), np.full(1, episode)
    queue_lengths, received = np.zeros((1, nodes), dtype=np.int64), np.empty((1, nodes))
    drops = np.empty((1, nodes))
    dropped = 0.0
    for epoch in range(epochs + 1):
        _act(logits, queue_lengths[0], access, offsets, places, seed, episode, epoch, states[epoch], actions[epoch])
        for node in range(nodes):
            joint = 0
            for place in range(offsets[node], offsets[node + 1]):
                joint += actions[epoch, access[place]] * action_places[place]
            key = value_offsets[node] + states[epoch, node] * joint_actions[node] + joint
            keys[epoch, node] = key
            if epoch > 0:
                before = keys[epoch - 1, node]
                target = discount * values[key] - drops[0, node]
                values[before] += critic_steps[epoch - 1] * (target - values[before])
        if epoch < epochs:  # those of the last are for the value of where the episode ends
            _receive(actions[epoch], access, offsets, arrival_rates[epoch], received[0])
            table = tables[table_of[epoch]]
            drops = _advance(queue_lengths, received, table, kinds, graph_of, step, seed, replications, epoch)
            dropped += drops.sum()
    return dropped, states, actions, keys


@compiled()
def _improve(logits, values, graph, states, actions, keys, actor_step, discount):  # type: ignore[no-untyped-def]
    """Change each agent's policy by the gradient with the values of all within one hop, one epoch after the other."""
    access, offsets = graph[0], graph[1]
    nodes = logits.shape[0]
    weights = np.empty(logits.shape[2])
    for node in range(nodes):
        count = offsets[node + 1] - offsets[node]
        factor = actor_step / nodes
        for epoch in range(len(states)):
            value = 0.0
            for place in range(offsets[node], offsets[node + 1]):
                value += values[keys[epoch, access[place]]]
            row = logits[node, states[epoch, node]]
            total = _weigh(row, count, weights)
            for column in range(count):
                chosen = 1.0 if column == actions[epoch, node] else 0.0
                row[column] += factor * value * (chosen - weights[column] / total)
            factor *= discount


@dataclass(frozen=True, eq=False)
class Actors:
    """A policy for each agent: the probabilities of its accessible servers, by the queue lengths of these.

    The columns are the accessible servers, the own one first, then the neighbours in increasing index; an agent with
    fewer of them than another has padded columns at the end. A state's number has the lengths for digits, that of
    column 0 the least: the sum of `lengths[column] * (buffer + 1)**column`, padded columns counting 0.
    """

    topology: Topology
    buffer: int
    logits: Floats
    """Agents x states x columns; those of padded columns mean nothing."""

    @property
    def columns(self) -> int:
        """How many servers an agent can access at most."""
        return self.logits.shape[2]

    @cached_property
    def table(self) -> Floats:
        """The probabilities, agents x states x columns; 0 in padded columns."""
        accessible = np.arange(self.columns) <= self.topology.degrees[:, None, None]
        logits = np.where(accessible, self.logits, -np.inf)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        return weights / weights.sum(axis=2, keepdims=True)

    def probabilities(self, schedulers: ArrayLike, queue_lengths: ArrayLike) -> Floats:
        """Return rows x columns for agents (rows) that see these lengths (rows x columns)."""
        return self.table[np.asarray(schedulers), np.asarray(queue_lengths) @ places(self.buffer, self.columns)]

    def received(self, networks: ParallelNetworks) -> Floats:
        """Return the jobs per ms that come to each server in the networks' next epoch, copies x nodes.

        Servers are drawn by the decision coins, as the dispatcher SAC does.
        """
        return _received(
            self.logits,
            networks.queue_lengths,
            networks.system.access,
            networks.system.access_offsets,
            places(self.buffer, self.columns),
            np.uint64(networks.system.seed),
            networks.replications,
            networks.epoch,
            networks.arrival_rates[:, networks.epoch],
        )


def drops(system: System, actors: Actors, *, episodes: int, seed: int = EVALUATION_SEED) -> Floats:
    """Return the drops per server and 50 ms in each episode, on the paths of `policies.evaluation.drops`."""
    networks = ParallelNetworks(system, copies=episodes, seed=seed)
    networks.reset()
    total = np.zeros(episodes)
    while not networks.is_over:
        total += networks.step_received(actors.received(networks)).mean(axis=1)
    return total * 50.0 / system.horizon


class ActorCritic:
    """The training of all agents of a system, which can be taken up where its state was saved.

    An episode is the system's, up to its horizon. `seed` takes the place of the system's: every number is drawn at an
    address of it and the episode, so the same seed gives the same policies to the last bit. Raises `InputError` for
    tables that would be too large and for systems that `EpochLaw` does not know.
    """

    def __init__(self, system: System, *, seed: int, preset: SacPreset = SAC):
        self.system = replace(system, seed=seed)
        self.preset = preset
        self.episode = 0
        """How many episodes were played."""
        nodes, lengths, columns = system.nodes, system.buffer + 1, system.topology.max_degree + 1
        servers = system.topology.degrees + 1
        access, offsets = system.access.astype(np.int64), system.access_offsets
        with np.errstate(over="ignore"):
            factors = np.multiply.reduceat(servers[access].astype(np.float64), offsets[:-1])
            numbers = (float(lengths) ** servers * factors).sum() + nodes * np.float64(lengths) ** columns * columns
        if not numbers <= MOST_NUMBERS:
            raise InputError(
                f"SAC would need tables of {numbers:.3g} numbers for the neighbourhoods of this system, "
                f"at most are {MOST_NUMBERS}: take fewer nodes, fewer neighbours or a smaller buffer"
            )
        joint_actions = factors.astype(np.int64)
        """How many actions those within one hop have together."""
        action_places = np.ones(len(access), dtype=np.int64)
        for node in range(nodes):
            here = slice(offsets[node], offsets[node + 1])
            action_places[here] = np.cumprod([1, *servers[access[here]][:-1]])
        value_offsets = np.concatenate([[0], np.cumsum(lengths**servers * joint_actions)])
        self.logits = np.zeros((nodes, lengths**columns, columns))
        self.values = np.zeros(value_offsets[-1])
        """Q, agent after agent: states x joint actions of each."""
        self._graph = access, offsets, places(system.buffer, columns), action_places, value_offsets, joint_actions
        law = EpochLaw([self.system])
        durations, table_of = np.unique(np.diff(Workload(self.system, 0).times).round(9), return_inverse=True)
        tables = [_table(law.buffer, law.service_rates, duration, law.step, law.points) for duration in durations]
        self._law = np.array(tables), table_of, law.kinds, law.step

    def run(self, episodes: int) -> float:
        """Learn from some more episodes and return the mean drops per node and epoch met in them."""
        preset, epochs = self.preset, len(self._law[1])
        dropped = 0.0
        for _ in range(episodes):
            since = self.episode % preset.restart
            met, *history = _play(
                self.logits,
                self.values,
                self._graph,
                self._law,
                Workload(self.system, self.episode).arrival_rates,
                np.uint64(self.system.seed),
                self.episode,
                1.0 / np.sqrt(since * epochs + np.arange(1.0, epochs + 1.0)),
                preset.discount,
            )
            step = preset.actor_step / np.sqrt(since + 1.0)
            _improve(self.logits, self.values, self._graph, *history, step, preset.discount)
            self.episode += 1
            dropped += met
        return dropped / max(1, episodes * epochs * self.system.nodes)

    def actors(self) -> Actors:
        """Return the policies as they are now."""
        return Actors(self.system.topology, self.system.buffer, self.logits.copy())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what `load_state` goes on from: plain arrays, for a file of NumPy."""
        return {"episode": np.array(self.episode), "logits": self.logits.copy(), "values": self.values.copy()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned for the same system, seed and preset. Raises `InputError` for another."""
        for name, mine in (("episode", np.array(0)), ("logits", self.logits), ("values", self.values)):
            shape = np.shape(state[name])
            if shape != mine.shape:
                raise InputError(f"the saved training is of another system: {name} must be {mine.shape}, got {shape}")
        self.episode = int(state["episode"])
        self.logits[:] = state["logits"]
        self.values[:] = state["values"]


def train_actors(
    system: System,
    *,
    seed: int,
    episodes: int = SAC.episodes,
    evaluate_every: int = SAC.evaluate_every,
    on_episode: Callable[[int, float, float], None] = lambda episode, drops, seconds: None,
) -> Actors:
    """Return the policies after so many episodes of the system.

    After every `evaluate_every` of them, and after the last, `on_episode` is told how many were played, the mean drops
    per node and epoch met in those since the last call, and the seconds of training so far, its own left out.
    """
    training = ActorCritic(system, seed=seed)
    seconds = 0.0
    while training.episode < episodes:
        started = time.perf_counter()
        met = training.run(min(evaluate_every, episodes - training.episode))
        seconds += time.perf_counter() - started
        on_episode(training.episode, met, seconds)
    return training.actors()
