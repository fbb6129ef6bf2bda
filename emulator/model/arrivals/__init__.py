"""The arrival processes by their kind; a new one is one file, one import, and one line of the registry."""

from __future__ import annotations

from emulator.model.arrivals.process import ArrivalProcess
from emulator.model.arrivals.switched import Switched

__all__ = ["ARRIVALS", "ArrivalProcess", "Switched"]

ARRIVALS: dict[str, type[ArrivalProcess]] = {"switched": Switched}
"""The arrival processes by their kind; a scenario that names none has the first one."""
