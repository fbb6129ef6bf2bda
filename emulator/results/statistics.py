"""From episodes to what is known of each dispatcher: means over replications, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.results.measures import MEASURES

if TYPE_CHECKING:
    import pandas as pd

MEASURE = "drops_per_queue"
"""The column of the episodes that dispatchers are compared by."""

SYSTEM = ("scenario", "topology", "nodes", "schedulers", "servers", "dispatcher", "information")
"""The columns of the episodes that say what is emulated."""

ROUNDING = 1e-12
"""Of a number: what differs by less is alike, and differs in the order of its sums alone."""


def mean_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return (mean, low, high): the mean and the ends of its Student t interval, NaN without two different values.

    The values are taken as independent and normal; the interval covers the mean of their law with probability
    `level`. Values that are all alike say nothing of how far their mean is off: an event may be rarer than seen so far.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    if len(sample) == 0:
        return math.nan, math.nan, math.nan
    mean = float(sample.mean())
    if np.ptp(sample) <= ROUNDING * np.abs(sample).max():
        return mean, math.nan, math.nan
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(sample) - 1, (1.0 + level) / 2.0))
    half_width = quantile * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return mean, mean - half_width, mean + half_width


def summarise(episodes: pd.DataFrame, swept: Sequence[str], first: str | None = None) -> pd.DataFrame:
    """Return one row per dispatcher and swept values, in the order in which they first appear in `episodes`.

    `episodes` has the columns of episodes.parquet, `swept` names the swept keys. A row's difference is that
    of its dispatcher from the dispatcher `first` (by default that of the first row) at the same swept values,
    paired by replication, over the replications that both have; NaN if there are none. The first has no interval.
    """
    import pandas as pd

    point_keys = ["delta_t", *(key for key in swept if key != "delta_t")]
    if first is None:
        first = episodes["dispatcher"].iloc[0]
    reference = {
        point: group.set_index("replication")[MEASURE]
        for point, group in episodes[episodes["dispatcher"] == first].groupby(point_keys, sort=False)
    }
    rows = []
    for (dispatcher, *point), group in episodes.groupby(["dispatcher", *point_keys], sort=False):
        # Pandas aligns the replications; those that only one of the two has become NaN.
        differences = (group.set_index("replication")[MEASURE] - reference.get(tuple(point), np.nan)).dropna()
        difference = (0.0, math.nan, math.nan) if dispatcher == first else mean_interval(differences)
        rows.append(_summary_row(group, dict(zip(point_keys, point, strict=True)), difference))
    return pd.DataFrame(rows)


def _summary_row(group: pd.DataFrame, point: dict[str, Any], difference: tuple[float, float, float]) -> dict[str, Any]:
    mean, low, high = mean_interval(group[MEASURE])
    arrivals = group["arrivals"].sum()
    return {
        **{key: group[key].iloc[0] for key in SYSTEM},
        **point,
        "mean_drops": mean,
        "ci_low": low,
        "ci_high": high,
        "replications": len(group),
        **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
        "drop_probability": group["drops"].sum() / arrivals if arrivals else math.nan,
        **{measure.mean.name: group[measure.column.name].mean() for measure in MEASURES if measure.mean is not None},
    }
