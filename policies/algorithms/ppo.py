"""Algorithm 1: an upper-level policy, also a recurrent one, by PPO; or NA-PS, by parameter sharing.

The learning itself is that of stable-baselines3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from emulator.errors import InputError
from policies.algorithms.algorithm import BY_OBSERVATION
from policies.algorithms.hyperparameters import Hyperparameters
from policies.export import fixed_to_onnx, rules_of, to_onnx
from policies.process.scoring import dispatcher_of, score

if TYPE_CHECKING:
    import onnx

    from dispatchers.contract import Draws
    from emulator.model.system import System
    from emulator.scenario.scenario import Scenario
    from emulator.scenario.training import Training
    from policies.log import TrainingLog

ITERATION_SECONDS = 0.3
"""About what an iteration takes beside the network's layers."""

OPERATIONS_PER_SECOND = 2e10
"""About what one core does for a network that learns."""


class ProximalPolicyOptimization(Hyperparameters):
    """PPO with its hyperparameters."""

    @property
    def executed_as(self) -> str:
        """See `Algorithm.executed_as`."""
        if self.rows == "schedulers":
            return "NA-PS"
        return BY_OBSERVATION[self.observation] if self.recurrent is None else "MF-RNN"

    def asked(self, training: Training) -> Self:
        """See `Algorithm.asked`; all keys are taken."""
        keys = {key: getattr(training, key) for key in ("iterations", "observation", "copies_per_path")}
        keys["hidden"] = None if training.hidden is None else tuple(training.hidden)
        return replace(self, **{key: value for key, value in keys.items() if value is not None})

    def check_graphs(self, key: str, graphs: int) -> None:
        """See `Algorithm.check_graphs`; a row that is one network has one of the graphs, another row another one."""
        if self.networks > 1 and self.networks % graphs:
            raise InputError(f"{key} must divide {self.networks}, got {graphs}")

    def horizon(self, scenario: Scenario) -> float:
        """See `Algorithm.horizon`."""
        return scenario.horizon if self.epochs is None else self.epochs * scenario.delta_t

    def starts(self, draws: Draws) -> list[Self]:
        """Return what a training begins with; where actions hold, also beside never, which wide Gaussians pass by."""
        if draws == "job" or self.final_log_std is None:
            return [self]
        return [self, replace(self, start=-0.8, log_std=-0.7)]

    def steps(self, draws: Draws) -> int:
        """See `Algorithm.steps`."""
        return self.iterations * len(self.starts(draws))

    def seconds_per_step(self, scenario: Scenario) -> float:
        """See `Algorithm.seconds_per_step`; of the policy and the critic, two operations a weight, three times."""
        widths = (scenario.buffer + 1, *self.hidden, scenario.buffer + 1)
        weights = sum(one * other for one, other in pairwise(widths))
        return ITERATION_SECONDS + 12.0 * weights * self.batch * self.passes / OPERATIONS_PER_SECOND

    def learn(
        self, systems: Sequence[System], *, seed: int, draws: Draws, log: TrainingLog, metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """See `Algorithm.learn`; of several ends that with the fewest drops on the systems is kept."""
        found = []
        for number, start in enumerate(self.starts(draws)):
            own_log = log if number == 0 else log.beside(f"start_{number + 1}")
            found += start._ends(systems, seed, draws, own_log, metadata)
        if len(found) == 1:
            return found[0]

        def drops(model: onnx.ModelProto) -> float:
            dispatcher = dispatcher_of(model, self.executed_as)
            return sum(float(score(dispatcher, system, seed=seed).mean()) for system in systems)

        return min(found, key=drops)

    def _ends(
        self, systems: Sequence[System], seed: int, draws: Draws, log: TrainingLog, metadata: Mapping[str, str]
    ) -> list[onnx.ModelProto]:
        """Return what a training from one start ends at, as the models that may be kept."""
        from policies.algorithms.stable_baselines import train

        model = to_onnx(train(systems, self, seed=seed, log=log, draws=draws), metadata)
        if self.executed_as != "MF-R":
            return [model]
        # What was observed told nothing: the answers are one rule, learned several times, and chance averages out.
        rule = rules_of(model)(np.eye(systems[0].buffer + 1)).mean(axis=0)
        # An action that holds is 0 or 1, and the likelier one may be better always than mostly.
        rules = [rule, np.round(rule)] if draws == "epoch" else [rule]
        return [fixed_to_onnx(one, metadata) for one in rules]
