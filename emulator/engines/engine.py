"""The engines: what each one does, which there are, and about how long they take.

What passes through: a workload goes in, an episode comes out. Engines know a system, its access relation and its
timetable, and a dispatcher; all of them give the same bits. A new engine is a class and a line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from emulator.engines.episode import UNTRACED, Episode, EpochTrace, JobTrace, Traces

if TYPE_CHECKING:
    from dispatchers.contract import Dispatcher
    from emulator.model.network import Network
    from emulator.model.system import System
    from emulator.workload.workload import Workload

Part = tuple[JobTrace | None, EpochTrace | None]
"""The traces of some epochs, as far as they are wanted."""


class Engine(Protocol):
    """Emulates episodes of one system under one dispatcher."""

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1) -> None: ...

    @staticmethod
    def obstacle(
        dispatcher: Dispatcher, network: Network, traces: Traces = UNTRACED, *, has_feedback: bool = False
    ) -> str | None:
        """Return why this engine cannot run a dispatcher on a network or write some traces, None if it can.

        With feedback what becomes of a job makes others arrive, see `System.has_feedback`.
        """
        ...

    def episode(
        self, workload: Workload, traces: Traces = UNTRACED, progress: Callable[[float], None] | None = None
    ) -> Episode:
        """Emulate one episode and return its sums, and the traces asked for.

        `progress` is called with the simulated time (ms) at each epoch's start and at the horizon.
        """
        ...

    def parts(self, workload: Workload, traces: Traces) -> Iterator[Part]:
        """Emulate one episode and yield its traces of jobs and epochs piece by piece, in the order of the epochs."""
        ...


class Kind(NamedTuple):
    """An engine that can be asked for."""

    path: str
    """`module:Class`, imported when it is first needed."""
    seconds_per_job: float
    """About what it takes, for the time left and the number of processes."""

    def load(self) -> type[Engine]:
        """Return its class."""
        module, _, name = self.path.partition(":")
        loaded: type[Engine] = getattr(import_module(module), name)
        return loaded


REFERENCE = "simpy"
"""The engine that is written to be read; the others have to agree with it."""

ENGINES = {
    REFERENCE: Kind("emulator.engines.simpy.engine:SimpyEngine", 1e-5),
    "compiled": Kind("emulator.engines.compiled.windows:WindowEngine", 5e-8),
    "ordered": Kind("emulator.engines.compiled.ordered:OrderedEngine", 2e-7),
}
"""The engines by the names that scenarios call them."""
