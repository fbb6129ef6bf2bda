"""The results of a run, read from their folder: what reports, figures and later runs build on.

    results = Results.open("runs/ring")
    results.summary[["dispatcher", "mean_drops"]]
    results.jobs().to_table(columns=["dispatcher", "queue_length_at_arrival"]).to_pandas()

`emulator.results.columns` says what the columns mean.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from emulator.errors import InputError
from emulator.results.folder import EPISODES_FILE, SCENARIO_FILE, SUMMARY_FILE, TRACE_FILES
from emulator.results.measures import HISTOGRAMS, compact
from emulator.results.parquet import read_table
from emulator.scenario.yaml_tree import read_file

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.dataset import Dataset


class Results:
    """What a run has left in the folder `path`. A table is read when it is first asked for.

    Raises `InputError` with one line where a file is missing or cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @classmethod
    def open(cls, folder: str | Path) -> Results:
        """Return the results in a folder. Raises `InputError` if it holds none."""
        results = cls(folder)
        if not (results.path / EPISODES_FILE).exists():
            raise InputError(f"{results.path}: holds no results, for there is no {EPISODES_FILE}")
        return results

    @cached_property
    def _episodes(self) -> pa.Table:
        return read_table(self.path / EPISODES_FILE)

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """One row per episode."""
        return self._episodes.to_pandas()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The episodes as plain values, None where one is missing."""
        few: list[dict[str, Any]] = self._episodes.drop_columns(self._histograms).to_pylist()
        for name in self._histograms:
            column = self._episodes.column(name).combine_chunks()
            numbers, ends = column.values.to_numpy(), column.offsets.to_numpy()
            for place, row in enumerate(few):
                is_there = column[place].is_valid
                row[name] = numbers[ends[place] : ends[place + 1]] if is_there else None
        return [compact(row) for row in few]

    @property
    def _histograms(self) -> list[str]:
        return [name for name in HISTOGRAMS if name in self._episodes.column_names]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per dispatcher and swept values."""
        return read_table(self.path / SUMMARY_FILE).to_pandas()

    def jobs(self) -> Dataset:
        """Return the jobs of the traced episodes, which are read as far as they are asked for."""
        return self._traces("jobs")

    def epochs(self) -> Dataset:
        """Return the epochs of the traced episodes: one row per epoch and node."""
        return self._traces("epochs")

    def messages(self) -> Dataset:
        """Return the messages of the traced episodes."""
        return self._traces("messages")

    def nodes(self) -> Dataset:
        """Return what was counted of servers and schedulers in the traced episodes: one row per node."""
        return self._traces("nodes")

    def _traces(self, kind: str) -> Dataset:
        from pyarrow.dataset import dataset

        files = sorted(map(str, (self.path / kind).glob(TRACE_FILES)))
        if not files:
            raise InputError(f"{self.path}: holds no traces of {kind}; the scenario asks for them as trace.{kind}")
        return dataset(files, format="parquet")

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """The resolved scenario, as its YAML has it: paths are relative to this folder."""
        scenario: dict[str, Any] = read_file(self.path / SCENARIO_FILE).plain
        return scenario

    @cached_property
    def metadata(self) -> dict[str, str]:
        """What the file of episodes says of itself: scenario, seed, version, fingerprint and more."""
        found = self._episodes.schema.metadata or {}
        return {key.decode(): value.decode() for key, value in found.items()}

    @property
    def engines(self) -> list[str]:
        """Lines that say which engine emulated what, and why."""
        return self._told("engines") or []

    @property
    def remarks(self) -> list[str]:
        """Lines that say what was changed of what was read, such as a graph that was simplified."""
        return self._told("remarks") or []

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The first episode of each cell that failed: its replication, dispatcher and swept values."""
        return self._told("failures") or []

    @property
    def identity(self) -> dict[str, str] | None:
        """What the episodes depend on; None if that is not told."""
        return self._told("identity")

    @property
    def swept(self) -> dict[str, str] | None:
        """The columns of what was swept, and their types; None if that is not told."""
        return self._told("swept")

    def _told(self, name: str) -> Any:
        """Return what the metadata has as JSON. Raises `InputError` if it is none."""
        try:
            return json.loads(self.metadata.get(name, "null"))
        except ValueError as error:
            raise InputError(f"{self.path}: {EPISODES_FILE} cannot be read: {error}") from None
