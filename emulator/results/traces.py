"""The traces of an episode as Parquet files: its jobs, its epochs, its messages and its nodes.

Every row carries the keys of its episode (replication, dispatcher, delta_t, other swept keys), so that a
folder of such files reads as one table. Times in ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from emulator.engines.account import NodeTrace
from emulator.engines.episode import FATES, OUTCOMES, EpochTrace, JobTrace, MessageRecord
from emulator.model.system import System
from emulator.results.column import Column
from emulator.results.columns import EPOCHS, JOBS, MESSAGES, NODES, TRACES, with_swept
from emulator.results.parquet import write_table

Keys = Mapping[str, int | float | str | None]
"""What tells an episode from the others: replication, dispatcher, delta_t, then other swept keys."""

Parts = Iterator[tuple[int, dict[str, Any]]]
"""Row groups one after another: how many rows, and each column's values."""

ROW_GROUP = 2**17
"""Rows that are turned into a file at a time; about 10 MB."""


def write_jobs(
    path: Path, traces: Iterable[JobTrace], keys: Keys, metadata: Mapping[str, str], swept: Sequence[Column] = ()
) -> None:
    """Write the jobs of an episode, one row each; times that did not happen are null.

    `traces` are those of the episode one after another, the whole or epoch by epoch. `swept` may say which columns the
    swept keys have in the files of all episodes.
    """
    outcomes = pa.array(OUTCOMES)

    def parts() -> Parts:
        before = 0
        for trace in traces:
            for start, stop in _pieces(len(trace.epoch)):
                columns = {name.rstrip("_"): values[start:stop] for name, values in vars(trace).items()}
                columns["job"] = np.arange(before + start, before + stop)
                columns["queue_length_at_arrival"] = _unless_negative(columns["queue_length_at_arrival"])
                columns["outcome"] = pa.DictionaryArray.from_arrays(columns["outcome"], outcomes)
                yield stop - start, columns
            before += len(trace.epoch)

    _write(path, JOBS, parts(), keys, metadata, swept)


def write_epochs(
    path: Path,
    traces: Iterable[EpochTrace],
    keys: Keys,
    times: NDArray[np.float64],
    arrival_rates: Iterator[NDArray[np.float64]],
    metadata: Mapping[str, str],
    swept: Sequence[Column] = (),
) -> None:
    """Write the epochs of an episode, one row for each epoch and node.

    `times` (ms) has one number per epoch, `arrival_rates` (1/ms) one of each scheduler for each; `traces` as for
    `write_jobs`.
    """

    def parts() -> Parts:
        before = 0
        for trace in traces:
            epochs, nodes = trace.queue_length.shape
            by_epoch = np.full((epochs, nodes), np.nan)
            for row, of_schedulers in zip(by_epoch, arrival_rates, strict=False):
                row[: len(of_schedulers)] = of_schedulers
            rates = by_epoch.reshape(-1)
            flat: dict[str, Any] = {name: values.reshape(-1) for name, values in vars(trace).items()}
            missing = flat["queue_length"] < 0
            for start, stop in _pieces(epochs * nodes):
                counts = {
                    name: pa.array(flat[name][start:stop], mask=missing[start:stop])
                    for name in ("queue_length", "arrivals", "drops")
                }
                epoch, node = np.divmod(np.arange(start, stop), nodes)
                epoch += before
                yield (
                    stop - start,
                    {
                        "epoch": epoch.astype(np.int32),
                        "time": times[epoch],
                        "arrival_rate": rates[start:stop],
                        "node": node.astype(np.int32),
                        "offload_probability": flat["offload_probability"][start:stop],
                        **counts,
                    },
                )
            before += epochs

    _write(path, EPOCHS, parts(), keys, metadata, swept)


