"""Dispatchers whose options sweep: with an option as the horizontal axis, those that differ in it are one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.scenario.options import OPTION
from emulator.text import text_of

if TYPE_CHECKING:
    import pandas as pd


def several_options(summary: pd.DataFrame) -> list[str]:
    """Return the columns of options that take several values."""
    return [str(key) for key in summary if str(key).startswith(OPTION) and summary[key].nunique() > 1]


def over_option(summary: pd.DataFrame, swept: Sequence[str], key: str, families: Mapping[str, str]) -> pd.DataFrame:
    """Return a summary in which dispatchers that differ in an option alone are one.

    Those that have no such option stand at all values that it has at their point of the sweep. `families` has what some
    dispatchers are called without their options, by their names.
    """
    import pandas as pd

    columns = [str(column) for column in summary if str(column).startswith(OPTION) and column != key]
    values = summary.dropna(subset=[key])[[*swept, key]].drop_duplicates()
    parts = []
    for name, rows in summary.groupby("dispatcher", sort=False):
        if rows[key].isna().all():
            how: dict[str, Any] = {"on": list(swept)} if swept else {"how": "cross"}
            parts.append(rows.drop(columns=key).merge(values, **how))
            continue
        own = {column.removeprefix(OPTION): rows[column].iloc[0] for column in columns if rows[column].nunique() == 1}
        told = "".join(f" {option}={text_of(value)}" for option, value in own.items())
        line = families.get(str(name), str(name)) + told
        is_taken = (summary.loc[summary[key].isna(), "dispatcher"] == line).any()
        parts.append(rows.assign(dispatcher=f"{line} {key.removeprefix(OPTION)}=…" if is_taken else line))
    return pd.concat(parts, ignore_index=True)
