"""Does a law of work, an arrival process, a topology or an engine keep its promises? For those of users, too.

Each check raises `InputError` with one line for the first promise that is broken. Seeds are fixed, so a check passes or
fails every time; a right member fails by chance with a probability of at most about LEVEL.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatchers.rules.basic import Random
from emulator.engines.comparison import EnginesDifferError
from emulator.engines.engine import Engine
from emulator.errors import InputError
from emulator.model.access import Home
from emulator.model.arrivals import ArrivalProcess, Switched
from emulator.model.laws import Exponential, Law
from emulator.model.system import System
from emulator.model.topologies import TopologyKind, cycle
from emulator.model.topologies.edge_list import from_networkx
from emulator.model.topologies.kind import RandomKind
from emulator.model.topology import Topology
from emulator.randomness import SERVICE, random_words
from emulator.verification.agreement import can_run, check, compare, reference_of
from emulator.verification.random_systems import Case, random_case
from emulator.workload.jobs import try_out, works_of
from emulator.workload.workload import Workload

LEVEL = 1e-6
"""Level of each statistical test."""

DEVIATIONS = 4.9
"""Standard deviations that a normal number exceeds with probability LEVEL."""

WORKS = 200_000
"""Works that are drawn of a law."""

SELDOM = 1e-4
"""Share of jobs whose work is cut where moments are compared."""


class Cut(NamedTuple):
    """Work that is cut, and its moments by the distribution function."""

    at: float
    mean: float
    square: float


def check_law(law: Law) -> None:
    """Check that a law has mean 1, its variance and its distribution, and draws the same bits everywhere."""
    try:
        try_out(law)
    except InputError as error:
        raise InputError(f"{law.law}: {error}") from None
    bits = random_words(1, SERVICE, WORKS) >> np.uint64(16)
    works = works_of(bits, law)
    step = WORKS // 7
    _check_distribution(law, works, _check_moments(law))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda first: works_of(bits[first : first + step], law, first), range(0, WORKS, step)))
    same = np.concatenate(parts).tobytes() == works.tobytes()
    alone = np.array([works_of(bits[index : index + 1], law, index)[0] for index in range(1000)])
    _demand(same and alone.tobytes() == works[:1000].tobytes(), law.law, "equal bits must give equal works")
    _check_engines(law.law, Switched(), law)


def _check_moments(law: Law) -> Cut:
    """Integrate what the distribution function leaves over: the mean is that of 1 - F, E[x**2] that of 2 x (1 - F).

    Return the same moments of work that is cut at what few jobs exceed: they are finite whatever the law.
    """
    work = np.geomspace(1e-9, 1e12, 2**20)
    left = 1.0 - law.cdf(work)
    _demand((np.diff(left) <= 1e-12).all(), law.law, "cdf must not fall")
    left[left < 1e-14] = 0.0
    mean, square = (float(np.trapezoid(values, work)) for values in (left, 2.0 * work * left))
    _demand(abs(mean - 1.0) < 1e-3, law.law, f"cdf must have mean 1, got {mean:.4g}")
    variance = law.variance()
    if math.isfinite(variance):
        told = f"cdf must have the variance {variance:.4g}, got {square - 1.0:.4g}"
        _demand(abs(square - 1.0 - variance) < 0.01 * (variance + 0.1), law.law, told)
    kept = left > SELDOM
    mean, square = (float(np.trapezoid(values[kept], work[kept])) for values in (left, 2.0 * work * left))
    return Cut(float(work[kept][-1]), mean, square)


def _check_distribution(law: Law, works: NDArray[np.float64], cut: Cut) -> None:
    """Compare works with the distribution function, by the bound of Dvoretzky, Kiefer and Wolfowitz, and their moments.

    The distribution function says little of the largest works; their squares, cut, say more.
    """
    values, counts = np.unique(works, return_counts=True)
    distance = np.abs(np.cumsum(counts) / len(works) - law.cdf(values)).max()
    bound = math.sqrt(math.log(2.0 / LEVEL) / (2.0 * len(works)))
    _demand(distance < bound, law.law, f"works must follow cdf to within {bound:.4f}, got {distance:.4f}")
    if math.isfinite(law.variance()):
        error = DEVIATIONS * math.sqrt(law.variance() / len(works)) + 1e-12
        _demand(abs(works.mean() - 1.0) <= error, law.law, f"works must have mean 1, got {works.mean():.4f}")
    within = np.minimum(works, cut.at)
    for values, expected, what in ((within, cut.mean, "mean"), (within**2, cut.square, "mean square")):
        error = DEVIATIONS * float(values.std()) / math.sqrt(len(values)) + 1e-4 * expected
        told = f"works must have the {what} {expected:.4g} if cut at {cut.at:.4g}, got {values.mean():.4g}"
        _demand(abs(values.mean() - expected) <= error, law.law, told)


def check_arrivals(process: ArrivalProcess) -> None:
    """Check that a process has its rates, and brings as many jobs as these say, in order and the same everywhere."""
    name, long = process.kind, process.rates(1, 0, 40_000)
    _demand(long[:100].tobytes() == process.rates(1, 0, 100).tobytes(), name, "more epochs must not change rates")
    highest = process.highest_rate()
    _demand((long >= 0.0).all() and (long <= highest).all(), name, f"rates must be from 0 to {highest:g}")
    batches = long.reshape(200, -1).mean(axis=1)[1:]
    _check_mean(batches, process.expected_rate(), name, "the rate")
    workload = Workload(_system(process, Exponential(), nodes=4000), 0)
    for epoch, rate in enumerate(workload.arrival_rates):
        (start, end), jobs = workload.times[epoch : epoch + 2], workload.jobs(epoch)
        times = jobs.arrival_times
        _demand((times >= start).all() and (times < end).all(), name, "jobs must arrive in their epoch")
        is_next = np.ones(len(times), dtype=bool)
        is_next[jobs.offsets[:-1][np.diff(jobs.offsets) > 0]] = False
        _demand((np.diff(times, prepend=0.0)[is_next] >= 0.0).all(), name, "a scheduler's jobs must arrive in order")
        _check_mean(np.diff(jobs.offsets), rate * (end - start), name, "jobs of an epoch")
    _check_engines(name, process, Exponential())


def check_topology(kind: TopologyKind) -> None:
    """Check that a kind has as many nodes as it says, and is a simple undirected graph, the same for the same seed.

    Or that it has as many schedulers and servers as it says, and each scheduler can access a server, none twice.
    """
    topology = kind.build(7)
    name, is_graph = kind.kind, isinstance(topology, Topology)
    counts = {"scheduler": topology.schedulers, "server": topology.servers}
    counts = {"node": topology.nodes} if isinstance(topology, Topology) else counts
    for noun, count in counts.items():
        said = getattr(kind, f"{noun}_count")()
        _demand(said == count, name, f"{noun}_count says {said}, but there are {count} {noun}s")
    _demand(kind.has_nodes() == is_graph, name, f"has_nodes says {kind.has_nodes()}, got {type(topology).__name__}")
    has_own = topology.access.has_own
    _demand(kind.has_own() == has_own, name, f"has_own says {kind.has_own()}, got {has_own}")
    try:
        topology.check()
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    _demand(topology.kind == name, name, f"the graph must have this kind, got {topology.kind}")
    again = type(kind).model_validate(kind.model_dump())
    _demand(again.build(7).graph_hash == topology.graph_hash, name, "the same keys and seed must give one graph")
    home: Home | None = "first" if topology.access.has_own and not is_graph else None
    back = from_networkx(topology.to_networkx(), home=home)
    _demand(back.graph_hash == topology.graph_hash, name, "the graph must survive networkx")
    if getattr(kind, "balanced", False):
        sharing = topology.access.sharing
        told = f"servers must be chosen equally often, up to one, got {sharing.min()} to {sharing.max()} times"
        _demand(sharing.max() - sharing.min() <= 1, name, told)
    if isinstance(kind, RandomKind):
        _check_graphs_of_replications(kind)


def _check_graphs_of_replications(kind: RandomKind) -> None:
    """Check that replications draw graphs of their own if asked, always the same ones, and have one graph if not."""
    each = kind.model_copy(update={"seed": None, "per": "replication"})
    drawn = [each.build_for(7, replication).graph_hash for replication in range(20)]
    _demand(drawn[0] == each.build_for(7, 0).graph_hash, kind.kind, "a replication must always have the same graph")
    are_alike = len({each.build(seed).graph_hash for seed in range(20)}) == 1
    _demand(are_alike or len(set(drawn)) > 1, kind.kind, "replications must draw graphs of their own")
    common = each.model_copy(update={"per": None})
    same = common.build_for(7, 0).graph_hash == common.build_for(7, 5).graph_hash
    _demand(same, kind.kind, "without per: replication there must be one graph")


def check_engine(engine: type[Engine], *, first: int = 0, count: int = 20) -> None:
    """Check that an engine does what the reference does, to the last bit, in the random cases that it can run."""
    for number in range(first, first + count):
        case = random_case(number)
        if can_run(engine, case):
            try:
                compare(engine, case, reference_of(case))
            except EnginesDifferError as error:
                raise InputError(f"{engine.__name__}: random case {number}: {error}") from None


def _check_mean(values: NDArray[np.float64], expected: float, name: str, what: str) -> None:
    error = DEVIATIONS * values.std(ddof=1) / math.sqrt(len(values)) + 1e-9
    told = f"{what} must be {expected:.4g} on average, got {values.mean():.4g}"
    _demand(abs(values.mean() - expected) <= error, name, told)


def _check_engines(name: str, process: ArrivalProcess, law: Law) -> None:
    try:
        check(Case(_system(process, law, nodes=30), Random(), replication=2, threads=3))
    except EnginesDifferError as error:
        raise InputError(f"{name}: {error}") from None


def _system(process: ArrivalProcess, law: Law, nodes: int) -> System:
    return System(cycle(nodes), 3.0, 20.0, 5, np.ones(nodes), arrivals=process, work=law)


def _demand(holds: bool | np.bool, name: str, what: str) -> None:
    if not holds:
        raise InputError(f"{name}: {what}")
