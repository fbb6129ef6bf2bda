"""The event loop stands on private names of SimPy: another version of SimPy must have them, too."""

import inspect
import re

import pytest
import simpy

from emulator.engines.simpy import event_loop
from emulator.engines.simpy.event_loop import ARRIVAL, DEPARTURE, EventLoop

PRIVATE = {
    simpy.Environment: {"_queue", "_eid", "_active_proc", "_now"},
    simpy.Process: {"_generator", "_resume", "_target", "_value"},
    simpy.Event: {"_ok"},
}


def test_the_private_names_of_simpy_are_known_and_there():
    found = set(re.findall(r"(?<=\.)_[a-z]\w*", inspect.getsource(event_loop))) - {"_call_back"}
    assert found == set().union(*PRIVATE.values())
    loop = simpy.Environment()

    def process():
        yield loop.timeout(1)

    of = {simpy.Environment: loop, simpy.Process: loop.process(process()), simpy.Event: loop.timeout(1)}
    for kind, names in PRIVATE.items():
        for name in names:
            assert hasattr(of[kind], name), f"{kind.__name__}.{name}"


def test_processes_events_and_timeouts_of_simpy_work_beside_sleepers():
    loop, seen = EventLoop(), []

    def sleeper():
        yield loop.at(1.0, ARRIVAL)
        seen.append(("arrival", loop.now))
        yield loop.timeout(0.5)
        seen.append(("timeout", loop.now))
        return 7

    def waiter(process):
        value = yield process
        seen.append((value, loop.now))

    def departing():
        yield loop.at(1.0, DEPARTURE)
        seen.append(("departure", loop.now))

    loop.process(waiter(loop.process(sleeper())))
    loop.process(departing())
    loop.run_to(2.0)
    assert seen == [("departure", 1.0), ("arrival", 1.0), ("timeout", 1.5), (7, 1.5)]


def test_an_error_in_a_process_comes_out():
    loop = EventLoop()

    def failing():
        yield loop.at(1.0, ARRIVAL)
        raise ValueError("no")

    loop.process(failing())
    with pytest.raises(ValueError, match="no"):
        loop.run_to(2.0)


def test_who_waits_for_an_alarm_can_be_interrupted_once_and_for_all():
    loop, seen = EventLoop(), []

    def waiting():
        for end in (2.0, 3.0):
            try:
                yield loop.alarm(end, DEPARTURE)
                seen.append(("alarm", loop.now))
            except simpy.Interrupt as interrupt:
                seen.append((interrupt.cause, loop.now))

    def interrupting(process):
        yield loop.at(1.0, ARRIVAL)
        loop.interrupt(process, "why")
        seen.append(("after", loop.now))
        assert loop.active_process is not process

    loop.process(interrupting(loop.process(waiting())))
    loop.run_to(4.0)
    assert seen == [("why", 1.0), ("after", 1.0), ("alarm", 3.0)]
