"""What does a job cost? Both engines and what they are measured against, side by side in one run.

`python -m benchmarks` prints tables for the README; `--quick` takes small systems only. Every figure is the best of
some runs, in ns per job, compiled code warm. What is not measured at a size would take minutes there.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import rivals
from dispatchers.contract import Dispatcher
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldGlobal, MeanFieldNeighbourhood, MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.command_line import Parser
from emulator.engines.compiled.ordered import OrderedEngine
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.engine import Engine
from emulator.engines.simpy.engine import SimpyEngine
from emulator.machine.starting import start
from emulator.model.arrivals import (
    ArrivalProcess,
    Closed,
    MarkovianArrivals,
    Mmpp,
    Poisson,
    Profile,
    Renewal,
    Sessions,
    Switched,
)
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import LAWS, Exponential, Gamma
from emulator.model.network import Clock, Duration, Latency, Loss, Network
from emulator.model.station import Failures, JobClass, Patience, Retries, Station
from emulator.model.system import System
from emulator.model.topologies import configuration_model, edge_list, torus
from emulator.runs.check import shipped_policies
from emulator.workload.workload import Workload

Run = Callable[[System, int], int]
"""Emulates a replication of a system and returns how many jobs it had."""

SIDES = {100: 10, 4_900: 70, 99_856: 316, 1_000_000: 1000}
"""Sides of the tori, by nodes."""

SECONDS = 2.0
"""How long a figure is measured for, at least two runs."""


def compiled(dispatcher: Dispatcher, threads: int = 1, engine: type[Engine] = WindowEngine) -> Run:
    """Return a compiled engine under a dispatcher, kept from one replication to the next as in a run."""
    engines: dict[int, Engine] = {}

    def run(system: System, replication: int) -> int:
        if id(system) not in engines:
            engines[id(system)] = engine(system, dispatcher, threads)
        return engines[id(system)].episode(Workload(system, replication)).totals.arrivals

    return run


def simpy(dispatcher: Dispatcher) -> Run:
    """Return the SimPy engine under a dispatcher."""

    def run(system: System, replication: int) -> int:
        return SimpyEngine(system, dispatcher).episode(Workload(system, replication)).totals.arrivals

    return run


def nanoseconds(run: Run, system: System) -> float:
    """Return what a job costs at best, the first run left out if there is time for more."""
    begun = time.perf_counter()
    costs: list[float] = []
    while len(costs) < 2 or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        jobs = run(system, len(costs))
        costs.append((time.perf_counter() - start) / jobs * 1e9)
        if time.perf_counter() - begun > 10 * SECONDS:
            break
    return min(costs)


def torus_of(nodes: int) -> System:
    """Return the paper's system at delta_t 5 ms on a torus."""
    return System(torus(SIDES[nodes]), 5.0, 50.0, 5, np.ones(nodes))


