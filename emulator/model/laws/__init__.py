"""The laws of a job's work, or of a time, by their name; a new one is one file and a line in `single.py`."""

from __future__ import annotations

from emulator.model.laws.bounded_pareto import BoundedPareto
from emulator.model.laws.deterministic import Deterministic
from emulator.model.laws.empirical import Empirical
from emulator.model.laws.erlang import Erlang
from emulator.model.laws.exponential import Exponential
from emulator.model.laws.gamma import Gamma
from emulator.model.laws.hyperexponential import Hyperexponential
from emulator.model.laws.law import Law
from emulator.model.laws.lognormal import Lognormal
from emulator.model.laws.mixture import Mixture
from emulator.model.laws.pareto import Pareto
from emulator.model.laws.phase_type import PhaseType
from emulator.model.laws.single import SINGLE_LAWS
from emulator.model.laws.uniform import Uniform
from emulator.model.laws.weibull import Weibull

__all__ = [
    "LAWS",
    "BoundedPareto",
    "Deterministic",
    "Empirical",
    "Erlang",
    "Exponential",
    "Gamma",
    "Hyperexponential",
    "Law",
    "Lognormal",
    "Mixture",
    "Pareto",
    "PhaseType",
    "Uniform",
    "Weibull",
]

LAWS: dict[str, type[Law]] = {**SINGLE_LAWS, "mixture": Mixture}
"""The laws by their name."""
