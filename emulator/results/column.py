"""A column of a table: its name, type, unit and meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import pyarrow as pa

Encoding = Literal["DICTIONARY", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]
FEW, RUNNING, FLOATING = get_args(Encoding)
"""How a column lies in its file: few distinct values, indices that run, floats that hardly repeat."""

TEXT, INDEX, COUNT, NUMBER = pa.string(), pa.int32(), pa.int64(), pa.float64()
"""The types of columns."""


class Column(NamedTuple):
    """A column of a table, with what a reader needs to know of it."""

    name: str
    type: pa.DataType
    unit: str
    """`1` for plain numbers, `none` for names and indices."""
    description: str
    nullable: bool = False
    encoding: Encoding = FEW