def bytes_per_node(dispatcher: Dispatcher, system: System) -> float:
    """Return the memory that an episode of the compiled engine takes at most, its topology apart."""
    _ = system.access.servers, system.access.offsets, system.access.sharing
    tracemalloc.start()
    compiled(dispatcher)(system, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / system.nodes


def table(title: str, header: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> None:
    """Print figures under a title, a dash where there is none."""
    print(f"\n{title}")
    widths = [max(10, len(name)) for name in header]
    label = max(len(name) for name, _ in rows)
    print(" " * label, *(name.rjust(width) for name, width in zip(header, widths, strict=True)))
    for name, figures in rows:
        cells = [
            "-" if figure is None else f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}" for figure in figures
        ]
        print(name.ljust(label), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 and 4,900 nodes only")
    options = parser.parse_args(arguments)
    sizes = [nodes for nodes in SIDES if nodes <= (4_900 if options.quick else 1_000_000)]
    systems = {nodes: torus_of(nodes) for nodes in sizes}
    policy = str(Path(shipped_policies() or "policies") / "trained" / "torus_5.onnx")
    _compare(systems, has_ciw=_has_ciw())
    _dispatchers(systems, policy)
    _growth(systems[4_900])
    _laws(systems[4_900])
    _arrivals(systems[4_900])
    _servers(systems[4_900])
    _hubs(systems[4_900])
    _networks(systems[4_900])
    return 0


def _has_ciw() -> bool:
    try:
        import ciw  # noqa: F401
    except ImportError:
        print("Ciw is left out: it comes with the extra `benchmarks`", file=sys.stderr)
        return False
    return True


def _compare(systems: dict[int, System], *, has_ciw: bool) -> None:
    runs: list[tuple[str, Run, int]] = [
        ("Ciw (queues alone)", rivals.ciw_queues, 100),
        ("SimPy, straightforward", rivals.plain_simpy, 4_900),
        ("SimPy engine", simpy(Random()), 4_900),
        ("Gillespie, compiled", rivals.gillespie, 10**6),
        ("compiled engine", compiled(Random()), 10**6),
        ("compiled engine, 2 threads", compiled(Random(), 2), 10**6),
        ("sampling floor", rivals.sampling_floor, 10**6),
    ]
    rows = [
        (name, [nanoseconds(run, system) if nodes <= largest else None for nodes, system in systems.items()])
        for name, run, largest in runs
        if has_ciw or run is not rivals.ciw_queues
    ]
    table("ns per job under RND, by nodes of a torus, delta_t 5 ms", [f"{nodes:,}" for nodes in systems], rows)


def _dispatchers(systems: dict[int, System], policy: str) -> None:
    dispatchers: dict[str, Dispatcher] = {
        "RND": Random(),
        "OWN": SendToOwn(),
        "JSQ": JoinShortestQueue(),
        "MF-R": MeanFieldOwn(policy),
        "MF-N": MeanFieldNeighbourhood(policy),
        "MF-G": MeanFieldGlobal(policy),
        "RR": RoundRobin(),
        "JSQ-M": JoinShortestQueueWithMemory("sharing"),
    }
    rows = [
        (name, [nanoseconds(compiled(dispatcher), system) for system in systems.values()])
        for name, dispatcher in dispatchers.items()
    ]
    table("ns per job of the compiled engine, by dispatcher and nodes", [f"{nodes:,}" for nodes in systems], rows)
    large = systems[max(systems)]
    rows = [(name, [bytes_per_node(dispatchers[name], large)]) for name in ("RND", "JSQ", "JSQ-M")]
    table("bytes per node of the compiled engine, topology apart", [f"{large.nodes:,}"], rows)


def _growth(base: System) -> None:
    run = compiled(Random())
    epochs = (1.0, 2.0, 5.0, 10.0, 50.0)
    cells = [nanoseconds(run, replace(base, delta_t=delta_t)) for delta_t in epochs]
    table("ns per job under RND at 4,900 nodes, by delta_t in ms", [f"{x:g}" for x in epochs], [("", cells)])
    degrees = (2, 4, 8, 16)
    graphs = [configuration_model(4_900, [degree], 1) for degree in degrees]
    cells = [nanoseconds(run, replace(base, topology=graph)) for graph in graphs]
    table("ns per job under RND at 4,900 nodes, by degree", [str(degree) for degree in degrees], [("", cells)])
    loads = (0.2, 0.5, 0.9, 1.5, 3.0)
    cells = [nanoseconds(run, replace(base, arrivals=Switched(high=load, low=load))) for load in loads]
    table("ns per job under RND at 4,900 nodes, by load", [f"{load:g}" for load in loads], [("", cells)])
    buffers = (1, 2, 5, 10, 16, 20, 100)
    cells = [nanoseconds(run, replace(base, buffer=buffer)) for buffer in buffers]
    table("ns per job under RND at 4,900 nodes, by buffer", [str(buffer) for buffer in buffers], [("", cells)])


def _laws(base: System) -> None:
    """What a law of work costs: most need one number for a job, some need more."""
    laws = [law.sample(np.random.default_rng(1)) for law in LAWS.values()]
    rows = [(law.law, [nanoseconds(compiled(Random()), replace(base, work=law))]) for law in laws]
    table("ns per job under RND at 4,900 nodes, by law of work", [""], rows)


def _arrivals(base: System) -> None:
    """What other arrivals cost, at about the load of the plain case; those of clients in the ordered engine."""
    think = Duration(8.0, Exponential())
    kinds: dict[str, ArrivalProcess] = {
        "high and low": Switched(),
        "poisson": Poisson(rate=0.75),
        "poisson, weights": Poisson(
            rate=0.75, weights=Weights.model_validate({"kind": "hot", "share": 0.1, "factor": 5})
        ),
        "poisson, batches": Poisson(rate=0.375, batch=Batch.model_validate(2)),
        "profile": Profile(points=[[0.0, 0.5], [25.0, 1.0], [50.0, 0.5]]),
        "mmpp, shared": Mmpp(rates=[1.0, 0.5], generator=[[-0.1, 0.1], [0.1, -0.1]]),
        "mmpp, own": Mmpp(rates=[1.0, 0.5], generator=[[-0.1, 0.1], [0.1, -0.1]], chain="own"),
        "map": MarkovianArrivals(d0=[[-1.5, 0.1], [0.05, -0.4]], d1=[[1.3, 0.1], [0.05, 0.3]]),
        "renewal, gamma": Renewal(rate=0.75, gap=Gamma(scv=4.0)),
    }
    rows = [(name, [nanoseconds(compiled(Random()), replace(base, arrivals=kind))]) for name, kind in kinds.items()]
    for name, kind in (
        ("closed", Closed(clients=8, think=think)),
        ("sessions", Sessions(rate=0.25, jobs=3.0, think=think)),
    ):
        rows.append((name, [nanoseconds(compiled(Random(), engine=OrderedEngine), replace(base, arrivals=kind))]))
    table("ns per job under RND at 4,900 nodes, by arrivals", [""], rows)


def _servers(base: System) -> None:
    """What other servers cost; retries in the ordered engine."""
    classes = JobClass("short", 0.75, 0, 0.5), JobClass("long", 0.25, 1, 2.5)
    patience = Patience(Duration(4.0, Exponential()))
    retries = Retries(("drop",), 3, Duration(2.0, Exponential()))
    kinds = {
        "one queue": Station(),
        "2 servers": Station(servers=2),
        "sharing": Station(discipline="ps"),
        "classes": Station(classes=classes),
        "priorities": Station(classes=classes, has_priorities=True),
        "priorities, preemptive": Station(classes=classes, has_priorities=True, preempts=True),
        "speeds": Station(speeds=(1.0, 1.0, 1.5, 2.0)),
        "patience": Station(patience=patience),
        "failures": Station(failures=Failures(Duration(50.0, Exponential()), Duration(5.0, Exponential()))),
        "retries": Station(retries=retries),
    }
    rows = []
    for name, station in kinds.items():
        engine: type[Engine] = WindowEngine if station.retries is None else OrderedEngine
        rows.append((name, [nanoseconds(compiled(Random(), engine=engine), replace(base, station=station))]))
    table("ns per job under RND at 4,900 nodes, by servers", [""], rows)


def _hubs(base: System) -> None:
    """What few schedulers with many servers cost: time and memory go by the entries of the access relation."""
    leaves = np.arange(1, 8020)
    near = (leaves * np.random.default_rng(1).random((2, len(leaves))) ** 4).astype(int)
    graphs = {
        "star of 5,000": edge_list([[0, leaf] for leaf in range(1, 5000)], nodes=5000),
        "8,020 nodes, hubs": edge_list(np.unique(np.append(*np.stack([near, [leaves, leaves]], 2), 0), axis=0)),
    }
    rows = []
    for name, graph in graphs.items():
        system = replace(base, topology=graph, service_rates=np.ones(graph.nodes))
        entries, widest = len(system.access.servers), system.access.width
        rule = JoinShortestQueue()
        cost = nanoseconds(compiled(rule), system)
        memory = bytes_per_node(rule, system) * graph.nodes / entries
        rows.append((name, [entries, widest, cost, memory]))
    table("JSQ where degrees differ", ["entries", "widest", "ns per job", "bytes per entry"], rows)


NETWORKS = {
    "in step": Network(),
    "random phases": Network(samples=Clock(5.0, "random")),
    "latency and loss": Network(latency=Latency(base=Duration(1.0, Exponential())), loss=Loss(0.1, 0.1)),
    "polls": Network(kind="poll", samples=Clock(5.0, "random"), latency=Latency(base=Duration(0.5, Exponential()))),
    "jobs that travel": Network(dispatch=Latency(base=Duration(0.5, Exponential()))),
}


def _networks(base: System) -> None:
    """What messages cost: the ordered engine beside the windows, which are for schedulers in step."""
    rules = {"RND": Random(), "JSQ": JoinShortestQueue(), "JSQ-M": JoinShortestQueueWithMemory("sharing")}
    rows = [("windows, in step", [1.0, *(nanoseconds(compiled(rule), base) for rule in rules.values())])]
    for name, network in NETWORKS.items():
        system = replace(base, network=network)
        totals = OrderedEngine(system, rules["RND"]).episode(Workload(system, 0)).totals
        cells = [totals.mail.sent / totals.arrivals]
        for rule in rules.values():
            run = compiled(rule, engine=OrderedEngine)
            run(system, 0)  # compiles
            cells.append(nanoseconds(run, system))
        rows.append((f"ordered, {name}", cells))
    rows[0][1][0] = rows[1][1][0]
    table("ns per job at 4,900 nodes, by network", ["messages per job", *rules], rows)


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
