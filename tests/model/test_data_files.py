"""Files of data as people have them: three formats, gzipped or not, and what is wrong with them in one line."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulator.errors import InputError
from emulator.model import data_files
from emulator.model.data_files import read_columns

NUMBERS = [1.5, 2.0, 40.0]
CSV = "id,work\na,1.5\nb,2\n\nc,4e1\n"
JSON = "".join(json.dumps({"id": name, "work": work}) + "\n" for name, work in zip("abc", NUMBERS, strict=True))


def parquet(path):
    pq.write_table(pa.table({"id": ["a", "b", "c"], "work": NUMBERS}), path)
    return path


def numbers_in(path, column="work"):
    return read_columns(path, [column]).numbers(column, "a number >= 0", lambda value: value >= 0).tolist()


@pytest.mark.parametrize("is_gzipped", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("a.txt", CSV),
        ("a.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("a.csv", CSV.replace(",", ";")),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.jsonl", JSON),
        ("a.ndjson", JSON),
        ("a.parquet", None),
    ],
)
def test_a_column_is_the_same_in_every_format(tmp_path, name, text, is_gzipped):
    file = tmp_path / name
    if text is None:
        parquet(file)
    else:
        file.write_text(text, encoding="utf-8", newline="")
    if is_gzipped:
        content = file.read_bytes()
        file = tmp_path / f"{name}.gz"
        half = len(content) // 2
        file.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))  # two parts are one file
    assert numbers_in(file) == NUMBERS


def test_a_file_of_one_column_needs_no_names(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("1\n2.5\n")
    columns = read_columns(file)
    assert columns.cells == {"value": ["1", "2.5"]}
    assert columns.lines == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.csv",
            "id,work\na,x\nb,\nc\nd,1_0\ne,nan\nf,-1\ng,1e999\nh,2\n",
            r":2: .* got x \(and 6 more bad lines: 3, 4, 5, 6, 7, \.\.\.\)$",
        ),
        ("a.csv", "id,work\na\n", ":2: work must be a number >= 0, got nothing$"),
        ("a.csv", 'id,work\n"a,1\n', ":2: is not CSV: "),
        ("a.csv", "1,2\n3,4\n", r':1: must have names of columns in its first line, got \["1", "2"\]$'),
        ("a.csv", "id,Work\n", "has no column work; its columns are id, Work$"),
        ("a.csv", "work,work\n1,1\n", "has 2 columns work$"),
        ("a.csv", "work\n", "must have from 1 to 20000000 rows, got 0$"),
        ("a.csv", "", "has no column work; its columns are value$"),
        ("a.jsonl", '{"work": 1}\n{"work": true}\n\n{"wor": 2}\n', r":2: .* got true \(and 1 more bad line: 4\)$"),
        ("a.jsonl", '{"work": 1}\n{"work": 1\n', ":2: is not JSON: "),
        ("a.jsonl", "[1]\n", r":1: must be an object, got \[1\]$"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, name, text, told):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InputError, match=told) as error:
        numbers_in(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_is_told_in_one_line(tmp_path, monkeypatch):
    file = tmp_path / "a.csv"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        numbers_in(file)
    file.write_bytes(b"id,work\na,\xff\n")
    with pytest.raises(InputError, match="must be UTF-8, Parquet or gzipped, got a byte 0xff"):
        numbers_in(file)
    file.write_bytes(gzip.compress(CSV.encode())[:-10])
    with pytest.raises(InputError, match="cannot be unpacked: it ends too early"):
        numbers_in(file)
    file.write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(InputError, match="cannot be unpacked: "):
        numbers_in(file)
    file.write_bytes(parquet(tmp_path / "b.parquet").read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as Parquet: "):
        numbers_in(file)
    monkeypatch.setattr(data_files, "LARGEST_FILE", 1000)
    file.write_bytes(gzip.compress(b"work\n" + b"1\n" * 1000))
    with pytest.raises(InputError, match="must hold at most 1000 bytes when it is unpacked"):
        numbers_in(file)
