"""SimPy's environment with what this emulator needs of it: absolute times, an order at equal times, and speed."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Any, ClassVar

import simpy
from simpy.events import PENDING

# What comes first at equal times, by the steps of an instant. Nothing but departures, and timeouts of jobs in service,
# happens at the horizon itself.
DEPARTURE, TIMEOUT, END, FAILURE, PATIENCE, SAMPLE, DELIVERY, DECISION, REACH, ARRIVAL = range(10)


def turn(step: int, index: int = 0, number: int = 0, attempt: int = 0) -> int:
    """Return what orders events of equal times: by step, then index of server or scheduler, number and attempt."""
    return step << 80 | index << 48 | number << 16 | attempt


class Asleep:
    """What a sleeping process yields; SimPy takes it for an event with nobody to call back."""

    callbacks: ClassVar[deque[Any]] = deque(maxlen=0)


ASLEEP = Asleep()


class EventLoop(simpy.Environment):
    """A `simpy.Environment` whose processes can sleep until an absolute time, and there until their turn.

    `timeout(delay)` would wake them at `now + (time - now)`, which is not always `time`; equality of engines to the
    last bit needs the time itself. A sleeping process stands in the event list itself, without an event around it,
    which halves the run time. Processes, events and timeouts of SimPy work beside it.
    """

    def at(self, time: float, turn: int) -> Any:
        """Let the active process, which yields what this returns, sleep until `time` (ms), and there until its turn."""
        heappush(self._queue, (time, turn, next(self._eid), self._active_proc))  # type: ignore[misc]
        return ASLEEP

    def wake_at_turn(self, process: simpy.Process, turn: int) -> None:
        """Resume a sleeping process at this instant, when its turn comes."""
        heappush(self._queue, (self._now, turn, next(self._eid), process))  # type: ignore[misc]

    @property
    def running(self) -> simpy.Process:
        """The active process, asked by itself."""
        process = self._active_proc
        assert process is not None
        return process

    def alarm(self, time: float, turn: int) -> simpy.Event:
        """Return an event at `time` (ms) and its turn; a process that waits for it can be interrupted."""
        alarm = simpy.Event(self)
        alarm._ok, alarm._value = True, None
        heappush(self._queue, (time, turn, next(self._eid), alarm))  # type: ignore[misc]
        return alarm

    def interrupt(self, process: simpy.Process, cause: Any = None) -> None:
        """Let a process that waits for an alarm wait no more, and raise `simpy.Interrupt` in it.

        At once, before the active process goes on; `Process.interrupt` would do it a little later.
        """
        process.target.callbacks.remove(process._resume)
        active = self._active_proc
        self._resume(process, simpy.Interrupt(cause))
        self._active_proc = active

    def until_woken(self) -> Any:
        """Let the active process, which yields what this returns, sleep until somebody wakes it."""
        return ASLEEP

    def wake(self, process: simpy.Process) -> None:
        """Resume a sleeping process now, before the active one goes on."""
        active = self._active_proc
        self._resume(process)
        self._active_proc = active

    def run_to(self, horizon: float) -> None:
        """Process every event up to `horizon`, of those at `horizon` itself only the departures."""
        queue = self._queue
        end = simpy.Event(self)
        heappush(queue, (horizon, turn(END), next(self._eid), end))  # type: ignore[misc]
        resume, process_class = self._resume, simpy.Process
        while True:
            self._now, _, _, event = heappop(queue)
            if event.__class__ is process_class and event._value is PENDING:
                resume(event)
            elif event is end:
                return
            else:
                self._call_back(event)

    def _resume(self, process: simpy.Process, interrupt: simpy.Interrupt | None = None) -> None:
        self._active_proc = process
        try:
            generator = process._generator
            awaited = generator.send(None) if interrupt is None else generator.throw(interrupt)
        except StopIteration as end:
            process.succeed(end.value)
            return
        process._target = awaited
        if awaited is ASLEEP:
            return
        if awaited.callbacks is None:
            process._resume(awaited)  # it has happened already
        else:
            awaited.callbacks.append(process._resume)

    def _call_back(self, event: simpy.Event) -> None:
        """Do what `simpy.Environment.step` does with an event."""
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event.ok and not event.defused:
            raise event._value
