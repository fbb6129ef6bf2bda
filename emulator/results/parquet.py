"""Tables in Parquet files: columns that say what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.machine.files import whole_file
from emulator.text import UNITS

Encoding = Literal["DICTIONARY", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]
FEW, RUNNING, FLOATING = get_args(Encoding)
"""How a column lies in its file: few distinct values, indices that run, floats that hardly repeat."""


class Column(NamedTuple):
    """A column of a table, with what a reader needs to know of it."""

    name: str
    type: pa.DataType
    unit: str
    """`1` for plain numbers, `none` for names and indices."""
    description: str
    nullable: bool = False
    encoding: Encoding = FEW


def with_swept(columns: Sequence[Column], values: Mapping[str, Iterable[Any]]) -> list[Column]:
    """Return `columns` with one more, right after `delta_t`, for each key that is not among them yet.

    `values` holds each key's values, which decide the type: integers, floats, booleans, otherwise text.
    """
    known = {column.name for column in columns}
    swept = [_swept_column(key, list(some)) for key, some in values.items() if key not in known]
    place = next(place for place, column in enumerate(columns, start=1) if column.name == "delta_t")
    return [*columns[:place], *swept, *columns[place:]]


def _swept_column(key: str, values: list[Any]) -> Column:
    try:
        type_ = pa.array(values).type
    except pa.ArrowException:
        type_ = pa.string()
    is_number = pa.types.is_integer(type_) or pa.types.is_floating(type_)
    unit = UNITS.get(key, "1" if is_number else "none")
    return Column(key, type_, unit, f"value of the scenario's key {key}, which is swept")


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
        value = str(values) if column.type == pa.string() else values
        return pa.repeat(pa.scalar(value, type=column.type), rows)
    if column.type == pa.string():
        values = [str(value) for value in values]
    return pa.array(values, type=column.type, from_pandas=column.nullable)
