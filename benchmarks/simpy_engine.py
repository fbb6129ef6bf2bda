"""How fast is the SimPy engine? One episode per dispatcher of the paper's 70 x 70 torus against the bare kernel.

Run `python -m benchmarks.simpy_engine [--side 70] [--delta-t 5] [--runs 3]`. The bare kernel is SimPy alone with as
many processes and as many timeouts as the episode had events, and nothing in them, in the same process. The ratio
to it says what the emulation costs on top, whatever the machine is doing.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
import simpy

from dispatchers.contract import Dispatcher, name_of
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.command_line import Parser
from emulator.engines.episode import Episode
from emulator.engines.simpy.engine import SimpyEngine
from emulator.machine.option_numbers import real, whole
from emulator.machine.starting import start
from emulator.model.system import System
from emulator.model.topologies import torus
from emulator.workload.workload import Workload

DISPATCHERS = (
    Random(),
    SendToOwn(),
    JoinShortestQueue(),
    RoundRobin(),
    JoinShortestQueueWithMemory("sharing"),
)


def events_of(system: System, episode: Episode) -> int:
    """Return how many events the event list went through: starts, arrivals, departures, broadcasts, decisions."""
    epochs = len(episode.totals.drops_by_epoch)
    return (3 + 2 * epochs) * system.nodes + episode.totals.arrivals + episode.totals.completions


def time_episode(system: System, dispatcher: Dispatcher) -> tuple[float, Episode]:
    """Return the seconds one episode takes, the drawing of its workload included, and the episode."""
    start = time.perf_counter()
    episode = SimpyEngine(system, dispatcher).episode(Workload(system, replication=0))
    return time.perf_counter() - start, episode


def time_bare_kernel(processes: int, events: int, horizon: float) -> float:
    """Return the seconds SimPy takes for so many timeouts, spread evenly over processes and randomly over time."""
    delays = np.random.default_rng(0).exponential(horizon * processes / events, events).tolist()
    environment = simpy.Environment()

    def sleeper(number: int):  # type: ignore[no-untyped-def]
        for delay in delays[number::processes]:
            yield environment.timeout(delay)

    for number in range(processes):
        environment.process(sleeper(number))
    gc.disable()
    start = time.perf_counter()
    environment.run()
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = Parser(prog="python -m benchmarks.simpy_engine", description=__doc__)
    parser.add_argument(
        "--side", type=whole(3, 1000), metavar="N", default=70, help="side of the torus (default: %(default)s)"
    )
    parser.add_argument(
        "--delta-t",
        type=real(0.01, 1000.0),
        metavar="MS",
        default=5.0,
        help="between broadcasts (default: %(default)s)",
    )
    parser.add_argument(
        "--runs", type=whole(1, 1000), metavar="N", default=3, help="of which the median counts (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    system = System(
        topology=torus(options.side),
        delta_t=options.delta_t,
        horizon=50.0,
        buffer=5,
        service_rates=np.ones(options.side**2),
    )
    time_episode(system, Random())  # loads the compiled workload
    print(f"torus {options.side} x {options.side}, delta_t {options.delta_t:g} ms, 50 ms, median of {options.runs}")
    print(f"{'':8}{'us/job':>9}{'events/s':>12}{'bare kernel: us/job':>22}{'events/s':>12}{'ratio of time':>15}")
    for dispatcher in DISPATCHERS:
        episodes, kernels = [], []
        for _ in range(options.runs):
            seconds, episode = time_episode(system, dispatcher)
            events = events_of(system, episode)
            episodes.append(seconds)
            kernels.append(time_bare_kernel(3 * system.nodes, events, system.horizon))
        ours, bare = statistics.median(episodes), statistics.median(kernels)
        jobs = episode.totals.arrivals
        ratio = statistics.median(mine / kernel for mine, kernel in zip(episodes, kernels, strict=True))
        print(
            f"{name_of(dispatcher):8}{ours / jobs * 1e6:9.2f}{events / ours:12,.0f}"
            f"{bare / jobs * 1e6:22.2f}{events / bare:12,.0f}{ratio:15.2f}"
        )
    return 0


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
