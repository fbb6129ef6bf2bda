"""The mean-field dispatchers of section 2.2 and figure 9b: one policy, fed with what a scheduler can observe."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import get_args

import numpy as np

from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.onnx_files.kinds import Policy
from dispatchers.onnx_files.model import ModelFile
from dispatchers.remembered import Remembered
from dispatchers.view import Draws, Floats, View


class MeanFieldRule(Dispatcher):
    """Offload with the probability that the decision rule has for the own queue length.

    `draws` says how often a scheduler draws whether to offload: anew for each job (section 1.3.3 allows it), or once
    per epoch, for all of its jobs (Algorithm 1, lines 10 to 13). By default it is as the policy was learned. Which
    neighbour gets a job is drawn for each job in both readings.
    """

    file_options = ("policy",)

    def __init__(self, policy: str, draws: Draws | None = None):
        self.policy = Policy(policy)
        self.files = (self.policy.path,)
        self.buffer = self.policy.buffer
        self.acts = reading(draws, self.policy)

    def route(self, view: View) -> Floats:
        """See `Dispatcher.route`."""
        rules = self.rules(view)
        return view.offload(rules[np.arange(view.rows), view.own_lengths], self.acts)

    @abstractmethod
    def rules(self, view: View) -> Floats:
        """Return each scheduler's decision rule: rows x (buffer + 1)."""


class MeanFieldOwn(MeanFieldRule):
    """The policy is fed the one-hot of the own queue length, or a `rule`, buffer + 1 probabilities, replaces it."""

    name = "MF-R"

    def __init__(self, policy: str | None = None, rule: Sequence[float] | None = None, draws: Draws | None = None):
        if (policy is None) == (rule is None):
            raise DispatcherError("MF-R needs either policy or rule" + (", got both" if policy else ""))
        if policy is not None:
            super().__init__(policy, draws)
            # Fed with one-hots, only the entry for the own length is ever used: a rule of its own.
            self.rule = np.diagonal(self.policy.rules(np.eye(self.policy.buffer + 1))).copy()
        else:
            self.rule = _fixed_rule(rule)
            self.buffer = len(self.rule) - 1
            self.acts = reading(draws, None)

    def rules(self, view: View) -> Floats:
        """See `MeanFieldRule.rules`."""
        return np.broadcast_to(self.rule, (view.rows, len(self.rule)))


class ParameterSharing(MeanFieldOwn):
    """MARL with parameter sharing (section 2.2): agents that know their own queue alone have learned one policy."""

    name = "NA-PS"

    def __init__(self, policy: str, draws: Draws | None = None):
        super().__init__(policy, draws=draws)


class MeanFieldNeighbourhood(MeanFieldRule):
    """The policy is fed the empirical distribution of the accessible queues, the own one included."""

    name = "MF-N"

    def __init__(self, policy: str, draws: Draws | None = None):
        super().__init__(policy, draws)
        self._remembered = Remembered()

    def rules(self, view: View) -> Floats:
        """See `MeanFieldRule.rules`; each distinct observation is evaluated once."""
        lengths = np.arange(view.buffer + 1)
        here = (view.queue_lengths[:, :, None] == lengths) & view.accessible[:, :, None]
        observed = (here.sum(axis=1) / view.degrees[:, None]).astype(np.float32)
        return self._remembered.of_rows(self.policy.rules, observed)


class MeanFieldGlobal(MeanFieldRule):
    """The policy is fed the empirical distribution of all queues, which takes global messages."""

    name = "MF-G"
    information = ("broadcast", "global")

    def rules(self, view: View) -> Floats:
        """See `MeanFieldRule.rules`."""
        rule = self.policy.rules(view.distribution[None, :])
        return np.broadcast_to(rule, (view.rows, rule.shape[1]))


def reading(draws: Draws | None, policy: ModelFile | None) -> Draws:
    """Return how often a scheduler draws whether to offload: as is asked for, else as a policy was learned."""
    told = policy.metadata.get("draws", "job") if draws is None and policy is not None else draws or "job"
    for each in get_args(Draws):
        if told == each:
            return each
    raise DispatcherError(f"draws must be job or epoch, got {told!r}")


def _fixed_rule(rule: Sequence[float] | None) -> Floats:
    try:
        values = np.array(rule, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or len(values) < 2 or not ((values >= 0) & (values <= 1)).all():
        raise DispatcherError(f"rule must be a list of buffer + 1 numbers from 0 to 1, got {rule!r}")
    return values
