"""The system as a decision process: many copies of a network, advanced side by side from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from dispatchers.contract import Draws
from dispatchers.view import Floats, Integers
from emulator.errors import InputError
from emulator.model.system import System
from emulator.randomness import DECISION
from emulator.workload.workload import Workload
from policies.process.epoch_law import EpochLaw, accessible_keys, draw_coins
from policies.process.received import dispatched_drops, draw_actions, received_of_offload

Observation = Literal["own", "accessible", "all"]
"""What a policy observes in training: the own queue length, or a distribution of lengths."""


class ParallelNetworks:
    """Copies of a system that differ in their random numbers; all start and end an episode together.

    Groups of `copies_per_path` consecutive copies share one path of arrival rates. Several systems, which may differ
    in their graph and in who has which service rate, are taken in turn by one copy after the other. Nothing is drawn
    from a system's own seed: `seed` takes its place. `draws` says how often schedulers draw whether to offload.
    """

    def __init__(
        self,
        systems: System | Sequence[System],
        *,
        copies: int,
        seed: int,
        copies_per_path: int = 1,
        draws: Draws = "job",
    ):
        systems = [systems] if isinstance(systems, System) else list(systems)
        if len({system.nodes for system in systems}) > 1:
            raise InputError("graphs that are trained on together must have equally many nodes")
        self.system = replace(systems[0], seed=seed)
        self.copies = copies
        self.copies_per_path = copies_per_path
        self.draws = draws
        self.law = EpochLaw(systems)
        self.graph_of = np.arange(copies) % len(systems)
        """Which of the systems each copy is of."""
        starts = np.cumsum([0, *(len(system.graph.neighbours) for system in systems[:-1])])
        graphs = [system.graph for system in systems]
        self.offsets = np.array([graph.offsets + start for graph, start in zip(graphs, starts, strict=True)])
        """Where the neighbours of each node begin in `neighbours`, systems x nodes + 1."""
        self.neighbours = np.concatenate([graph.neighbours for graph in graphs])
        self.episode = -1
        """Number of the episode, from 0 after the first `reset`."""
        self.durations = np.diff(self.system.timetable.times)
        """Length of each epoch of an episode, ms."""

    @property
    def epochs(self) -> int:
        """How many epochs an episode has."""
        return len(self.durations)

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return self.epoch == self.epochs

    def reset(self) -> None:
        """Begin the next episode: all queues empty, new paths of arrival rates."""
        self.episode += 1
        self.epoch = 0
        self.queue_lengths = np.zeros((self.copies, self.system.nodes), dtype=np.int64)
        """Jobs in each server at the epoch's start, copies x nodes."""
        self.replications = self.episode * self.copies + np.arange(self.copies)
        owners = self.replications[:: self.copies_per_path]
        self.paths = [Workload(self.system, int(owner)) for owner in owners]
        """The workload of each group's first copy, whose arrival rates all of the group have."""
        rates = np.repeat([path.arrival_rates for path in self.paths], self.copies_per_path, axis=0)
        self.arrival_rates = rates[: self.copies]
        """Jobs per ms that come to each scheduler, copies x epochs."""

    def step(self, offload: Floats) -> Floats:
        """Advance by one epoch with probabilities of offloading and return the expected drops, each copies x nodes."""
        if self.draws == "epoch":
            offload = draw_actions(offload, np.uint64(self.system.seed), self.replications, self.epoch)
        self.offloaded = offload
        rates = self.arrival_rates[:, self.epoch]
        return self.step_received(received_of_offload(offload, rates, self.graph_of, self.offsets, self.neighbours))

    def step_received(self, received: Floats) -> Floats:
        """The same, `received` being the jobs per ms that come to each server, copies x nodes."""
        self.received = received
        drops = self.law.advance(
            self.queue_lengths,
            received,
            self.graph_of,
            float(self.durations[self.epoch]),
            self.system.seed,
            self.replications,
            self.epoch,
        )
        self.epoch += 1
        return drops

    def follow(self, rules: Floats) -> Floats:
        """Return the offload probabilities, copies x nodes, under the rule of each copy, copies x buffer + 1."""
        return np.take_along_axis(rules, self.queue_lengths, axis=1)

    def distributions(self) -> Floats:
        """Return the share of each copy's servers with 0..buffer jobs, copies x buffer + 1."""
        lengths = self.system.buffer + 1
        cells = self.queue_lengths + lengths * np.arange(self.copies)[:, None]
        counts = np.bincount(cells.ravel(), minlength=self.copies * lengths)
        return counts.reshape(self.copies, lengths) / self.system.nodes

    def accessible_distributions(self) -> tuple[Floats, Integers]:
        """Return the distinct distributions of accessible queues, and which one each has, copies x nodes."""
        keys = accessible_keys(self.queue_lengths, self.graph_of, self.offsets, self.neighbours)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        distributions = np.zeros((len(first), self.system.buffer + 1))
        for row, (copy, node) in enumerate(zip(*np.unravel_index(first, keys.shape), strict=True)):
            graph = self.offsets[self.graph_of[copy]]
            accessible = [node, *self.neighbours[graph[node] : graph[node + 1]]]
            np.add.at(distributions[row], self.queue_lengths[copy, accessible], 1.0 / len(accessible))
        return distributions, which.reshape(keys.shape)

    def dispatched_drops(self, drops: Floats) -> Floats:
        """Return the expected drops among the jobs of each scheduler, copies x nodes, from what `step` returned."""
        rates, sent = self.arrival_rates[:, self.epoch - 1], self.offloaded
        return dispatched_drops(drops, self.received, sent, rates, self.graph_of, self.offsets, self.neighbours)

    def coins(self) -> Floats:
        """Return a number for each copy, uniform on [0, 1), drawn anew each epoch."""
        return draw_coins(np.uint64(self.system.seed), self.replications, self.epoch, DECISION)
