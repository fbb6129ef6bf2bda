"""The event loop stands on private names of SimPy: another version of SimPy must have them, too."""

import inspect
import re

import pytest
import simpy

from emulator.engines.simpy import event_loop
from emulator.engines.simpy.event_loop import ARRIVAL, DEPARTURE, EventLoop

PRIVATE = {
    simpy.Environment: {"_queue", "_eid", "_active_proc", "_now"},
    simpy.Process: {"_generator", "_resume", "_value"},
}


def test_the_private_names_of_simpy_are_known_and_there():
    found = set(re.findall(r"(?<=\.)_[a-z]\w*", inspect.getsource(event_loop))) - {"_call_back"}
    assert found == set().union(*PRIVATE.values())
    loop = simpy.Environment()

    def process():
        yield loop.timeout(1)

    of = {simpy.Environment: loop, simpy.Process: loop.process(process())}
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
