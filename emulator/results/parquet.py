"""Tables in Parquet files, written in parts and read whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.column import FEW, Column


def schema_of(columns: Iterable[Column], metadata: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of some columns: `unit` and `description` of each, `metadata` of the whole."""
    fields = [
        pa.field(
            column.name,
            column.type,
            nullable=column.nullable,
            metadata={"unit": column.unit, "description": column.description},
        )
        for column in columns
    ]
    return pa.schema(fields, metadata=dict(metadata))


def write_table(
    path: Path,
    columns: Sequence[Column],
    parts: Iterable[tuple[int, Mapping[str, Any]]],
    metadata: Mapping[str, str],
) -> None:
    """Write a Parquet file whose row groups are made one after another, each gone before the next.

    A part is its number of rows and, for each column, that many values or one value for all of them.
    NaN becomes null where the column is nullable. Raises `InputError` if the file cannot be written.
    """
    schema = schema_of(columns, metadata)
    with (
        whole_file(path) as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=[column.name for column in columns if column.encoding == FEW],
            column_encoding={column.name: column.encoding for column in columns if column.encoding != FEW},
        ) as writer,
    ):
        for rows, part in parts:
            arrays = [_array(part[column.name], rows, column) for column in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=max(rows, 1))


def _array(values: Any, rows: int, column: Column) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(column.type)
    if isinstance(values, str) or not hasattr(values, "__len__"):
        value = str(values) if column.type == pa.string() and values is not None else values
        return pa.repeat(pa.scalar(value, type=column.type), rows)
    if column.type == pa.string():
        values = [None if value is None else str(value) for value in values]
    if pa.types.is_list(column.type):
        return _lists(values, column.type)
    return pa.array(values, type=column.type, from_pandas=column.nullable)


def _lists(values: Any, type_: pa.ListType) -> pa.Array:
    """Return several numbers, or several batches, of each row; None where there are none."""
    if pa.types.is_struct(type_.value_type):
        plain = [None if some is None else [_plain(one) for one in some] for some in values]
        return pa.array(plain, type=type_)
    some = [() if _is_missing(value) else value for value in values]
    offsets = np.cumsum([0, *map(len, some)], dtype=np.int32)
    numbers = np.concatenate([np.asarray(value, dtype=type_.value_type.to_pandas_dtype()) for value in some])
    flat = pa.array(numbers, type=type_.value_type, from_pandas=True)
    missing = pa.array([_is_missing(value) for value in values], type=pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=type_, mask=missing)


def _plain(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in batch.items()}


def _is_missing(value: Any) -> bool:
    """Return whether there is nothing: None, or what pandas makes of it."""
    return value is None or isinstance(value, float)


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file. Raises `InputError`: the folder, the file's name and why it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        return pq.read_table(path)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split()).rpartition("': ")[2]  # pyarrow names the file once more
        raise InputError(f"{path.parent}: {path.name} cannot be read: {why}") from None
