"""Random systems and dispatchers: all kinds of graphs, loads, buffers, rates, laws and rules, each from one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher, RecurrentDispatcher, name_of
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldGlobal, MeanFieldNeighbourhood, MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from dispatchers.view import Floats, View
from emulator.model import topologies
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic, Exponential, Hyperexponential
from emulator.model.measuring import Measuring
from emulator.model.system import System
from emulator.model.topology import Topology
from emulator.runs.check import shipped_policies
from emulator.verification import random_policies

JOBS = 4000.0
"""Expected jobs of a scenario at most."""


class Levelling(Dispatcher):
    """Probabilities that depend on all that can be reused: lengths, rates and sharing."""

    def route(self, view: View) -> np.ndarray:
        """See `Dispatcher.route`."""
        weight = view.accessible * view.service_rates / (1.0 + view.queue_lengths) / view.sharing
        return weight / np.cumsum(weight, axis=1)[:, -1:]


class Personal(Dispatcher):
    """Probabilities that depend on what belongs to one scheduler and epoch alone."""

    def route(self, view: View) -> np.ndarray:
        """See `Dispatcher.route`."""
        first = view.accessible & (np.arange(view.accessible.shape[1]) == view.order[:, :1])
        share = np.where(view.schedulers % 2 == 0, view.coins, 0.5)[:, None]
        return share * first + (1.0 - share) * view.own()


class PersonalForAnEpoch(Personal):
    """The same, drawn once per epoch."""

    draws = "epoch"


class Impatient(PerJobDispatcher):
    """A per-job rule that uses all it is given, with a plan of two numbers per server."""

    def plan(self, view: View) -> np.ndarray:
        """See `PerJobDispatcher.plan`."""
        return np.stack([view.queue_lengths / view.service_rates, 1.0 / view.sharing], axis=2)

    @staticmethod
    def choose(job: JobView) -> int:
        """See `PerJobDispatcher.choose`."""
        if job.coin < 0.2 or job.elapsed > 3.0:
            return 0
        best = job.order[job.total_sent % len(job.order)]
        for column in range(len(job.sent)):
            if job.plan[column, 0] + job.sent[column] * job.plan[column, 1] < job.plan[best, 0]:
                best = column
        return best


class Tracking(RecurrentDispatcher):
    """A recurrent rule that knows all queues: every scheduler carries the same averages."""

    information = ("broadcast", "global")
    hidden = 2

    def advance(self, view: View) -> tuple[Floats, Floats]:
        """See `RecurrentDispatcher.advance`."""
        latest = np.array([view.distribution[-1], np.cumsum(view.distribution * np.arange(view.buffer + 1))[-1]])
        averages = 0.7 * view.hidden + 0.3 * latest
        longer = view.own_lengths > averages[:, 1]
        return view.offload(np.where(longer, 1.0 - averages[:, 0], averages[:, 0])), averages


class Habitual(RecurrentDispatcher):
    """A recurrent rule that knows its own queue alone: what is carried differs more with every epoch."""

    hidden = 1

    def advance(self, view: View) -> tuple[Floats, Floats]:
        """See `RecurrentDispatcher.advance`."""
        habit = 0.6 * view.hidden + view.own_lengths[:, None]
        return view.offload(habit / (1.0 + habit)), habit


class Moody(RecurrentDispatcher):
    """A recurrent rule drawn once per epoch, on what belongs to one scheduler and epoch alone."""

    draws = "epoch"
    hidden = 3

    def advance(self, view: View) -> tuple[Floats, Floats]:
        """See `RecurrentDispatcher.advance`."""
        moods = np.stack([view.coins, view.hidden[:, 0], view.hidden[:, 1] + view.queue_lengths[:, -1]], axis=1)
        return np.where(moods[:, 1:2] > 0.5, view.least(view.queue_lengths), view.uniform()), moods


@dataclass(frozen=True)
class Case:
    """A random scenario; `threads` are the compiled engine's."""

    system: System
    dispatcher: Dispatcher
    replication: int
    threads: int

    def __str__(self) -> str:
        system = self.system
        return (
            f"{name_of(self.dispatcher)} on {system.topology.kind} of {system.schedulers}, delta_t {system.delta_t:g}, "
            f"horizon {system.horizon:g}, buffer {system.buffer}"
        )


