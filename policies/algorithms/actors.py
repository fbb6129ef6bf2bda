"""What SAC learns: a policy for each agent of a system, by tables; how good they are; their ONNX file.

An agent is a scheduler. Its state is the queue lengths of its accessible servers, its action the one of them that gets
all its jobs of an epoch (section 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dispatchers.onnx_files.writing import model_of
from dispatchers.view import Floats, Integers
from emulator.machine.compiling import compiled
from emulator.model.topology import Topology
from emulator.randomness import DECISION, random_uniform

if TYPE_CHECKING:
    import onnx

GRAPH = """
    policy (int64[batch] scheduler, int64[batch, {columns}] queue_lengths)
        => (float[batch, {columns}] probabilities) {{
        lengths = Clip (queue_lengths, zero, buffer)
        state = MatMul (lengths, places)
        agent = Clip (scheduler, zero, last_agent)
        first_row = Mul (agent, states)
        row = Add (first_row, state)
        probabilities = Gather <axis = 0> (table, row)
    }}
"""


def places(buffer: int, columns: int) -> Integers:
    """Return what a job in each accessible server adds to the number of a state."""
    return (buffer + 1) ** np.arange(columns)


@compiled(inline="always")
def weigh(row, count, weights):  # type: ignore[no-untyped-def]
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
def act(logits, queue_lengths, access, offsets, places, seed, replication, epoch, states, actions):  # type: ignore[no-untyped-def]
    """Write the number of each agent's state and the column of the server that its policy draws, by decision coin."""
    weights = np.empty(logits.shape[2])
    for node in range(len(queue_lengths)):
        first, count = offsets[node], offsets[node + 1] - offsets[node]
        state = 0
        for column in range(count):
            state += queue_lengths[access[first + column]] * places[column]
        total = weigh(logits[node, state], count, weights)
        threshold = random_uniform(node, epoch, 0, DECISION, seed, replication) * total
        action, passed = 0, 0.0
        for column in range(count - 1):
            passed += weights[column]
            action += threshold >= passed
        states[node] = state
        actions[node] = action


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


def actors_to_onnx(actors: Actors, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model that looks an agent's probabilities up in a table; numbers out of range count as the nearest.

    Inputs: `scheduler`, int64, batch; `queue_lengths`, int64, batch x columns. Output: `probabilities`, float32, batch
    x columns, 0 in padded columns. To `metadata` are added contract_version, nodes, buffer and topology_hash.
    """
    agents, states, columns = actors.table.shape
    constants = {
        "table": actors.table.reshape(agents * states, columns),
        "places": places(actors.buffer, columns),
        "zero": np.int64(0),
        "buffer": np.int64(actors.buffer),
        "last_agent": np.int64(agents - 1),
        "states": np.int64(states),
    }
    own = {"nodes": str(agents), "buffer": str(actors.buffer), "topology_hash": actors.topology.graph_hash}
    return model_of(GRAPH.format(columns=columns), constants, {**metadata, **own})
