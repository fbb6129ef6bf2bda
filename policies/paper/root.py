"""The root of the Bethe lattice beside the average node, which it does not stand for (section 2.1).

One node's mean is known from many episodes alone. So they are drawn by the exact law of the epochs, which training uses
and which both engines are held against, instead of job by job: tens of thousands in a minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from dispatchers.view import Floats
from emulator.machine import interruption
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import Plan, Point
from policies.paper.figure import Claim, Figure
from policies.paper.growth import columns, distance, interval_of
from policies.paper.interval import Interval
from policies.paper.verdict import Verdict
from policies.process.dispatched import DispatchedNetworks

NODES_AT_ONCE = 1_000_000
"""Queues of all copies of a network that are advanced together, which bounds the memory."""

TEXT = """\
The queue of node 0, the root, beside the average queue, at the epochs' starts but the first; episodes are drawn by the
exact law of the epochs. By chance: the probability of such a difference between the two distributions, or a larger one,
if they were equal (Hotelling's T-squared over the episodes).
"""


def root(plan: Plan, advance: Callable[[float], None]) -> pd.DataFrame:
    """Return one row for each size and dispatcher of a plan whose node 0 is the root, beside the average node.

    root and average (jobs), length (their difference) and full (that of the probabilities of a full queue, both with
    intervals), distance (of the distributions) and chance (see `chance_of`): means over epochs but the first. `advance`
    is told the share of the work that is done. Raises `InputError` and `DispatcherError`.
    """
    points = [(point, index) for point in plan.points for index in range(len(point.scenario.dispatchers))]
    nodes = sum(point.node_count() for point, _ in points)
    return pd.DataFrame([_row(point, index, lambda share: advance(share / nodes)) for point, index in points])


def _row(point: Point, index: int, advance: Callable[[float], None]) -> dict[str, Any]:
    scenario = point.scenario
    roots, averages = shares(point, index, advance)
    gap, jobs = roots - averages, np.arange(scenario.buffer + 1)
    return {
        "topology": scenario.topology.kind,
        **point.values,
        "nodes": point.node_count(),
        "dispatcher": scenario.dispatchers[index].display,
        "replications": scenario.replications,
        "root": float((roots @ jobs).mean()),
        "average": float((averages @ jobs).mean()),
        **columns("length", Interval.of(gap @ jobs)),
        **columns("full", Interval.of(gap[:, -1])),
        "distance": float(distance(roots.mean(axis=0), averages.mean(axis=0))),
        "chance": chance_of(gap),
    }


def shares(point: Point, index: int, advance: Callable[[float], None]) -> tuple[Floats, Floats]:
    """Return how likely each length is, replications x lengths, at the root and on average: means over the epochs."""
    scenario = point.scenario
    dispatcher = make_dispatcher(point, index).dispatcher
    system = point.system()
    copies = max(1, min(scenario.replications, NODES_AT_ONCE // system.nodes))
    networks = DispatchedNetworks(dispatcher, system, copies=copies, seed=scenario.seed)
    lengths = system.buffer + 1
    parts = []
    done = 0
    while done < scenario.replications:
        interruption.heed()
        networks.reset()
        total = np.zeros((2, copies, lengths))
        networks.advance()
        while not networks.is_over:
            total += np.eye(lengths)[networks.queue_lengths[:, 0]], networks.distributions()
            networks.advance()
        parts.append(total[:, : scenario.replications - done] / (networks.epochs - 1))
        advance(system.nodes * parts[-1].shape[1] / scenario.replications)
        done += copies
    roots, averages = np.concatenate(parts, axis=1)
    return roots, averages


def chance_of(gap: Floats) -> float:
    """Return the probability of such differences, replications x lengths, or larger ones, by Hotelling's T-squared.

    NaN with too few replications, or where the differences do not vary in all directions.
    """
    from scipy.special import fdtrc

    free = gap[:, :-1]
    count, size = free.shape
    if count <= 2 * size:
        return math.nan
    mean = free.mean(axis=0)
    covariance = np.cov(free, rowvar=False)
    if np.linalg.matrix_rank(covariance) < size:
        return math.nan
    square = count * mean @ np.linalg.solve(covariance, mean)
    return float(fdtrc(size, count - size, square * (count - size) / (size * (count - 1))))


def root_differs(figure: Figure) -> Iterator[Claim]:
    """On the Bethe lattice the average over the nodes does not become that of the root."""
    rows = figure.rows[figure.rows["nodes"] == figure.rows["nodes"].max()]
    for row in rows.to_dict("records"):
        gap = interval_of(row, "length")
        measured = (
            f"with {row['nodes']:,} nodes, {row['replications']:,} episodes, root less average {gap} jobs, "
            f"{interval_of(row, 'full').text('{:+.4f}')} in P(full); distance {row['distance']:.4f}, by chance with "
            f"probability {_small(row['chance'])}"
        )
        text = f"On the Bethe lattice the root is no average node under {row['dispatcher']}"
        verdict = Verdict.YES if row["chance"] < 0.01 else Verdict.UNDECIDED
        yield Claim(text, figure.name, measured, verdict, "root", 100.0 * gap.seen / row["average"])


def _small(probability: float) -> str:
    if math.isnan(probability):
        return "unknown"
    return "below 0.001" if probability < 0.001 else f"{probability:.3f}"


def table(figure: Figure) -> Iterator[str]:
    """Yield the lines of a Markdown table of `root`."""
    yield "| N | Dispatcher | jobs, root | jobs, average | root less average | in P(full) | distance | by chance |"
    yield "|--:|---|--:|--:|--:|--:|--:|--:|"
    for row in figure.rows.to_dict("records"):
        yield (
            f"| {row['nodes']:,} | {row['dispatcher']} | {row['root']:.3f} | {row['average']:.3f} | "
            f"{interval_of(row, 'length')} | {interval_of(row, 'full').text('{:+.4f}')} | {row['distance']:.4f} | "
            f"{_small(row['chance'])} |"
        )
