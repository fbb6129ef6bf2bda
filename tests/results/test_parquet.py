"""Parquet tables: files that are there whole or not at all, and what cannot be read."""

import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_process import python

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.column import Column
from emulator.results.parquet import read_table, write_table

ROOT = Path(__file__).parents[2]

COLUMNS = [
    Column("delta_t", pa.float64(), "ms", "time between broadcasts"),
    Column("number", pa.int64(), "1", "a number", nullable=True),
]


def leftovers(folder):
    return [file.name for file in folder.iterdir() if file.suffix == ".partial"]


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
from emulator.results.column import Column
from emulator.results.parquet import write_table

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
    assert python("-c", KILLED_WRITER, path).returncode == -signal.SIGKILL
    assert leftovers(tmp_path), "the writer was to be killed while its file was open"
    assert path.read_bytes() == old


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"missing/t\.parquet: cannot be written: No such file") as caught:
        write_table(tmp_path / "missing" / "t.parquet", COLUMNS, [], {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: path.write_text("no table"), "Parquet magic bytes not found"),
        (lambda path: path.mkdir(), "it is not a regular file"),
        (lambda path: None, "t.parquet"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, write, why):
    write(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=rf"{tmp_path}: t\.parquet cannot be read: .*{why}") as caught:
        read_table(tmp_path / "t.parquet")
    assert "\n" not in str(caught.value)


def test_what_was_written_is_read(tmp_path):
    write_table(tmp_path / "t.parquet", COLUMNS, [(2, {"delta_t": 5.0, "number": [None, 1]})], {})
    assert read_table(tmp_path / "t.parquet").to_pydict() == {"delta_t": [5.0, 5.0], "number": [None, 1]}
