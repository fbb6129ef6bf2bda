"""What is asked of an algorithm: which keys it takes, how long it takes, what it learns, who executes that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, Self

from emulator.errors import InputError
from policies.process.networks import Observation

if TYPE_CHECKING:
    import onnx

    from dispatchers.contract import Draws
    from emulator.model.system import System
    from emulator.scenario.scenario import Scenario
    from emulator.scenario.training import Training
    from policies.log import TrainingLog

BY_OBSERVATION: dict[Observation, str] = {"own": "MF-R", "accessible": "MF-N", "all": "MF-G"}
"""The dispatcher that executes a policy on what it was trained for."""


@dataclass(frozen=True, kw_only=True)
class Algorithm(ABC):
    """An algorithm with its hyperparameters."""

    title: ClassVar[str]
    """What files of policies call the hyperparameters. With another title no file would be known again."""

    one_graph: ClassVar[bool] = False
    """Whether a policy is of use only on the graph that it was learned on."""

    writes_events: ClassVar[bool] = False
    """Whether it tells TensorBoard of its iterations itself."""

    iterations: int

    def __str__(self) -> str:
        told = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.title}({told})"

    @property
    @abstractmethod
    def executed_as(self) -> str:
        """The dispatcher that executes what is learned."""

    def asked(self, training: Training) -> Self:
        """Return the algorithm with what a scenario asks for. Raises `InputError` for keys that it does not have."""
        if training.copies_per_path is not None:
            raise InputError(
                f"training.copies_per_path must be left out for {training.algorithm}, which has no batches"
            )
        if training.hidden is not None:
            raise InputError(
                f"training.hidden must be left out for {training.algorithm} with preset {training.preset}, "
                "which has no hidden layers"
            )
        return self if training.iterations is None else replace(self, iterations=training.iterations)

    def check_graphs(self, key: str, graphs: int) -> None:
        """Raise `InputError`, which names `key`, for a number of graphs that cannot be trained on together."""
        if self.one_graph and graphs > 1:
            raise InputError(f"{key} must be 1 for {self.executed_as}, whose policies fit one graph, got {graphs}")

    def horizon(self, scenario: Scenario) -> float:
        """Return how long an episode is, ms."""
        return scenario.horizon

    def steps(self, draws: Draws) -> int:
        """Return how many iterations there are in all, by how often a scheduler draws whether to offload."""
        return self.iterations

    @abstractmethod
    def seconds_per_step(self, scenario: Scenario) -> float:
        """Return about how long an iteration takes, by which progress is weighed."""

    @abstractmethod
    def learn(
        self, systems: Sequence[System], *, seed: int, draws: Draws, log: TrainingLog, metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """Learn a policy on systems, noting each iteration in a log; return it as a model. Raises `InputError`."""

    def convergence(self, drops: Sequence[float]) -> int | None:
        """Return after how many lines of its log a training had converged, None if nothing tells."""
        return None
