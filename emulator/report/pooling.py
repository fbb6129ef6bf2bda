"""Dispatchers that are one thing several times, such as one algorithm trained with several seeds, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emulator.results.measures import Names

if TYPE_CHECKING:
    import pandas as pd


def pooled(
    summary: pd.DataFrame, swept: Sequence[str], together: Mapping[str, Sequence[str]], columns: Names
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return a summary in which some dispatchers are one, and how many are, by its name.

    `together` holds their labels by that name, `columns` are those of what is shown. Its rows hold the mean of the
    values, and the least and the greatest of them in place of an interval; so do its differences. Points that some of
    them lack, in a run that was interrupted, are left out; if that leaves nothing at all, the dispatchers stay as they
    are.
    """
    import pandas as pd

    names = {label: name for name, labels in together.items() for label in labels}
    named = summary["dispatcher"].replace(names)
    members = {name: summary["dispatcher"][named == name].nunique() for name in named.unique() if name in together}
    keys = [named, *(summary[key] for key in dict.fromkeys(["delta_t", *swept]))]
    parts = [
        _as_one(str(point[0]), rows, columns) if point[0] in together else rows
        for point, rows in summary.groupby(keys, sort=False)
        if len(rows) == members.get(point[0], 1)
    ]
    return (pd.concat(parts, ignore_index=True), members) if parts else (summary, {})


def _as_one(name: str, rows: pd.DataFrame, shown: Names) -> pd.DataFrame:
    """Return one row for those of several dispatchers at the same point."""
    one = rows.iloc[:1].assign(dispatcher=name)
    for columns in (shown[:3], shown[3:6]):
        if columns[0] in rows:
            values = rows[columns[0]]
            numbers = [values.mean(skipna=False), values.min(skipna=False), values.max(skipna=False)]
            one = one.assign(**dict(zip(columns, numbers, strict=True)))
    return one