def write_messages(
    path: Path,
    records: Sequence[MessageRecord],
    keys: Keys,
    times: NDArray[np.float64],
    metadata: Mapping[str, str],
    swept: Sequence[Column] = (),
) -> None:
    """Write the messages of an episode, one row each; `times` (ms) are the starts of epochs.

    What concerns the monitor of global state, and what did not happen, is null.
    """
    names = [field.name for field in fields(MessageRecord)]
    fates = pa.array(FATES)

    def parts() -> Parts:
        for start, stop in _pieces(len(records)):
            piece = records[start:stop]
            columns: dict[str, Any] = {name: [getattr(record, name) for record in piece] for name in names}
            columns["epoch"] = (np.searchsorted(times, columns["sent_time"], side="right") - 1).astype(np.int32)
            columns["fate"] = pa.DictionaryArray.from_arrays(np.array(columns["fate"], dtype=np.int8), fates)
            for name in ("server", "scheduler", "queue_length"):
                columns[name] = _unless_negative(np.array(columns[name], dtype=np.int32))
            yield stop - start, columns

    _write(path, MESSAGES, parts(), keys, metadata, swept)


def rewrite(source: Path, target: Path, keys: Keys, swept: Sequence[Column], fingerprint: str) -> Path | None:
    """Return where the trace of an episode stands, None if the file `source` is none: it is known by its fingerprint.

    One that carries other keys, or in other columns, is written anew as `target`.
    """
    if not source.is_file():
        return None
    try:
        file = pq.ParquetFile(source)
    except (OSError, pa.ArrowException):
        return None
    with file:
        metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        if metadata.get("fingerprint") != fingerprint:
            return None
        own = TRACES[target.parent.name]
        columns = with_swept(own, {key: [value] for key, value in keys.items()}, swept)
        is_alike = [(field.name, field.type) for field in file.schema_arrow] == [
            (column.name, column.type) for column in columns
        ]
        if source.name == target.name and is_alike and _first_keys(file, keys) in (None, dict(keys)):
            return source
        names = [column.name for column in own if column.name not in keys]

        def parts() -> Parts:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, names)
                yield table.num_rows, {**keys, **{name: table[name].combine_chunks() for name in names}}

        write_table(target, columns, parts(), metadata)
    return target


def _first_keys(file: pq.ParquetFile, keys: Keys) -> dict[str, Any] | None:
    """Return the keys of the first row of a file, None if it has no rows."""
    for batch in file.iter_batches(batch_size=1, columns=list(keys)):
        (row,) = batch.to_pylist()
        return {key: row[key] for key in keys}
    return None


def write_nodes(
    path: Path,
    trace: NodeTrace,
    system: System,
    keys: Keys,
    metadata: Mapping[str, str],
    swept: Sequence[Column] = (),
) -> None:
    """Write what was counted of servers and schedulers, one row for each number that any of them has."""
    access, nodes = system.access, max(system.servers, system.schedulers)
    places = np.full((nodes, 2), np.nan) if system.topology.places is None else system.topology.places
    columns = vars(trace) | {
        "degree": access.others,
        "sharing": access.sharing,
        "service_rate": system.service_rates,
        "x": places[:, 0],
        "y": places[:, 1],
    }

    def parts() -> Parts:
        for start, stop in _pieces(nodes):
            some = {name: _unless_missing(values[start:stop], stop - start) for name, values in columns.items()}
            yield stop - start, {"node": np.arange(start, stop, dtype=np.int32), **some}

    _write(path, NODES, parts(), keys, metadata, swept)


def _unless_missing(values: NDArray[Any], rows: int) -> pa.Array:
    """Return values that are null where they are NaN, and in the rows behind the last of them."""
    missing = np.arange(rows) >= len(values)
    return pa.array(np.append(values, np.zeros(rows - len(values), dtype=values.dtype)), mask=missing, from_pandas=True)


def _unless_negative(numbers: NDArray[np.int32]) -> pa.Array:
    return pa.array(numbers, mask=numbers < 0)


def _pieces(rows: int) -> Iterator[tuple[int, int]]:
    """Yield where each row group of so many rows starts and stops."""
    for start in range(0, rows, ROW_GROUP):
        yield start, min(start + ROW_GROUP, rows)


def _write(
    path: Path,
    columns: Sequence[Column],
    parts: Parts,
    keys: Keys,
    metadata: Mapping[str, str],
    swept: Sequence[Column],
) -> None:
    with_keys = ((rows, {**keys, **part}) for rows, part in parts)
    write_table(path, with_swept(columns, {key: [value] for key, value in keys.items()}, swept), with_keys, metadata)
