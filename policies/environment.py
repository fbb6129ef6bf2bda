"""The system as a decision process: many copies of a network, advanced side by side from epoch to epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.randomness import DECISION
from emulator.system import System
from emulator.workload import Workload
from policies.epoch_law import advance, draw_coins

Floats = NDArray[np.float64]


class ParallelNetworks:
    """Copies of a system that differ in their random numbers only; all start and end an episode together.

    Groups of `copies_per_path` consecutive copies share one path of arrival rates. Nothing is drawn from
    the system's own seed: `seed` takes its place.
    """

    def __init__(self, system: System, *, copies: int, seed: int, copies_per_path: int = 1):
        if system.work.kind != "exponential":
            raise InputError(
                f"training knows the law of a queue for service.work exponential only, got {system.work.kind}"
            )
        self.system = replace(system, seed=seed)
        self.copies = copies
        self.copies_per_path = copies_per_path
        self.episode = -1
        """Number of the episode, from 0 after the first `reset`."""
        self.durations = np.diff(Workload(self.system, replication=0).times)
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
        path_owners = self.replications - np.arange(self.copies) % self.copies_per_path
        rates = {owner: Workload(self.system, int(owner)).arrival_rates for owner in set(path_owners)}
        self.arrival_rates = np.array([rates[owner] for owner in path_owners])
        """Jobs per ms that come to each scheduler, copies x epochs."""

    def step(self, offload: Floats) -> Floats:
        """Advance all copies by one epoch and return the expected drops per node of each.

        `offload` is the probability that a scheduler sends a job to a random neighbour, copies x nodes.
        """
        system, topology = self.system, self.system.topology
        drops = advance(
            self.queue_lengths,
            offload,
            self.arrival_rates[:, self.epoch],
            system.service_rates,
            self.durations[self.epoch],
            system.buffer,
            topology.offsets,
            topology.neighbours,
            np.uint64(system.seed),
            self.replications,
            self.epoch,
        )
        self.epoch += 1
        return drops

    def follow(self, rules: Floats) -> Floats:
        """Return the offload probabilities, copies x nodes, under the decision rule of each copy.

        `rules` is copies x buffer + 1: the probability for each own queue length.
        """
        return np.take_along_axis(rules, self.queue_lengths, axis=1)

    def distributions(self) -> Floats:
        """Return the share of each copy's servers with 0..buffer jobs, copies x buffer + 1."""
        lengths = self.system.buffer + 1
        cells = self.queue_lengths + lengths * np.arange(self.copies)[:, None]
        counts = np.bincount(cells.ravel(), minlength=self.copies * lengths)
        return counts.reshape(self.copies, lengths) / self.system.nodes

    def coins(self) -> Floats:
        """Return a number for each copy, uniform on [0, 1), drawn anew each epoch."""
        return draw_coins(np.uint64(self.system.seed), self.replications, self.epoch, DECISION)
