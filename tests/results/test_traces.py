"""Trace files: every column as documented, and the same values in pandas, polars and DuckDB."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from emulator.engines.episode import (
    COMPLETED,
    DROPPED,
    GAVE_UP,
    IGNORED,
    IN_SYSTEM,
    LOST,
    RECEIVED,
    EpochTrace,
    JobTrace,
    MessageRecord,
)
from emulator.results import traces as trace_files
from emulator.results.traces import write_epochs, write_jobs, write_messages

KEYS = {
    "replication": 3,
    "dispatcher": "JSQ-M",
    "delta_t": 2.5,
    "topology.side": 11,
    "service.work": "exponential",
}
KEY_TYPES = {
    "replication": "int32",
    "dispatcher": "string",
    "delta_t": "double",
    "topology.side": "int64",
    "service.work": "string",
}
METADATA = {"resolved_scenario": "name: test\n", "seed": "1"}

JOBS = JobTrace(
    epoch=np.array([0, 0, 0, 1], dtype=np.int32),
    scheduler=np.array([0, 0, 1, 1], dtype=np.int32),
    server=np.array([0, 1, 1, 0], dtype=np.int32),
    arrival_time=np.array([0.1, 0.2, 0.15, 2.6]),
    reached_time=np.array([0.1, 0.2, 0.15, np.nan]),
    start_time=np.array([0.1, np.nan, 0.15, np.nan]),
    departure_time=np.array([1.0 / 3.0, np.nan, np.nan, np.nan]),
    work=np.array([0.7, 1.1, 3.0, 0.25]),
    queue_length_at_arrival=np.array([0, 5, 0, -1], dtype=np.int32),
    outcome=np.array([COMPLETED, DROPPED, IN_SYSTEM, GAVE_UP], dtype=np.int8),
    class_=np.array([0, 0, 2, 1], dtype=np.int32),
    attempt=np.array([0, 1, 0, 3], dtype=np.int32),
)
EPOCHS = EpochTrace(
    queue_length=np.array([[0, -1], [2, -1], [3, -1]], dtype=np.int32),
    arrivals=np.array([[1, 2], [3, 4], [5, 6]], dtype=np.int32),
    drops=np.array([[0, 0], [0, 1], [2, 3]], dtype=np.int32),
    offload_probability=np.array([[0.0, 1.0], [0.25, np.nan], [1.0 / 3.0, 0.5]]),
)
MESSAGES = [
    MessageRecord("state", 0, 0.0, 0.0, 0, 1, 0, 0.0, RECEIVED),
    MessageRecord("state", 1, 2.5, 3.5, 1, 0, 4, 1.0, IGNORED),
    MessageRecord("state", 1, 2.5, np.nan, 1, -1, 4, np.nan, LOST),
    MessageRecord("distribution", 1, 2.5, 2.75, -1, 0, -1, 0.25, RECEIVED),
]


def jobs(path, keys=KEYS):
    write_jobs(path, [JOBS], keys, METADATA)


def epochs(path, keys=KEYS):
    write_epochs(path, [EPOCHS], keys, np.array([0.0, 2.5, 5.0]), np.array([0.9, 0.6, 0.9]), METADATA)


def messages(path, keys=KEYS):
    write_messages(path, MESSAGES, keys, np.array([0.0, 2.5, 5.0]), METADATA)


# Of each kind of trace: how it is written, its columns after the keys with their types, and its values.
KINDS = {
    "jobs": (
        jobs,
        {
            "job": "int64",
            "epoch": "int32",
            "scheduler": "int32",
            "server": "int32",
            "arrival_time": "double",
            "reached_time": "double",
            "start_time": "double",
            "departure_time": "double",
            "work": "double",
            "queue_length_at_arrival": "int32",
            "outcome": "string",
            "class": "int32",
            "attempt": "int32",
        },
        {
            "job": [0, 1, 2, 3],
            "epoch": [0, 0, 0, 1],
            "scheduler": [0, 0, 1, 1],
            "server": [0, 1, 1, 0],
            "arrival_time": [0.1, 0.2, 0.15, 2.6],
            "reached_time": [0.1, 0.2, 0.15, None],
            "start_time": [0.1, None, 0.15, None],
            "departure_time": [1.0 / 3.0, None, None, None],
            "work": [0.7, 1.1, 3.0, 0.25],
            "queue_length_at_arrival": [0, 5, 0, None],
            "outcome": ["completed", "dropped", "in system", "gave up"],
            "class": [0, 0, 2, 1],
            "attempt": [0, 1, 0, 3],
        },
    ),
    "epochs": (
        epochs,
        {
            "epoch": "int32",
            "time": "double",
            "arrival_rate": "double",
            "node": "int32",
            "queue_length": "int32",
            "arrivals": "int32",
            "drops": "int32",
            "offload_probability": "double",
        },
        {
            "epoch": [0, 0, 1, 1, 2, 2],
            "time": [0.0, 0.0, 2.5, 2.5, 5.0, 5.0],
            "arrival_rate": [0.9, 0.9, 0.6, 0.6, 0.9, 0.9],
            "node": [0, 1, 0, 1, 0, 1],
            "queue_length": [0, None, 2, None, 3, None],
            "arrivals": [1, None, 3, None, 5, None],
            "drops": [0, None, 0, None, 2, None],
            "offload_probability": [0.0, 1.0, 0.25, None, 1.0 / 3.0, 0.5],
        },
    ),
    "messages": (
        messages,
        {
            "kind": "string",
            "number": "int32",
            "epoch": "int32",
            "sent_time": "double",
            "received_time": "double",
            "server": "int32",
            "scheduler": "int32",
            "queue_length": "int32",
            "age": "double",
            "fate": "string",
        },
        {
            "kind": ["state", "state", "state", "distribution"],
            "number": [0, 1, 1, 1],
            "epoch": [0, 1, 1, 1],
            "sent_time": [0.0, 2.5, 2.5, 2.5],
            "received_time": [0.0, 3.5, None, 2.75],
            "server": [0, 1, 1, None],
            "scheduler": [1, 0, None, 0],
            "queue_length": [0, 4, 4, None],
            "age": [0.0, 1.0, None, 0.25],
            "fate": ["received", "ignored", "lost", "received"],
        },
    ),
}

PANDAS = {"string": "string", "double": "Float64", "int32": "Int32", "int64": "Int64"}
POLARS = {"string": pl.String, "double": pl.Float64, "int32": pl.Int32, "int64": pl.Int64}
DUCKDB = {"string": "VARCHAR", "double": "DOUBLE", "int32": "INTEGER", "int64": "BIGINT"}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def expected(kind):
    _, types, values = kind
    rows = len(values["epoch"])
    return KEY_TYPES | types, {key: [value] * rows for key, value in KEYS.items()} | values


def test_columns_in_order_with_type_unit_and_description(tmp_path, kind):
    kind[0](tmp_path / "t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")
    types, values = expected(kind)
    assert {field.name: str(field.type) for field in schema} == types
    assert schema.names == list(types)
    for field in schema:
        unit, description = field.metadata[b"unit"].decode(), field.metadata[b"description"].decode()
        assert unit in {"ms", "1/ms", "jobs", "1", "none"}
        assert description
        assert unit == "ms" or not (field.name == "age" or field.name == "time" or field.name.endswith("_time"))
        assert field.nullable == (None in values[field.name])
    assert schema.metadata[b"resolved_scenario"] == b"name: test\n"


def test_arrow_reads_what_was_written(tmp_path, kind):
    kind[0](tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == expected(kind)[1]


def test_pandas_reads_what_was_written(tmp_path, kind):
    kind[0](tmp_path / "t.parquet")
    types, values = expected(kind)
    frame = pd.read_parquet(tmp_path / "t.parquet", dtype_backend="numpy_nullable")
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: PANDAS[type_] for name, type_ in types.items()
    }
    assert frame.astype(object).where(frame.notna(), None).to_dict("list") == values


def test_pandas_reads_plain_types_by_default(tmp_path):
    jobs(tmp_path / "t.parquet")
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert frame["epoch"].dtype == np.int32
    assert frame["delta_t"].dtype == np.float64
    assert (frame["dispatcher"] == "JSQ-M").all()
    assert list(frame.loc[frame["outcome"] == "dropped", "job"]) == [1]
    assert np.isnan(frame["start_time"][1])


def test_polars_reads_what_was_written(tmp_path, kind):
    kind[0](tmp_path / "t.parquet")
    types, values = expected(kind)
    frame = pl.read_parquet(tmp_path / "t.parquet")
    assert dict(frame.schema) == {name: POLARS[type_] for name, type_ in types.items()}
    assert frame.to_dict(as_series=False) == values


def test_duckdb_reads_what_was_written(tmp_path, kind):
    kind[0](tmp_path / "t.parquet")
    types, values = expected(kind)
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(tmp_path / "t.parquet"))
        assert dict(zip(relation.columns, map(str, relation.types), strict=True)) == {
            name: DUCKDB[type_] for name, type_ in types.items()
        }
        columns = zip(*relation.fetchall(), strict=True)
        assert dict(zip(relation.columns, map(list, columns), strict=True)) == values


def test_a_folder_of_traces_reads_as_one_table(tmp_path, kind):
    write, _, values = kind
    write(tmp_path / "a.parquet", KEYS | {"dispatcher": "JSQ"})
    write(tmp_path / "b.parquet", KEYS | {"dispatcher": "a much longer name", "delta_t": 10.0})
    rows = 2 * len(values["epoch"])
    query = "dispatcher == 'JSQ' and delta_t == 2.5"
    assert len(pd.read_parquet(tmp_path)) == rows
    assert len(pd.read_parquet(tmp_path).query(query)) == rows / 2
    frame = pl.read_parquet(tmp_path / "*.parquet")
    assert frame.height == rows
    assert frame.filter((pl.col("dispatcher") == "JSQ") & (pl.col("delta_t") == 2.5)).height == rows / 2
    with duckdb.connect() as connection:
        table = f"read_parquet('{tmp_path}/*.parquet')"
        counted = f"select count(*), count(*) filter ({query}) from {table}"
        assert connection.sql(counted).fetchall() == [(rows, rows / 2)]


def test_large_traces_are_written_in_row_groups(tmp_path, kind, monkeypatch):
    kind[0](tmp_path / "whole.parquet")
    monkeypatch.setattr(trace_files, "ROW_GROUP", 3)
    kind[0](tmp_path / "parts.parquet")
    parts = pq.ParquetFile(tmp_path / "parts.parquet")
    assert parts.num_row_groups == 2
    assert parts.read() == pq.read_table(tmp_path / "whole.parquet")


def test_a_trace_without_rows_keeps_its_columns(tmp_path):
    path = tmp_path / "messages.parquet"
    write_messages(path, [], KEYS, np.array([0.0, 2.5, 5.0]), METADATA)
    types, _ = expected(KINDS["messages"])
    assert list(pd.read_parquet(path).columns) == list(types)
    assert dict(pl.read_parquet(path).schema) == {name: POLARS[type_] for name, type_ in types.items()}
    with duckdb.connect() as connection:
        assert connection.read_parquet(str(path)).fetchall() == []


def test_the_same_trace_gives_the_same_bytes(tmp_path, kind):
    kind[0](tmp_path / "a.parquet")
    kind[0](tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
