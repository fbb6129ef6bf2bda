"""Laws as phase types, the time until a Markov chain is absorbed: queues with such laws are Markov chains, too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulator.errors import InputError
from emulator.model.laws import Erlang, Exponential, Hyperexponential, Law, Mixture
from emulator.model.laws import PhaseType as PhaseTypeLaw
from emulator.verification.exact.expected import Floats

PHASE_TYPES = "exponential", "hyperexponential", "erlang", "phase_type", "a mixture of these"


class Phases(NamedTuple):
    """A chain that starts in phase i with probability `start[i]`, and moves by `generator` until it is absorbed."""

    start: Floats
    generator: Floats
    """Rates between phases, with what leaves each on the diagonal: phases x phases."""

    @property
    def ending(self) -> Floats:
        """The rate of absorption from each phase."""
        return np.asarray(-self.generator.sum(axis=1))

    @property
    def mean(self) -> float:
        """Mean time until absorption."""
        return self.moment(1)

    def moment(self, order: int) -> float:
        """Return the mean of a power of the time until absorption."""
        values: Floats = np.ones(len(self.start))
        for power in range(1, order + 1):
            values = np.asarray(power * np.linalg.solve(-self.generator, values), dtype=np.float64)
        return float(self.start @ values)

    def scaled(self, factor: float) -> Phases:
        """Return the same chain, `factor` times as slow."""
        return Phases(self.start, self.generator / factor)


def exponential(mean: float = 1.0) -> Phases:
    """Return the phase type of an exponential time."""
    return Phases(np.ones(1), np.array([[-1.0 / mean]]))


def phases_of(law: Law, mean: float = 1.0) -> Phases:
    """Return a law as a phase type of some mean. Raises `InputError` for one that is none."""
    if isinstance(law, Exponential):
        return exponential(mean)
    if isinstance(law, Hyperexponential):
        branches = [(share, branch) for share, branch in law.branches() if share > 0.0]
        generator = -np.diag([1.0 / branch for _, branch in branches])
        return Phases(np.array([share for share, _ in branches]), generator).scaled(mean)
    if isinstance(law, Erlang):
        generator = law.stages * (np.eye(law.stages, k=1) - np.eye(law.stages))
        return Phases(np.eye(1, law.stages)[0], generator).scaled(mean)
    if isinstance(law, PhaseTypeLaw):
        given = Phases(np.array(law.start), np.array(law.generator))
        return given.scaled(mean / given.mean)
    if isinstance(law, Mixture):
        parts = [part for part in law.made if part.share > 0.0]
        inner = [phases_of(part.law, part.mean) for part in parts]
        start = np.concatenate([part.share * each.start for part, each in zip(parts, inner, strict=True)])
        generator = np.zeros((len(start), len(start)))
        place = 0
        for each in inner:
            end = place + len(each.start)
            generator[place:end, place:end] = each.generator
            place = end
        return Phases(start, generator).scaled(mean)
    raise InputError(f"must be a phase type to be solved: {', '.join(PHASE_TYPES)}, got {law.law}")
