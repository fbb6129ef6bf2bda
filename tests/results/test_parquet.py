"""Parquet tables: types of swept keys, and files that are there whole or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.parquet import Column, with_swept, write_table

ROOT = Path(__file__).parents[2]

COLUMNS = [
    Column("delta_t", pa.float64(), "ms", "time between broadcasts"),
    Column("number", pa.int64(), "1", "a number", nullable=True),
]


def leftovers(folder):
    return [file.name for file in folder.iterdir() if file.suffix == ".partial"]


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


def test_parts_become_row_groups_and_are_not_kept(tmp_path):
    alive = []

    def parts():
        for number in range(3):
            alive.append(number)
            yield 2, {"delta_t": 5.0, "number": [number, number + 10]}

    write_table(tmp_path / "t.parquet", COLUMNS, parts(), {"seed": "1"})
    file = pq.ParquetFile(tmp_path / "t.parquet")
    assert alive == [0, 1, 2]
    assert file.num_row_groups == 3
    assert file.read()["number"].to_pylist() == [0, 10, 1, 11, 2, 12]
    assert file.schema_arrow.metadata[b"seed"] == b"1"


def test_null_where_none_is_allowed_is_refused(tmp_path):
    with pytest.raises(pa.ArrowInvalid, match="non-nullable"):
        write_table(tmp_path / "t.parquet", COLUMNS, [(1, {"delta_t": [None], "number": [1]})], {})
    assert list(tmp_path.iterdir()) == []


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with whole_file(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_new_file_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        with whole_file(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert reader.read() == "old", "the old file was written into, not replaced"
    assert leftovers(tmp_path) == []


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from emulator.results.parquet import Column, write_table

def parts():
    yield 2, {"number": [1, 2]}
    os.kill(os.getpid(), signal.SIGKILL)

write_table(Path(sys.argv[1]), [Column("number", pa.int64(), "1", "a number")], parts(), {})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, COLUMNS, [(1, {"delta_t": 1.0, "number": 0})], {})
    old = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert leftovers(tmp_path), "the writer was to be killed while its file was open"
    assert path.read_bytes() == old


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"missing/t\.parquet: cannot be written: No such file") as caught:
        write_table(tmp_path / "missing" / "t.parquet", COLUMNS, [], {})
    assert "\n" not in str(caught.value)
