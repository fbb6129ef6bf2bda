"""The laws that need no other one, by their name; a new one is one file, one import, and one line here."""

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
from emulator.model.laws.pareto import Pareto
from emulator.model.laws.phase_type import PhaseType
from emulator.model.laws.uniform import Uniform
from emulator.model.laws.weibull import Weibull

_LAWS: list[type[Law]] = [
    Exponential,
    Deterministic,
    Hyperexponential,
    Uniform,
    Erlang,
    Gamma,
    PhaseType,
    Lognormal,
    Weibull,
    Pareto,
    BoundedPareto,
    Empirical,
]

SINGLE_LAWS: dict[str, type[Law]] = {law.model_fields["law"].default: law for law in _LAWS}
"""The laws by their name, without mixtures of them."""
