"""The arrival processes by their kind; a new one is one file, one import, and one line of the registry."""

from __future__ import annotations

from emulator.model.arrivals.closed import Closed
from emulator.model.arrivals.map import MarkovianArrivals
from emulator.model.arrivals.mmpp import Mmpp
from emulator.model.arrivals.poisson import Poisson
from emulator.model.arrivals.process import ArrivalProcess, ByEpoch
from emulator.model.arrivals.profile import Profile
from emulator.model.arrivals.renewal import Renewal
from emulator.model.arrivals.sessions import Sessions
from emulator.model.arrivals.switched import Switched
from emulator.model.arrivals.trace import TraceReplay

__all__ = [
    "ARRIVALS",
    "ArrivalProcess",
    "ByEpoch",
    "Closed",
    "MarkovianArrivals",
    "Mmpp",
    "Poisson",
    "Profile",
    "Renewal",
    "Sessions",
    "Switched",
    "TraceReplay",
]

ARRIVALS: dict[str, type[ArrivalProcess]] = {
    process.model_fields["kind"].default: process
    for process in (Switched, Poisson, Profile, Mmpp, MarkovianArrivals, Renewal, TraceReplay, Closed, Sessions)
}
"""The arrival processes by their kind; a scenario that names none has the first one."""
