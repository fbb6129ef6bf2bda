"""Theorem 1 in numbers: drops and distributions of queue lengths as graphs grow, from the epoch traces of runs.

The theorem says that the expected drops converge, its proof that the empirical distribution of an episode's queue
lengths does so in probability. Distances are in total variation: half the sum of absolute differences of two
distributions. All sizes meet the same paths of arrival rates, so they are compared by replication.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dispatchers.view import Floats
from emulator.results.reader import Results
from policies.paper.figure import Claim, Figure, paired_percent, widest
from policies.paper.interval import Interval
from policies.paper.verdict import EQUAL, all_of, is_within

EPOCHS = (1, 5, 9)
"""Epochs at whose start distributions are compared; before epoch 0 all queues are empty."""

MEASURES = {"drops": "drops_per_queue", "discounted": "discounted_drops"}
"""The drops per queue and 50 ms, and J of section 1.3.2, the discounted drops per queue of an episode."""

TEXT = """\
Dispatchers at delta_t 5 on ever larger graphs. Beyond the largest graph's: the drops, or J, the discounted drops of
section 1.3.2, beyond those with the most nodes, in percent, paired. An episode's distribution: the distance, in total
variation, of the distribution of queue lengths over the nodes from that of the largest graph in the same episode, mean
over the epochs; this is what converges in probability. Mean distribution: that of the distributions at the start of an
epoch, averaged over the episodes. On the Bethe lattice all of these converge, too; whether to the law of the root, as
the theorem has it, stands below.
"""


def distributions(rows: Iterable[pa.RecordBatch], lengths: int) -> Floats:
    """Return the shares of nodes by queue length at each epoch's start, epochs x lengths, from an epoch trace."""
    counts = np.zeros(0, dtype=np.int64)
    for some in rows:
        epoch, queue_length = (some[key].to_numpy() for key in ("epoch", "queue_length"))
        wide = max(len(counts), lengths * (int(epoch.max()) + 1))
        counts = np.pad(counts, (0, wide - len(counts)))
        counts += np.bincount(epoch * lengths + queue_length, minlength=wide)
    table = counts.reshape(-1, lengths)
    return table / table.sum(axis=1, keepdims=True)


def distance(one: Floats, other: Floats) -> Floats:
    """Return the distance in total variation between distributions along the last axis."""
    return 0.5 * np.abs(one - other).sum(axis=-1)


def traced(results: Results, lengths: int) -> dict[tuple[str, int], Floats]:
    """Return `distributions` of a run's traced episodes, by dispatcher and nodes: replications x epochs x lengths."""
    swept = next(str(key) for key in results.episodes.columns if str(key).startswith("topology."))
    nodes = results.episodes.groupby(swept)["nodes"].first()
    found: dict[tuple[str, int], dict[int, Floats]] = {}
    for trace in results.epochs().get_fragments():
        first = trace.head(1, columns=["replication", "dispatcher", swept]).to_pylist()[0]
        here = found.setdefault((first["dispatcher"], int(nodes[first[swept]])), {})
        here[first["replication"]] = distributions(trace.to_batches(columns=["epoch", "queue_length"]), lengths)
    return {key: np.stack([here[number] for number in sorted(here)]) for key, here in found.items()}


def growth(results: Results, lengths: int) -> pd.DataFrame:
    """Return one row for each dispatcher and size of a graph in a run, beside the largest graph.

    With intervals: drops, drops_gap and discounted_gap (in percent), episode (mean distance of a distribution); and
    distance_1 and so on, that of the mean distribution at an epoch's start.
    """
    episodes = Figure("", results.episodes)
    shares = traced(results, lengths)
    rows: list[dict[str, Any]] = []
    for dispatcher in episodes.dispatchers:
        parts = dict(episodes.by("nodes"))
        largest = max(parts)
        for size, part in parts.items():
            nodes = int(size)
            own, limit = shares[dispatcher, nodes], shares[dispatcher, int(largest)]
            gaps = {
                f"{name}_gap": paired_percent(part.drops(dispatcher, key), parts[largest].drops(dispatcher, key))
                for name, key in MEASURES.items()
            }
            row = {"dispatcher": dispatcher, "nodes": nodes, **columns("drops", Interval.of(part.drops(dispatcher)))}
            row |= {key: value for name, gap in gaps.items() for key, value in columns(name, gap).items()}
            for epoch in EPOCHS:
                row[f"distance_{epoch}"] = distance(own.mean(axis=0)[epoch], limit.mean(axis=0)[epoch])
            rows.append(row | columns("episode", Interval.of(distance(own, limit)[:, 1:].mean(axis=1))))
    return pd.DataFrame(rows)


def columns(name: str, interval: Interval) -> dict[str, float]:
    """Return the columns of a name that hold an interval."""
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def interval_of(row: Any, name: str) -> Interval:
    """Return what stands in the columns of a name."""
    return Interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def exponent(rows: pd.DataFrame) -> float:
    """Return b of the fit N ** b to an episode's distance from the largest graph's, NaN for less than two of them."""
    rows = rows[(rows["nodes"] < rows["nodes"].max()) & (rows["episode"] > 0.0)]
    if len(rows) < 2:
        return math.nan
    return float(np.polyfit(np.log(rows["nodes"]), np.log(rows["episode"]), 1)[0])


def drops_converge(figure: Figure) -> Claim:
    """The drops of every dispatcher, plain and discounted, converge as a graph grows."""
    assert figure.table is not None
    told, gaps = [], []
    for dispatcher, rows in figure.table.groupby("dispatcher", sort=False):
        first, last = rows.sort_values("nodes").iloc[[0, -2]].to_dict("records")
        mine = [interval_of(last, f"{name}_gap") for name in MEASURES]
        power = exponent(rows)
        about = "" if math.isnan(power) else f", distributions about as N^{power:.2f}"
        told.append(
            f"{dispatcher} {first['drops_gap']:+.1f} with {first['nodes']:,} nodes, {mine[0].short} (J "
            f"{mine[1].short}) with {last['nodes']:,}{about}"
        )
        gaps += mine
    measured = f"drops beyond those of {figure.table['nodes'].max():,} nodes, in percent: {'; '.join(told)}"
    text = f"Theorem 1: drops converge as the {figure.place} grows"
    verdict = all_of(is_within(gap, EQUAL) for gap in gaps)
    return Claim(text, figure.name, measured, verdict, "", widest(gaps))


def table(figure: Figure, delta_t: float = 5.0) -> Iterator[str]:
    """Yield the lines of a Markdown table of `growth`."""
    assert figure.table is not None
    times = " | ".join(f"at {epoch * delta_t:g} ms" for epoch in EPOCHS)
    yield (
        "| Dispatcher | N | drops | beyond the largest graph's, % | J, % | an episode's distribution | "
        f"mean distribution {times} |"
    )
    yield "|---" + "|--:" * (5 + len(EPOCHS)) + "|"
    for row in figure.table.to_dict("records"):
        cells = [row["dispatcher"], f"{row['nodes']:,}", interval_of(row, "drops").text("{:.3f}")]
        if row["nodes"] < figure.table["nodes"].max():
            cells += [interval_of(row, f"{name}_gap").short for name in MEASURES]
            cells += [interval_of(row, "episode").text("{:.4f}")]
            cells += [f"{row[f'distance_{epoch}']:.4f}" for epoch in EPOCHS]
        else:
            cells += ["0"] * (3 + len(EPOCHS))
        yield f"| {' | '.join(cells)} |"
