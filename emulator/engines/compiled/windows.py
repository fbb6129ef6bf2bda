"""The engine for size: the SimPy engine's episodes to the last bit, window by window instead of event by event."""

from __future__ import annotations

from dispatchers.contract import Dispatcher
from emulator.engines.compiled import rules
from emulator.engines.compiled.station_run import StationRun
from emulator.engines.compiled.window_run import Run, Windows
from emulator.engines.episode import UNTRACED, Traces
from emulator.model.network import Network
from emulator.workload.workload import Workload


class WindowEngine(Windows):
    """Emulates episodes of one system under one dispatcher; see `Windows`."""

    @staticmethod
    def obstacle(
        dispatcher: Dispatcher, network: Network, traces: Traces = UNTRACED, *, has_feedback: bool = False
    ) -> str | None:
        """See `Engine.obstacle`: all happens in step here, and numba cannot compile all users' per-job rules."""
        if not network.is_synchronous:
            return "its schedulers hear and decide in step alone"
        if has_feedback:
            return "it draws jobs before it is known what becomes of others"
        if traces.messages:
            return "messages travel in SimPy alone"
        return rules.obstacle_to(dispatcher)

    def begin(self, workload: Workload, traces: Traces) -> Run:
        """See `EngineInParts.begin`."""
        if self.system.station.is_plain:
            return Run(self, workload, traces)
        return StationRun(self, workload, traces)
