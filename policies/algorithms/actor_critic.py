"""SAC: every agent learns a policy of its own by scalable actor-critic (section 2.2), the paper's baseline.

The algorithm is that of Y. Lin, G. Qu, L. Huang, A. Wierman, *Multi-agent reinforcement learning in stochastic
networked systems* (NeurIPS 2021; the paper's [4]), step sizes and restarts those of its public implementation for
tables, which the paper adapted ([48]). What an agent sees and does is told in `policies.algorithms.actors`; its reward
is minus the expected drops of its own server. Actor: a softmax for each agent and state. Critic: a value for each
agent, keyed by the state and the actions of those within one hop (kappa = 1), on which alone its reward depends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import InputError
from emulator.machine.compiling import compiled
from emulator.model.system import System
from emulator.results.measures import REFERENCE_TIME
from emulator.workload.workload import Workload
from policies.algorithms.actors import Actors, act, actors_to_onnx, places, weigh
from policies.algorithms.algorithm import Algorithm
from policies.process.epoch_law import EpochLaw, draw_epoch, tabulate
from policies.process.received import receive

if TYPE_CHECKING:
    import onnx

    from dispatchers.contract import Draws
    from emulator.scenario.scenario import Scenario
    from policies.log import TrainingLog

EPISODE_SECONDS = 3e-4
"""About what an episode takes."""

MOST_NUMBERS = 50_000_000
"""Numbers in the tables of all agents together; a table grows exponentially with the size of a neighbourhood."""


@dataclass(frozen=True, kw_only=True)
class ScalableActorCritic(Algorithm):
    """The scalable actor-critic; step sizes and restarts are those of its public implementation."""

    title: ClassVar[str] = "SacPreset"
    one_graph: ClassVar[bool] = True

    iterations: int = 15_000
    """Episodes that are learned from, M: on rings of up to 101 nodes more of them do not help."""

    evaluate_every: int = 100
    """Episodes between two looks at how good the policies are; by `restart`, so that all see the same step sizes."""

    keep_every: int = 1000
    """Episodes between two checkpoints, which are large."""

    discount: float = 0.99
    """Discount factor per epoch, gamma (Table 2)."""

    actor_step: float = 5.0
    """Step size of the policies after episode m is `actor_step / sqrt(m mod restart + 1)`."""

    restart: int = 100
    """Episodes after which the step sizes of actor and critic begin anew; the tables stay.

    That of the critic at transition t of T (from 1) is `1 / sqrt((m mod restart) * T + t)`.
    """

    @property
    def executed_as(self) -> str:
        """See `Algorithm.executed_as`."""
        return "SAC"

    def seconds_per_step(self, scenario: Scenario) -> float:
        """See `Algorithm.seconds_per_step`."""
        return EPISODE_SECONDS

    def learn(
        self, systems: Sequence[System], *, seed: int, draws: Draws, log: TrainingLog, metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """See `Algorithm.learn`; the server of an epoch's jobs is drawn once, whatever `draws` is."""
        (system,) = systems
        return actors_to_onnx(train_actors(system, self, seed=seed, log=log), metadata)

    def convergence(self, drops: Sequence[float]) -> int:
        """See `Algorithm.convergence`."""
        return 1 + convergence(drops)


@compiled()
def _play(logits, values, graph, law, arrival_rates, seed, episode, critic_steps, discount):  # type: ignore[no-untyped-def]
    """Play an episode from empty queues while the critics learn; return the drops and what happened.

    That is, epochs + 1 x agents, the states, the actions and where in `values` they stand together.
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
        act(logits, queue_lengths[0], access, offsets, places, seed, episode, epoch, states[epoch], actions[epoch])
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
            receive(actions[epoch], access, offsets, arrival_rates[epoch], received[0])
            table = tables[table_of[epoch]]
            drops = draw_epoch(queue_lengths, received, table, kinds, graph_of, step, seed, replications, epoch)
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
            total = weigh(row, count, weights)
            for column in range(count):
                chosen = 1.0 if column == actions[epoch, node] else 0.0
                row[column] += factor * value * (chosen - weights[column] / total)
            factor *= discount


class ActorCritic:
    """The training of all agents of a system, which can be taken up where its state was saved.

    An episode is the system's, up to its horizon (T = 50 epochs in section 3). `seed` takes the place of the system's:
    every number is drawn at an address of it and the episode, so the same seed gives the same policies to the last bit.
    Raises `InputError` for tables that would be too large and for systems that `EpochLaw` does not know.
    """

    def __init__(self, system: System, *, seed: int, preset: ScalableActorCritic):
        self.system = replace(system, seed=seed)
        self.preset = preset
        self.episode = 0
        """How many episodes were played."""
        nodes, lengths, columns = system.nodes, system.buffer + 1, system.access.width
        servers = system.access.counts
        access, offsets = system.access.servers.astype(np.int64), system.access.offsets
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
        durations, table_of = np.unique(np.diff(self.system.timetable.times).round(9), return_inverse=True)
        tables = [tabulate(law.buffer, law.service_rates, duration, law.step, law.points) for duration in durations]
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
        return Actors(self.system.graph, self.system.buffer, self.logits.copy())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what `load_state` goes on from: plain arrays, for a file of NumPy."""
        return {"episode": np.array(self.episode), "logits": self.logits.copy(), "values": self.values.copy()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a `state` of the same system, seed and preset. Raises `InputError` for another."""
        for name, mine in (("episode", np.array(0)), ("logits", self.logits), ("values", self.values)):
            shape = np.shape(state[name])
            if shape != mine.shape:
                raise InputError(f"the saved training is of another system: {name} must be {mine.shape}, got {shape}")
        self.episode = int(state["episode"])
        self.logits[:] = state["logits"]
        self.values[:] = state["values"]


def train_actors(system: System, preset: ScalableActorCritic, *, seed: int, log: TrainingLog | None = None) -> Actors:
    """Return the policies after the preset's episodes, with lines and checkpoints in a log, from which it goes on."""
    training = ActorCritic(system, seed=seed, preset=preset)
    checkpoint = None if log is None else log.checkpoint()
    if log is not None and checkpoint is not None:
        with log.taking_up():
            training.load_state({key: np.asarray(value) for key, value in checkpoint.items() if key != "decisions"})
    epochs = system.timetable.epochs
    while training.episode < preset.iterations:
        steps = min(preset.evaluate_every, preset.iterations - training.episode)
        met = training.run(steps)
        decisions = training.episode * epochs * system.nodes
        if log is not None:
            log.note(decisions=decisions, drops=met * epochs * REFERENCE_TIME / system.horizon, steps=steps)
            if training.episode % preset.keep_every == 0 or training.episode == preset.iterations:
                import torch

                log.keep({"decisions": decisions} | {k: torch.from_numpy(v) for k, v in training.state().items()})
    return training.actors()


def convergence(scores: ArrayLike, *, tolerance: float = 0.05, window: int = 5) -> int:
    """Return the number, from 0, of the score at which a training had converged; the less a score, the better.

    It is the last of the first `window` consecutive scores whose mean has made all but the share `tolerance` of the way
    from the first score to the best such mean: not to the last one, as with these step sizes policies get worse again.
    """
    scores = np.asarray(scores, dtype=np.float64)
    window = min(window, len(scores))
    means = np.lib.stride_tricks.sliding_window_view(scores, window).mean(axis=1)
    reached = means <= means.min() + tolerance * max(0.0, scores[0] - means.min())
    return int(reached.argmax()) + window - 1