def random_case(number: int) -> Case:
    """Return the random scenario of a number: all kinds of graphs, loads, buffers, rates, laws and dispatchers."""
    generator = np.random.default_rng(number)
    graph = _graph(generator)
    nodes = graph.nodes
    buffer = int(generator.choice([1, 2, 3, 5, 5, 5, 8, 20]))
    rates = np.ones(nodes)
    if generator.random() < 0.5:
        rates = generator.choice([0.5, 1.0, 1.0, 2.0, generator.uniform(0.2, 5.0)], nodes)
    high = float(generator.choice([0.1, 0.9, 0.9, 2.0, 6.0]))
    low = high * float(generator.choice([0.0, 2 / 3, 1.0]))
    horizon = float(generator.uniform(1.0, 60.0)) * min(1.0, JOBS / (60.0 * high * nodes))
    delta_t = float(generator.choice([horizon / 3, horizon, 2 * horizon, generator.uniform(0.05, 1.0) * horizon]))
    works = [Exponential(), Exponential(), Deterministic(), Hyperexponential(scv=4.0)]
    system = System(
        graph,
        delta_t,
        horizon,
        buffer,
        rates,
        Switched(high=high, low=low, high_to_low=float(generator.random()), low_to_high=float(generator.random())),
        works[generator.integers(len(works))],
        int(generator.integers(2**32)),
        measuring=random_measuring(number, horizon),
    )
    choices = _dispatchers(generator, system)
    return Case(
        system,
        choices[generator.integers(len(choices))](),
        int(generator.integers(100)),
        int(generator.integers(1, 4)),
    )


def random_measuring(number: int, horizon: float) -> Measuring:
    """Return what is measured in the random scenario of a number; in half of them no more than always."""
    generator = np.random.default_rng([number, 17])
    if generator.random() < 0.5:
        return Measuring()
    warmup = float(generator.choice([0.0, generator.uniform(0.0, 0.9)])) * horizon
    return Measuring(warmup, int(generator.choice([0, 2, 7])), everything=bool(generator.random() < 0.5))


def _graph(generator: np.random.Generator) -> Topology:
    nodes = int(generator.integers(3, 200))
    kind = generator.integers(8)
    if kind == 0:
        return topologies.cycle(nodes)
    if kind == 1:
        return topologies.torus(int(generator.integers(3, 14)))
    if kind == 2:
        return topologies.cube_connected_cycle(int(generator.integers(3, 5)))
    if kind == 3:
        return topologies.bethe(int(generator.integers(1, 5)), 3)
    if kind == 4:
        return topologies.configuration_model(2 * nodes, [2, 3], int(generator.integers(1000)))
    if kind == 5:
        leaves = nodes - int(generator.integers(1, 3))
        return topologies.edge_list([[0, leaf] for leaf in range(1, leaves)], nodes=nodes)  # and isolated nodes
    nodes = int(generator.choice([1, 2, nodes]))
    pairs = np.unique(np.sort(generator.integers(0, nodes, (2 * nodes, 2)), axis=1), axis=0)
    return topologies.edge_list(pairs[pairs[:, 0] != pairs[:, 1]], nodes=nodes)


def _dispatchers(generator: np.random.Generator, system: System) -> list[Callable[[], Dispatcher]]:
    """Return what makes each of the dispatchers that a system can have."""
    buffer, degrees = system.buffer, system.graph.degrees
    makers: list[Callable[[], Dispatcher]] = [
        SendToOwn,
        Random,
        JoinShortestQueue,
        lambda: JoinShortestQueue("job"),
        ShortestExpectedDelay,
        lambda: ShortestExpectedDelay("job"),
        lambda: MeanFieldOwn(rule=generator.random(buffer + 1).tolist()),
        lambda: MeanFieldOwn(rule=generator.random(buffer + 1).tolist(), draws="epoch"),
        RoundRobin,
        JoinShortestQueueWithMemory,
        lambda: JoinShortestQueueWithMemory("sharing", bonus=float(generator.random())),
        Levelling,
        Personal,
        PersonalForAnEpoch,
        Impatient,
        Tracking,
        Habitual,
        Moody,
        lambda: random_policies.dispatcher_of(
            MeanFieldRecurrent, random_policies.recurrent(generator, buffer, int(generator.integers(1, 9)))
        ),
        lambda: random_policies.dispatcher_of(
            ScalableActorCritic, random_policies.per_agent(generator, buffer, degrees)
        ),
    ]
    policies = sorted((shipped_policies() or Path()).glob("trained/*_5.onnx")) if buffer == 5 else []
    for policy in map(str, policies[:1]):
        rules = MeanFieldOwn, MeanFieldNeighbourhood, MeanFieldGlobal
        makers += [partial(rule, policy) for rule in rules]
    return makers
