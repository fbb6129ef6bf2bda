"""Columns: those of swept keys, and the tables of the documentation, which are those of the files."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulator.results.column import Column
from emulator.results.columns import TABLES, with_swept
from emulator.results.measures import SHOWN, TIME_SHARES, names_of
from emulator.results.parquet import write_table

ROOT = Path(__file__).parents[2]

COLUMNS = [
    Column("delta_t", pa.float64(), "ms", "time between broadcasts"),
    Column("number", pa.int64(), "1", "a number", nullable=True),
]


def text_of(type_):
    """A type as the documentation has it: of a batch's columns, those of the episodes, it says no more."""
    text = str(type_).replace("list<element: ", "list<").replace("list<item: ", "list<")
    return "list<struct>" if "struct" in text else text


@pytest.mark.parametrize(
    ("values", "type_", "unit"),
    [
        ([5, 7], pa.int64(), "1"),
        ([5, 7.5], pa.float64(), "1"),
        (["torus", "cycle"], pa.string(), "none"),
        ([True, False], pa.bool_(), "none"),
        ([1, "sharing"], pa.string(), "none"),
    ],
)
def test_a_swept_key_gets_a_column_of_its_values_type_right_after_delta_t(values, type_, unit):
    columns = with_swept(COLUMNS, {"delta_t": [5.0], "some.key": values})
    assert [column.name for column in columns] == ["delta_t", "some.key", "number"]
    assert (columns[1].type, columns[1].unit) == (type_, unit)
    assert "some.key" in columns[1].description


def test_a_swept_key_with_a_unit_keeps_it():
    assert with_swept(COLUMNS, {"service.rate": [1.0]})[1].unit == "1/ms"


def test_values_of_mixed_types_are_written_as_text(tmp_path):
    values = {"delta_t": [1.0, 1.0], "weight": [1, "sharing"], "number": [None, 2]}
    write_table(tmp_path / "t.parquet", with_swept(COLUMNS, values), [(2, values)], {})
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == values | {"weight": ["1", "sharing"]}


@pytest.mark.parametrize("name", TABLES)
def test_the_names_of_a_tables_columns_are_its_own(name):
    names = [column.name for column in TABLES[name]]
    assert len(set(names)) == len(names)


ENDS = {name for measure in SHOWN[1:] for name in names_of(measure)[1:]} | {*names_of(TIME_SHARES)[1:]}
"""Columns of the summary that are told for all measures but the drops at once."""


@pytest.mark.parametrize("name", TABLES)
def test_the_documentation_has_every_column(name):
    columns = [column for column in TABLES[name] if name != "summary" or column.name not in ENDS]
    lines = ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{column.name}` | {text_of(column.type)} | {column.unit} | {column.description} |" for column in columns
    ]
    text = (ROOT / "docs" / "running.md").read_text()
    found = re.search(rf"### `{name}[^`]*`.*?\n(\|.*?)\n\n", text, re.DOTALL)
    assert found, f"docs/running.md has no section of {name}"
    assert found[1].split("\n") == lines
