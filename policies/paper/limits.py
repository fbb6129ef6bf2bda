"""Theorem 1 in numbers: drops and distributions of queue lengths as graphs grow, from the epoch traces of runs.

The theorem says that the expected drops converge, its proof that the empirical distribution of an episode's queue
lengths does so in probability. Distances are in total variation: half the sum of absolute differences of two
distributions. All sizes meet the same paths of arrival rates, so they are compared by replication.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from policies.paper.figure import Claim, Figure, Interval

Floats = NDArray[np.float64]

EPOCHS = (1, 5, 9)
"""Epochs at whose start distributions are compared; before epoch 0 all queues are empty."""

GROWTH = """\
MF-R at delta_t 5 on ever larger graphs. Beyond the largest graph's: the paired difference of the drops from those with
the most nodes, in percent of these. Mean distribution: the distance, in total variation, of the distribution of queue
lengths from that of the largest graph at the start of an epoch, both averaged over nodes and episodes. An episode's
distribution: the mean distance of a single episode's, over nodes, from that of the largest graph in the same episode,
mean over the epochs; this is what converges in probability. On the Bethe lattice it does so, too; whether to the law
of the root, as the theorem has it, stands below.
"""

ROOT = """\
The queue of node 0, the root, beside the average queue, at the epochs' starts but the first. By chance: the probability
of such a difference between the two distributions, or a larger one, if they were equal (Hotelling's T-squared over the
episodes).
"""


def distributions(rows: Iterable[pa.Table], lengths: int) -> Floats:
    """Return the shares of nodes with 0, 1, ... jobs at each epoch's start: 2 x epochs x lengths, all nodes and node 0.

    `rows` are those of an episode's epoch trace, some at a time.
    """
    counts = np.zeros((2, 0), dtype=np.int64)
    for some in rows:
        epoch, node, queue_length = (some[key].to_numpy() for key in ("epoch", "node", "queue_length"))
        cells = epoch * lengths + queue_length
        wide = max(counts.shape[1], lengths * (int(epoch.max()) + 1))
        counts = np.pad(counts, ((0, 0), (0, wide - counts.shape[1])))
        counts += [np.bincount(here, minlength=wide) for here in (cells, cells[node == 0])]
    table = counts.reshape(2, -1, lengths)
    return table / table.sum(axis=2, keepdims=True)


def distance(one: Floats, other: Floats) -> Floats:
    """Return the distance in total variation between distributions along the last axis."""
    return 0.5 * np.abs(one - other).sum(axis=-1)


def traced(folder: Path, lengths: int) -> dict[tuple[int, str], Floats]:
    """Return `distributions` of a run's traced episodes, by nodes and dispatcher: 2 x replications x epochs x lengths.

    The traces are read row group by row group.
    """
    episodes = pd.read_parquet(folder / "episodes.parquet")
    swept = next(str(key) for key in episodes.columns if str(key).startswith("topology."))
    nodes = episodes.groupby(swept)["nodes"].first()
    found: dict[tuple[int, str], dict[int, Floats]] = {}
    for path in sorted((folder / "epochs").glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            first = file.read_row_group(0, columns=["replication", "dispatcher", swept]).slice(0, 1).to_pylist()[0]
            groups = (
                file.read_row_group(group, columns=["epoch", "node", "queue_length"])
                for group in range(file.num_row_groups)
            )
            here = found.setdefault((int(nodes[first[swept]]), first["dispatcher"]), {})
            here[first["replication"]] = distributions(groups, lengths)
    return {key: np.stack([here[number] for number in sorted(here)], axis=1) for key, here in found.items()}


def growth(folder: Path, lengths: int) -> pd.DataFrame:
    """Return one row for each size of a graph whose run of MF-R is in a folder, beside the largest.

    drops (with its interval), gap (how far they are from the largest graph's, in percent of those, with its interval),
    distance_1 and so on (of the mean distribution from the largest graph's, at an epoch's start), and episode (the
    mean distance of an episode's distribution from that of the largest graph's in the same replication).
    """
    episodes = Figure("", pd.read_parquet(folder / "episodes.parquet"))
    drops = {int(nodes): part.drops("MF-R") for nodes, part in episodes.by("nodes")}
    shares = {nodes: part[0] for (nodes, _), part in traced(folder, lengths).items()}
    largest = max(drops)
    rows: list[dict[str, Any]] = []
    for nodes, some in drops.items():
        gap = Interval.of(100.0 * (some - drops[largest]).dropna() / drops[largest].mean())
        own, limit = (part.mean(axis=0) for part in (shares[nodes], shares[largest]))
        single = Interval.of(distance(shares[nodes], shares[largest])[:, 1:].mean(axis=1))
        rows.append(
            {"topology": episodes.rows["topology"].iloc[0], "nodes": nodes}
            | _columns("drops", Interval.of(some))
            | _columns("gap", gap)
            | {f"distance_{epoch}": distance(own[epoch], limit[epoch]) for epoch in EPOCHS}
            | _columns("episode", single)
        )
    return pd.DataFrame(rows)


def root(folder: Path, lengths: int) -> pd.DataFrame:
    """Return one row for each size and dispatcher of a run whose node 0 is the root, beside the average node.

    root and average (jobs), length (their difference) and full (that of the probabilities of a full queue, both with
    an interval over replications), distance (of the distributions) and chance (see `chance_of`): means over epochs
    but the first, which begins with empty queues.
    """
    rows: list[dict[str, Any]] = []
    for (nodes, dispatcher), shares in sorted(traced(folder, lengths).items()):
        average, alone = shares[:, :, 1:].mean(axis=2)
        gap, jobs = alone - average, np.arange(lengths)
        rows.append(
            {"topology": "bethe", "nodes": nodes, "dispatcher": dispatcher}
            | {"root": float((alone @ jobs).mean()), "average": float((average @ jobs).mean())}
            | _columns("length", Interval.of(gap @ jobs))
            | _columns("full", Interval.of(gap[:, -1]))
            | {"distance": float(distance(alone.mean(axis=0), average.mean(axis=0))), "chance": chance_of(gap)}
        )
    return pd.DataFrame(rows)


def chance_of(gap: Floats) -> float:
    """Return the probability of such differences of two distributions, or larger ones, if there were none on average.

    By Hotelling's T-squared; `gap` is replications x lengths, its rows sum to 0. NaN with too few replications, or
    where so many are alike that the differences do not vary in all directions.
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


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def interval_of(row: Any, name: str) -> Interval:
    """Return what stands in the columns of a name."""
    return Interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def exponent(figure: Figure) -> float:
    """Return b of the fit N ** b to the distance of an episode's distribution from the largest graph's.

    NaN where there are not two distances to fit it to.
    """
    rows = figure.rows[(figure.rows["nodes"] < figure.rows["nodes"].max()) & (figure.rows["episode"] > 0.0)]
    if len(rows) < 2:
        return math.nan
    return float(np.polyfit(np.log(rows["nodes"]), np.log(rows["episode"]), 1)[0])


def drops_converge(figure: Figure) -> Claim:
    """The drops of MF-R and the distribution of an episode's queue lengths converge as a graph grows."""
    rows = figure.rows.sort_values("nodes")
    first, last, power = rows.iloc[0], rows.iloc[-2], exponent(figure)
    about = "" if math.isnan(power) else f", about as N^{power:.2f}"
    measured = (
        f"drops less those of {rows['nodes'].iloc[-1]:,} nodes {first.gap:+.1f} % with {first.nodes:,}, "
        f"{interval_of(last, 'gap').text('{:+.2f}', ' %')} with {last.nodes:,}; distance of an episode's "
        f"distribution {first.episode:.3f}, {last.episode:.4f}{about}"
    )
    holds = abs(last.gap) < min(1.0, abs(first.gap)) and power < -0.25
    text = f"Theorem 1: MF-R's drops converge as the {figure.place} grows"
    return Claim(text, figure.name, measured, bool(holds))


def root_differs(figure: Figure) -> Iterator[Claim]:
    """On the Bethe lattice the average over the nodes does not become that of the root."""
    for _, row in figure.rows[figure.rows["nodes"] == figure.rows["nodes"].max()].iterrows():
        measured = (
            f"with {row.nodes:,} nodes root less average {interval_of(row, 'length')} jobs, "
            f"{interval_of(row, 'full')} in P(full); distance {row.distance:.3f}, "
            f"by chance with probability {_small(row.chance)}"
        )
        text = f"On the Bethe lattice the root is no average node under {row.dispatcher}"
        yield Claim(text, figure.name, measured, bool(row.chance < 0.01), "root")


def _small(probability: float) -> str:
    if math.isnan(probability):
        return "unknown"
    return "below 0.001" if probability < 0.001 else f"{probability:.3f}"


def growth_table(figure: Figure, delta_t: float = 5.0) -> Iterator[str]:
    """Yield the lines of a Markdown table of `growth`."""
    times = " | ".join(f"at {epoch * delta_t:g} ms" for epoch in EPOCHS)
    yield f"| N | drops | beyond the largest graph's, % | mean distribution {times} | an episode's distribution |"
    yield "|--:" * (4 + len(EPOCHS)) + "|"
    for _, row in figure.rows.iterrows():
        drops, gap, single = (interval_of(row, name) for name in ("drops", "gap", "episode"))
        cells = [f"{row.nodes:,}", drops.text("{:.3f}")]
        if row.nodes < figure.rows["nodes"].max():
            cells += [gap.text("{:+.2f}")]
            cells += [f"{row[f'distance_{epoch}']:.4f}" for epoch in EPOCHS]
            cells += [single.text("{:.4f}")]
        else:
            cells += ["0"] * (2 + len(EPOCHS))
        yield f"| {' | '.join(cells)} |"


def root_table(figure: Figure) -> Iterator[str]:
    """Yield the lines of a Markdown table of `root`."""
    yield "| N | Dispatcher | jobs, root | jobs, average | root less average | in P(full) | distance | by chance |"
    yield "|--:|---|--:|--:|--:|--:|--:|--:|"
    for _, row in figure.rows.iterrows():
        yield (
            f"| {row.nodes:,} | {row.dispatcher} | {row.root:.3f} | {row.average:.3f} | "
            f"{interval_of(row, 'length')} | {interval_of(row, 'full')} | {row.distance:.3f} | {_small(row.chance)} |"
        )
