"""Copies of a system whose schedulers follow a dispatcher, by the law of the epochs.

The dispatcher is asked by the code that the compiled engine asks with; nothing else in this package asks one.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatchers.checking import check_fit
from dispatchers.contract import Dispatcher, PerJobDispatcher, hidden_width, name_of
from dispatchers.errors import DispatcherError
from dispatchers.information import declared
from dispatchers.rules.mean_field import MeanFieldRule
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.view import Draws, Floats
from emulator.engines.compiled.numbering import AllAtOnce
from emulator.engines.compiled.routing import fixed_columns
from emulator.engines.observations import EpochDraws
from emulator.model.system import System
from emulator.model.topology import Topology
from emulator.workload.workload import Workload
from policies.process.networks import ParallelNetworks
from policies.process.received import received_of_drawn, received_of_fixed

SCHEDULERS_AT_ONCE = 8192
"""Schedulers of several small copies that are asked together: what they know stays in a processor's cache."""


class DispatchedNetworks(ParallelNetworks):
    """Copies of a system in which a dispatcher decides; all start and end an episode together.

    `seed` takes the place of the system's. A server that holds for an epoch is drawn as in an engine, an action as in
    training. Raises `DispatcherError` for a rule without a law or of another system, `InputError` as `EpochLaw` does.
    """

    def __init__(self, dispatcher: Dispatcher, system: System, *, copies: int, seed: int):
        if isinstance(dispatcher, PerJobDispatcher):
            raise DispatcherError(
                f"{name_of(dispatcher)}: has no law of the epochs, as it chooses for each job by those sent before"
            )
        check_fit(dispatcher, system.buffer, system.nodes, graph_hash=lambda: system.topology.graph_hash)
        self.dispatcher, draws = _without_actions(dispatcher)
        super().__init__(system, copies=copies, seed=seed, draws=draws)
        knows_its_copy = "global" in declared(dispatcher) or hidden_width(dispatcher) > 0
        most = 1 if knows_its_copy else max(1, SCHEDULERS_AT_ONCE // system.nodes)
        self._together = max(count for count in range(1, most + 1) if copies % count == 0)
        """How many copies are asked at a time."""
        self._observations = AllAtOnce(self.dispatcher, _side_by_side(self.system, self._together))
        self._observations.makers["schedulers"] = lambda schedulers: schedulers % system.nodes
        self._begin()

    def _begin(self) -> None:
        self._carried = [self._observations.at_start() for _ in range(self.copies // self._together)]

    def reset(self) -> None:
        """See `ParallelNetworks.reset`; what schedulers carry begins anew, too."""
        super().reset()
        self._begin()

    def advance(self) -> Floats:
        """Advance all copies by one epoch and return the expected drops of each server, copies x nodes."""
        sent = np.concatenate([self._sent(block) for block in range(len(self._carried))])
        return self.step(sent) if self.draws == "epoch" else self.step_received(sent)

    def _sent(self, block: int) -> Floats:
        """Ask a block of copies; return each server's jobs per ms, or, if actions are drawn, offload probabilities."""
        copies = slice(block * self._together, (block + 1) * self._together)
        draws = EpochDraws(_Together(self.paths[copies]), self.epoch)
        lengths = self.queue_lengths[copies].ravel().astype(np.int32)
        observations, access = self._observations, self.system.access
        observations.decide(lengths, draws, self._carried[block])
        if self.draws == "epoch":
            return 1.0 - observations.answers[observations.start].reshape(-1, self.system.nodes)
        rates = self.arrival_rates[copies, self.epoch]
        if self.dispatcher.draws == "job":
            return received_of_drawn(observations.answers, observations.start, access.servers, access.offsets, rates)
        columns = np.empty(len(lengths), dtype=np.int32)
        offsets = observations.system.access.offsets
        fixed_columns(observations.answers, observations.start, offsets, draws.coins, columns)
        return received_of_fixed(columns, access.servers, access.offsets, rates)


def _without_actions(dispatcher: Dispatcher) -> tuple[Dispatcher, Draws]:
    """Return a dispatcher that leaves actions to the law, which is 20 times faster, and how often they are drawn."""
    if not isinstance(dispatcher, MeanFieldRule | MeanFieldRecurrent) or dispatcher.acts == "job":
        return dispatcher, "job"
    undrawn = copy.copy(dispatcher)
    undrawn.acts = "job"
    return undrawn, "epoch"


def _side_by_side(system: System, copies: int) -> System:
    """Return a system of several copies of another one, without a path between them."""
    graph, shifts = system.graph, np.arange(copies)[:, None]
    starts = (graph.offsets[:-1] + shifts * graph.offsets[-1]).ravel()
    topology = Topology(
        graph.kind,
        np.append(starts, copies * graph.offsets[-1]),
        (graph.neighbours + shifts * graph.nodes).ravel().astype(graph.neighbours.dtype),
    )
    return replace(system, topology=topology, service_rates=np.tile(system.service_rates, copies))


class _Together(NamedTuple):
    """The workloads of several copies, whose decisions are drawn as those of one."""

    workloads: list[Workload]

    def decision_coins(self, epoch: int) -> NDArray[np.float64]:
        """See `Workload.decision_coins`."""
        return np.concatenate([each.decision_coins(epoch) for each in self.workloads])

    def decision_orders(self, epoch: int) -> NDArray[np.int64]:
        """See `Workload.decision_orders`."""
        return np.concatenate([each.decision_orders(epoch) for each in self.workloads])
