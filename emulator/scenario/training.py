"""How policies are learned on a scenario's system: what `python -m policies` reads; the emulator itself does not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError, Section, Seed

Count = Annotated[int, Field(ge=1, le=10_000_000)]

WITHOUT_LAYERS = ("STATIC", "MF-N", "SAC")
"""Algorithms that learn no network."""


class Training(Section):
    """One policy to be learned; a swept key makes a policy of each value."""

    algorithm: Literal["MF-R", "MF-N", "MF-G", "MF-RNN", "NA-PS", "SAC", "STATIC"] = "MF-R"
    """The dispatcher that executes the policy; STATIC is the best fixed decision rule, which MF-R executes."""
    preset: Literal["fast", "paper"] = "fast"
    """Hyperparameters: a quick recipe, or those of the paper's Table 2."""
    observation: Literal["own", "all"] | None = None
    """What MF-R's policy observes while it is trained: an own queue length, or, as in the paper, the distribution of
    all queues; the preset's if not given."""
    draws: Literal["job", "epoch"] | None = None
    """How often a scheduler draws whether to offload: anew for each job, which is the default, or once per epoch."""
    seed: Seed | None = None
    """Seed of all that a training draws; the scenario's, which random graphs are drawn with, if not given."""
    iterations: Count | None = None
    """Iterations of PPO, generations of a direct search or episodes of SAC; the preset's if not given."""
    copies_per_path: Count | None = None
    """Rows of a batch that share one path of arrival rates and whose rewards are centred by their mean, for PPO; the
    preset's if not given."""
    hidden: Annotated[list[Count], Field(min_length=1)] | None = None
    """Units of each hidden layer; the preset's if not given."""
    graphs: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many graphs (or assignments of service rates), drawn with the seeds from `seed` on, are trained on."""
    score: Annotated[str, Field(min_length=1)] | None = None
    """The scenario file, relative to `folder`, on whose system the policy is scored; this one's if not given."""

    @model_validator(mode="after")
    def _check(self) -> Training:
        if self.observation is not None and self.algorithm != "MF-R":
            raise ScenarioError("observation", f"must stand beside algorithm: MF-R, got {self.algorithm}")
        if self.draws == "epoch" and self.algorithm == "SAC":
            raise ScenarioError("draws", "must be left out for SAC, which draws a server, once per epoch")
        if self.hidden is not None and self.algorithm in WITHOUT_LAYERS:
            raise ScenarioError("hidden", f"must be left out for {self.algorithm}, which has no hidden layers")
        return self
