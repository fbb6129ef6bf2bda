"""MF-RNN: the mean-field policy of section 3's experiment with recurrent networks (figure 9a)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import RecurrentDispatcher
from dispatchers.onnx_files.kinds import RecurrentPolicy
from dispatchers.remembered import Remembered
from dispatchers.rules.mean_field import reading
from dispatchers.view import Draws, Floats, View


class MeanFieldRecurrent(RecurrentDispatcher):
    """As `MeanFieldRule`, by a recurrent policy, fed the distribution of all queues and a hidden state."""

    name = "MF-RNN"
    file_options = ("policy",)
    information = ("broadcast", "global")

    def __init__(self, policy: str, draws: Draws | None = None):
        self.policy = RecurrentPolicy(policy)
        self.acts = reading(draws, self.policy)
        self.files = (self.policy.path,)
        self.buffer = self.policy.buffer
        self.hidden = self.policy.hidden
        self._remembered = Remembered()

    def advance(self, view: View) -> tuple[Floats, Floats]:
        """See `RecurrentDispatcher.advance`; each distinct observation and hidden state is evaluated once."""
        shares = np.broadcast_to(view.distribution, (view.rows, self.policy.buffer + 1))
        observed = np.concatenate([shares, view.hidden], axis=1).astype(np.float32)
        rules, hidden = np.split(self._remembered.of_rows(self._evaluate, observed), [shares.shape[1]], axis=1)
        return view.offload(rules[np.arange(view.rows), view.own_lengths], self.acts), hidden

    def _evaluate(self, observed: NDArray[np.float32]) -> Floats:
        distributions, hidden = np.split(observed, [self.policy.buffer + 1], axis=1)
        return np.concatenate(self.policy.advance(distributions, hidden), axis=1)
