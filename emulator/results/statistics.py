"""From episodes to what is known of each dispatcher: measures over replications, with intervals and differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emulator.results.columns import SUMMARY, with_swept
from emulator.results.estimates import (
    NOTHING,
    RULE_OF_THREE,
    Estimate,
    lag_one_correlation,
    mean_interval,
    mean_of,
    positive_interval,
    quantile_of,
    ratio_of,
)
from emulator.results.measures import REFERENCE_TIME, SHOWN, TIME_SHARES, Measure, names_of

if TYPE_CHECKING:
    import pandas as pd

SYSTEM = ("scenario", "topology", "nodes", "schedulers", "servers", "dispatcher", "information")
"""The columns of the episodes that say what is emulated."""

Columns = Mapping[str, Sequence[Any]]
"""Episodes, or batches, by column: one value for each."""


_OF_LOSSES = ("arrivals", "measured_time", "servers")
"""What the upper bound of losses needs that were not seen."""


class Units(NamedTuple):
    """What intervals are made from: the episodes of a dispatcher at a point of a sweep, or their batches."""

    keys: list[Any]
    """What pairs them with those of another dispatcher."""
    columns: Columns

    def of(self, keys: Sequence[Any]) -> Columns:
        """Return the columns of those with some keys."""
        places = {key: place for place, key in enumerate(self.keys)}
        return {name: [values[places[key]] for key in keys] for name, values in self.columns.items()}


def estimate(measure: Measure, columns: Columns) -> Estimate:
    """Return what replications say of a measure, see `emulator.results.estimates`; nothing if they do not have it."""
    if measure.quantile is not None:
        times, share = measure.quantile
        histograms = [columns.get(f"{times}_{what}") for what in ("bins", "counts")]
        if None in histograms:
            return NOTHING
        bins, counts = ([_listed(value) for value in column or ()] for column in histograms)
        return quantile_of(bins, counts, share)
    if measure.name not in columns or (measure.weight and measure.weight not in columns):
        return NOTHING
    values = np.asarray(columns[measure.name], dtype=np.float64)
    return ratio_of(values, columns[measure.weight]) if measure.weight else mean_of(values)


def columns_for(measure: Measure, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Return the columns of some episodes that a measure and its interval need, as far as they have them."""
    names = {measure.name, measure.weight, *_OF_LOSSES}
    if measure.quantile is not None:
        names = {f"{measure.quantile[0]}_{what}" for what in ("bins", "counts")}
    return {name: [row[name] for row in rows] for name in names if name in rows[0]}


def _listed(value: Any) -> Any:
    """Return several numbers of an episode as they are, None where pandas has made a NaN of none."""
    return None if value is None or isinstance(value, float) else value


def interval_of(measure: Measure, columns: Columns, value: float | None = None) -> tuple[float, float, float]:
    """Return a measure's value and the ends of its 95 % interval, NaN if there are none.

    Where no job was lost, the interval of losses is from 0 to 3 / jobs seen. `value` is given if it is known from more
    than the columns.
    """
    estimated = estimate(measure, columns)
    if value is not None:
        estimated = estimated.around(value)
    if estimated.ends is not None:
        return estimated.value, *estimated.ends
    _, low, high = positive_interval(estimated.parts[~np.isnan(estimated.parts)], most=measure.most)
    if math.isnan(low) and not math.isnan(bound := upper_bound(measure, columns)):
        return estimated.value, 0.0, bound
    return estimated.value, low, high


def upper_bound(measure: Measure, columns: Columns) -> float:
    """Return what a measure of lost jobs is at most, with 95 %, where none was lost: 3 / jobs seen, in its unit.

    NaN for other measures, if jobs were lost, and for a single replication, which has no interval.
    """
    if measure.name not in ("drops_per_queue", "loss_probability"):
        return math.nan
    names = (measure.name, *_OF_LOSSES)
    if not all(name in columns for name in names) or len(columns["arrivals"]) < 2:
        return math.nan
    lost, jobs, spans, servers = (np.asarray(columns[name], dtype=np.float64) for name in names)
    if np.nan_to_num(lost).any() or not jobs.sum() > 0.0:
        return math.nan
    share = RULE_OF_THREE / float(jobs.sum())
    per_queue = float(np.mean(jobs * REFERENCE_TIME / spans / servers))
    return share if measure.name == "loss_probability" else share * per_queue


def difference_of(
    measure: Measure, one: Columns, other: Columns, value: float | None = None
) -> tuple[float, float, float]:
    """Return by how much a measure of paired replications differs, and the ends of the difference's interval.

    `value` is given if it is known from more than the columns.
    """
    mine, theirs = estimate(measure, one), estimate(measure, other)
    if len(mine.parts) != len(theirs.parts):
        return math.nan, math.nan, math.nan
    gaps = mine.parts - theirs.parts
    mean, low, high = mean_interval(gaps[~np.isnan(gaps)])
    if value is None:
        is_mean = measure.quantile is None and not measure.weight
        value = mean if is_mean else mine.value - theirs.value
    return value, low - mean + value, high - mean + value


