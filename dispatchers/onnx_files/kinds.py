"""The kinds of learned policies that an ONNX file can hold, each with its inputs and outputs."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from dispatchers.onnx_files.model import CONTRACT_VERSION as CONTRACT_VERSION
from dispatchers.onnx_files.model import ModelFile, Tensor, opened, refusal, shown, shown_names
from dispatchers.view import Floats

PROBES = 64
"""Random observations on which a new policy is tried."""

MOST_TRIED = 2**20
"""Observations that a policy for each agent may have to be tried on all of them: less than a second."""

TRIED_AT_ONCE = 2**14
"""Observations, so that a trial needs little memory."""


class Policy(ModelFile):
    """Decision rules for distributions of queue lengths."""

    inputs = (Tensor("distribution", "float32", "buffer + 1"),)
    outputs = (Tensor("offload", "float32", "buffer + 1", is_probability=True),)

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.buffer = _buffer(self)
        self.probe(distribution=_distributions(self.buffer))

    def rules(self, distributions: ArrayLike) -> Floats:
        """Return the decision rules, rows x (buffer + 1) in [0, 1], for rows of distributions of queue lengths."""
        return self.run(distribution=distributions)[0]


class RecurrentPolicy(ModelFile):
    """Decision rules for distributions of queue lengths and a hidden state, which the network also carries on."""

    inputs = Tensor("distribution", "float32", "buffer + 1"), Tensor("hidden", "float32", "hidden")
    outputs = (
        Tensor("offload", "float32", "buffer + 1", is_probability=True),
        Tensor("next_hidden", "float32", "hidden"),
    )

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.buffer = _buffer(self)
        self.hidden = self.widths["hidden"]
        distributions = _distributions(self.buffer)
        hidden = np.zeros((len(distributions), self.hidden))
        for _ in range(2):  # at the start, and on what came of it
            _, hidden = self.probe(distribution=distributions, hidden=hidden)

    def advance(self, distributions: ArrayLike, hidden: ArrayLike) -> tuple[Floats, Floats]:
        """Return decision rules, rows x (buffer + 1) in [0, 1], and next hidden states, rows x hidden."""
        rules, next_hidden = self.run(distribution=distributions, hidden=hidden)
        return rules, next_hidden


class AgentPolicy(ModelFile):
    """Probabilities over the accessible servers by each scheduler's own policy, for the graph of `topology_hash`."""

    inputs = Tensor("scheduler", "int64"), Tensor("queue_lengths", "int64", "columns")
    outputs = (Tensor("probabilities", "float32", "columns", is_probability=True, sums_to_one=True),)

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.buffer = _number(self, "buffer")
        self.nodes = _number(self, "nodes")
        self.graph_hash = self.metadata.get("topology_hash")
        self.columns = self.widths["columns"]
        generator = np.random.default_rng(0)
        schedulers = [0, self.nodes - 1, *generator.integers(self.nodes, size=PROBES)]
        lengths = generator.integers(self.buffer + 1, size=(len(schedulers), self.columns))
        lengths[1] = self.buffer
        self.probe(scheduler=np.array(schedulers), queue_lengths=lengths)
        self._try_everything()

    def _try_everything(self) -> None:
        """Ask for every scheduler and all queue lengths, if these are not too many."""
        shape = self.nodes, *(self.buffer + 1,) * self.columns
        count = math.prod(shape)
        for first in range(0, count if count <= MOST_TRIED else 0, TRIED_AT_ONCE):
            numbers = np.arange(first, min(first + TRIED_AT_ONCE, count))
            schedulers, *lengths = np.unravel_index(numbers, shape)
            self.probabilities(schedulers, np.stack(lengths, axis=1))

    def probabilities(self, schedulers: ArrayLike, queue_lengths: ArrayLike) -> Floats:
        """Return rows x columns of probabilities for schedulers (rows) that know these lengths (rows x columns)."""
        return self.run(scheduler=schedulers, queue_lengths=queue_lengths)[0]


KINDS: dict[str, type[ModelFile]] = {"plain": Policy, "recurrent": RecurrentPolicy, "per agent": AgentPolicy}
"""The kinds of policies; they differ in their inputs."""


def kind_of(path: str | Path) -> str:
    """Return which of `KINDS` a file holds. Raises `DispatcherError` if it is none."""
    path = Path(path)
    found = [value.name for value in opened(path)[1].graph.input]
    wanted = {kind: [tensor.name for tensor in policy.inputs] for kind, policy in KINDS.items()}
    for kind, names in wanted.items():
        if set(found) == set(names):
            return kind
    known = "; or ".join(map(" and ".join, wanted.values()))
    raise refusal(path, f"must have as input {known}, got {shown_names(found)}")


def _distributions(buffer: int) -> Floats:
    """Return distributions of queue lengths to try: all queues alike, then random ones."""
    generator = np.random.default_rng(0)
    return np.concatenate([np.eye(buffer + 1), generator.dirichlet(np.full(buffer + 1, 0.5), PROBES)])


def _buffer(policy: ModelFile) -> int:
    """Return the buffer by the width of the distribution, which the metadata may repeat."""
    lengths = policy.widths["buffer + 1"]
    told = policy.metadata.get("buffer", str(lengths - 1))
    if told != str(lengths - 1):
        raise refusal(policy.path, f"is {lengths} wide, but its metadata says buffer {shown(told)}")
    return lengths - 1


def _number(policy: ModelFile, key: str) -> int:
    told = policy.metadata.get(key)
    if told is None or not re.fullmatch(r"[1-9]\d{0,8}", told):
        raise refusal(policy.path, f"must have {key} in its metadata, a whole number >= 1, got {shown(told)}")
    return int(told)
