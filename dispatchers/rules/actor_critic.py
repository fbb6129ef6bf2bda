"""SAC: the scalable actor-critic of section 2.2, in which every scheduler has learned a policy of its own."""

from __future__ import annotations

import numpy as np

from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.onnx_files.kinds import AgentPolicy
from dispatchers.onnx_files.model import refusal
from dispatchers.view import Floats, View


class ScalableActorCritic(Dispatcher):
    """Send an epoch's jobs to one accessible server, drawn by the scheduler's own policy, which fits only one graph."""

    name = "SAC"
    file_options = ("policy",)
    draws = "epoch"

    def __init__(self, policy: str):
        self.policy = AgentPolicy(policy)
        self.files = (self.policy.path,)
        self.buffer = self.policy.buffer
        self.nodes = self.policy.nodes
        self.graph_hash = self.policy.graph_hash

    def route(self, view: View) -> Floats:
        """See `Dispatcher.route`; the policy's float32 probabilities are made to sum to 1 in float64."""
        policy, columns = self.policy, view.accessible.shape[1]
        if columns > policy.columns:
            raise DispatcherError(f"SAC: was made for {policy.columns} accessible servers at most, asked for {columns}")
        if view.schedulers.max() >= policy.nodes:
            raise DispatcherError(f"SAC: was made for {policy.nodes} nodes, asked for node {view.schedulers.max()}")
        lengths = np.pad(view.queue_lengths, ((0, 0), (0, policy.columns - columns)))
        weights = np.where(view.accessible, policy.probabilities(view.schedulers, lengths)[:, :columns], 0.0)
        sums = np.cumsum(weights, axis=1)[:, -1:]  # added in one order, whatever the shape of the array
        if not sums.all():
            scheduler = view.schedulers[sums[:, 0].argmin()]
            raise refusal(policy.path, f"gives none of the servers that scheduler {scheduler} can access a probability")
        return weights / sums