def summarise(episodes: pd.DataFrame, swept: Sequence[str], first: str | None = None) -> pd.DataFrame:
    """Return one row per dispatcher and swept values, in the order in which they first appear in `episodes`.

    `episodes` has the columns of episodes.parquet, `swept` names the swept keys. A row's differences are those
    of its dispatcher from the dispatcher `first` (by default that of the first row) at the same swept values,
    paired by replication, over the replications that both have; NaN if there are none. The first has no interval.
    Where episodes have batches, these take the place of replications in intervals.
    """
    import pandas as pd

    point_keys = ["delta_t", *(key for key in swept if key != "delta_t")]
    if first is None:
        first = episodes["dispatcher"].iloc[0]
    firsts = episodes[episodes["dispatcher"] == first].groupby(point_keys, sort=False)
    reference = {point: _columns_of(group) for point, group in firsts}
    rows = []
    for (dispatcher, *point), group in episodes.groupby(["dispatcher", *point_keys], sort=False):
        mine = _columns_of(group)
        row = {key: mine[key][0] for key in SYSTEM} | dict(zip(point_keys, point, strict=True))
        arrivals = group["arrivals"].sum()
        row["replications"] = len(group)
        row["drop_probability"] = group["drops"].sum() / arrivals if arrivals else math.nan
        other = None if dispatcher == first else reference.get(tuple(point))
        rows.append(row | _measures_of(mine, other, is_first=dispatcher == first))
    names = [column.name for column in with_swept(SUMMARY, {key: [] for key in point_keys})]
    return pd.DataFrame(rows)[names]


def _columns_of(group: pd.DataFrame) -> Columns:
    return {str(name): group[name].tolist() for name in group}


def units_of(columns: Columns) -> Units:
    """Return the batches of some episodes if they have any, else the episodes."""
    pairs = zip(columns["replication"], columns.get("batches", ()), strict=False)
    batches = {
        (replication, number): batch
        for replication, some in pairs
        for number, batch in enumerate(_listed(some) if _listed(some) is not None else ())
    }
    if not batches:
        return Units(list(columns["replication"]), columns)
    every = list(batches.values())
    return Units(list(batches), {name: [batch[name] for batch in every] for name in every[0]})


def _measures_of(mine: Columns, other: Columns | None, *, is_first: bool) -> dict[str, Any]:
    """Return the columns of the summary that are about measures; `other` are the episodes that differences are from."""
    units, others = units_of(mine), None if other is None else units_of(other)
    theirs = set() if others is None else set(others.keys)
    keys = [key for key in units.keys if key in theirs]
    pair = (units.of(keys), others.of(keys)) if others is not None and keys else None
    has_batches = units.columns is not mine
    row: dict[str, Any] = {"batches": len(units.keys) if has_batches else None}
    for measure in SHOWN:
        whole = estimate(measure, mine).value if has_batches else None
        value, *ends = interval_of(measure, units.columns, whole)
        gap = (0.0 if is_first and not math.isnan(value) else math.nan, math.nan, math.nan)
        if pair is not None and other is not None:
            apart = None if whole is None else whole - estimate(measure, other).value
            gap = difference_of(measure, *pair, apart)
        lag = lag_one_correlation(estimate(measure, units.columns).parts) if has_batches else math.nan
        row |= zip(names_of(measure), (value, *ends, *gap, lag), strict=True)
    return row | _time_shares(units.columns, pair, is_first=is_first)


def _time_shares(columns: Columns, pair: tuple[Columns, Columns] | None, *, is_first: bool) -> dict[str, Any]:
    """Return the columns about the only measure of which there are several numbers, each with its interval."""
    names, shares = names_of(TIME_SHARES), _table_of(columns)
    if shares is None:
        return dict.fromkeys(names)
    values = np.array([positive_interval(share, most=1.0) for share in shares.T]).T.tolist()
    gaps: list[Any] = [[0.0] * shares.shape[1], None, None] if is_first else [None] * 3
    tables = [_table_of(some) for some in pair or ()]
    if len(tables) == 2 and tables[0] is not None and tables[1] is not None and tables[0].shape == tables[1].shape:
        gaps = np.array([mean_interval(gap) for gap in (tables[0] - tables[1]).T]).T.tolist()
    return dict(zip(names, (*values, *gaps, None), strict=True))


def _table_of(columns: Columns) -> np.ndarray | None:
    """Return the time shares of episodes as episodes x lengths; None unless all have as many."""
    shares = [_listed(some) for some in columns.get(TIME_SHARES.name, ())]
    sizes = {None if some is None else len(some) for some in shares}
    return None if len(sizes) != 1 or None in sizes else np.array(shares, dtype=np.float64)
