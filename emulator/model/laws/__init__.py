"""The laws of a job's work by their name; a new one is one file, one import, and one line of the registry."""

from __future__ import annotations

from emulator.model.laws.deterministic import Deterministic
from emulator.model.laws.exponential import Exponential
from emulator.model.laws.hyperexponential import Hyperexponential
from emulator.model.laws.law import Law

__all__ = ["LAWS", "Deterministic", "Exponential", "Hyperexponential", "Law"]

LAWS: dict[str, type[Law]] = {
    law.model_fields["law"].default: law for law in (Exponential, Deterministic, Hyperexponential)
}
"""The laws by their name."""
