"""The folder of results: early errors, whole files, and columns as documented."""

import os
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from emulator.errors import InputError
from emulator.results.columns import EPISODES, SUMMARY
from emulator.results.folder import ResultsFolder, part_name
from emulator.results.statistics import summarise

EPISODE_TYPES = {
    "scenario": "string",
    "topology": "string",
    "nodes": "int32",
    "schedulers": "int32",
    "servers": "int32",
    "dispatcher": "string",
    "information": "string",
    "delta_t": "double",
    "service.rate": "double",
    "replication": "int32",
    "seed": "int64",
    "topology_hash": "string",
    "engine": "string",
    "arrivals": "int64",
    "completions": "int64",
    "drops": "int64",
    "refused": "int64",
    "lost": "int64",
    "gave_up": "int64",
    "retries": "int64",
    "drops_per_queue": "double",
    "discounted_drops": "double",
    "mean_sojourn_time": "double",
    "mean_queue_length": "double",
    "messages": "int64",
    "messages_lost": "int64",
    "messages_ignored": "int64",
    "message_bytes": "int64",
    "decisions": "int64",
    "age_of_knowledge": "double",
    "age_at_decisions": "double",
    "age_at_jobs": "double",
    "cell": "string",
    "fingerprint": "string",
    "loss_probability": "double",
    "utilisation": "double",
    "herding": "double",
    "messages_per_job": "double",
    "energy": "double",
    "energy_per_job": "double",
    "p50_sojourn_time": "double",
    "p90_sojourn_time": "double",
    "p99_sojourn_time": "double",
    "p999_sojourn_time": "double",
    "mean_waiting_time": "double",
    "p50_waiting_time": "double",
    "p90_waiting_time": "double",
    "p99_waiting_time": "double",
    "p999_waiting_time": "double",
    "fairness_of_service": "double",
    "fairness_of_sojourn_times": "double",
    "measured_time": "double",
    "measures": "string",
    "time_shares": "list<double>",
    "sojourn_bins": "list<int32>",
    "sojourn_counts": "list<int64>",
    "waiting_bins": "list<int32>",
    "waiting_counts": "list<int64>",
    "batches": "list<struct>",
}
_MEANS = [f"mean_{name}" for name in ("discounted_drops", "sojourn_time", "queue_length", "messages", "messages_lost")]
_MEANS += [f"mean_{name}" for name in ("messages_ignored", "message_bytes", "decisions", "age_of_knowledge")]
_MEANS += ["mean_age_at_decisions", "mean_age_at_jobs"]
_LATER = ["loss_probability", "utilisation", "herding", "messages_per_job", "energy", "energy_per_job"]
_LATER += [f"{which}_sojourn_time" for which in ("p50", "p90", "p99", "p999")]
_LATER += [f"{which}_waiting_time" for which in ("mean", "p50", "p90", "p99", "p999")]
_LATER += ["fairness_of_service", "fairness_of_sojourn_times"]
_ENDS = ["low", "high", "difference", "difference_low", "difference_high"]
SUMMARY_TYPES = {
    "scenario": "string",
    "topology": "string",
    "nodes": "int32",
    "schedulers": "int32",
    "servers": "int32",
    "dispatcher": "string",
    "information": "string",
    "delta_t": "double",
    "service.rate": "double",
    "mean_drops": "double",
    "ci_low": "double",
    "ci_high": "double",
    "replications": "int32",
    "difference": "double",
    "difference_low": "double",
    "difference_high": "double",
    "drop_probability": "double",
    "mean_discounted_drops": "double",
    "mean_sojourn_time": "double",
    "mean_queue_length": "double",
    "mean_messages": "double",
    "mean_messages_lost": "double",
    "mean_messages_ignored": "double",
    "mean_message_bytes": "double",
    "mean_decisions": "double",
    "mean_age_of_knowledge": "double",
    "mean_age_at_decisions": "double",
    "mean_age_at_jobs": "double",
    "mean_drops_lag_one": "double",
    **{f"{name}_{end}": "double" for name in _MEANS for end in [*_ENDS, "lag_one"]},
    **{f"{name}{end}": "double" for name in _LATER for end in ["", *(f"_{end}" for end in [*_ENDS, "lag_one"])]},
    **{f"time_shares{end}": "list<double>" for end in ["", *(f"_{end}" for end in _ENDS)]},
    "time_shares_lag_one": "double",
    "batches": "int32",
}
POLARS = {"string": pl.String, "double": pl.Float64, "int32": pl.Int32, "int64": pl.Int64}
POLARS |= {f"list<{name}>": pl.List(POLARS[name]) for name in ("double", "int32", "int64")}
DUCKDB = {"string": "VARCHAR", "double": "DOUBLE", "int32": "INTEGER", "int64": "BIGINT"}
DUCKDB |= {f"list<{name}>": f"{DUCKDB[name]}[]" for name in ("double", "int32", "int64")}
METADATA = {"resolved_scenario": "name: test\n", "seed": "1", "version": "0"}


def row(dispatcher="JSQ", replication=0, rate=1.0, drops=7, sojourn=1.5):
    return {
        "scenario": "test",
        "topology": "torus",
        "nodes": 9,
        "schedulers": 6,
        "servers": 9,
        "replication": replication,
        "dispatcher": dispatcher,
        "information": "broadcast",
        "delta_t": 5.0,
        "service.rate": rate,
        "seed": 2**32 - 1,
        "topology_hash": "ab" * 32,
        "engine": "simpy",
        "arrivals": 300,
        "completions": 280,
        "drops": drops,
        "refused": 0,
        "lost": 0,
        "gave_up": 0,
        "retries": 0,
        "drops_per_queue": drops / 9,
        "discounted_drops": drops / 10,
        "mean_sojourn_time": sojourn,
        "mean_queue_length": 0.75,
        "messages": 450,
        "messages_lost": 3,
        "messages_ignored": 2,
        "message_bytes": 12600,
        "decisions": 90,
        "age_of_knowledge": 2.5,
        "age_at_decisions": 0.25,
        "age_at_jobs": float("nan"),
        "cell": "0123456789abcdef",
        "fingerprint": "00ff00ff00ff00ff",
        "loss_probability": drops / 300,
        "utilisation": 0.7,
        "herding": 1.25,
        "messages_per_job": 1.5,
        **dict.fromkeys(("energy", "energy_per_job"), float("nan")),
        **{f"{which}_sojourn_time": 1.0 + place for place, which in enumerate(("p50", "p90", "p99", "p999"))},
        **{f"{which}_waiting_time": float("nan") for which in ("mean", "p50", "p90", "p99", "p999")},
        "fairness_of_service": 0.99,
        "fairness_of_sojourn_times": 0.9,
        "measured_time": 50.0,
        "measures": "usual",
        "time_shares": [0.25, 0.5, 0.25],
        "sojourn_bins": [65472, 65500],
        "sojourn_counts": [200, 80 + replication],
        "waiting_bins": None,
        "waiting_counts": None,
        "batches": None,
    }


def short(type_):
    """A type by its name, without those of a batch's columns."""
    text = str(type_).replace("list<element: ", "list<")
    return "list<struct>" if "struct" in text else text


def plain(value):
    """A value of a column, None where there is none; several numbers are a list."""
    if hasattr(value, "__len__") and not isinstance(value, str):
        return [plain(item) for item in value]
    return None if value is None or value != value else value


ROWS = [row(), row(replication=1, drops=9, rate=1), row("RND", sojourn=float("nan")), row("RND", 1, rate=1.5)]


@pytest.fixture
def folder(tmp_path):
    with ResultsFolder(tmp_path / "out") as folder:
        yield folder


def write(folder, text="name: test\n", traces=()):
    """Fill a folder as a run does, with `traces` (folder, name) whose content does not matter here."""
    folder.write_episodes(ROWS, METADATA)
    folder.write_summary(summarise(pd.DataFrame(ROWS), ["service.rate"]), METADATA)
    folder.write_scenario(text)
    folder.picture.write_bytes(b"a picture")
    for kind, name in traces:
        (folder.staging / kind / name).write_text(text)


def names_in(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


FILES = ["episodes.parquet", "scenario.resolved.yaml", "summary.parquet", "summary.png"]


@pytest.mark.parametrize(
    ("name", "types", "documented"),
    [("episodes.parquet", EPISODE_TYPES, EPISODES), ("summary.parquet", SUMMARY_TYPES, SUMMARY)],
)
def test_columns_in_order_with_type_unit_and_description(folder, name, types, documented):
    write(folder)
    folder.commit()
    schema = pq.read_schema(folder.path / name)
    assert schema.names == list(types)
    assert {field.name: short(field.type) for field in schema} == types
    assert [column.name for column in documented] == [key for key in types if key != "service.rate"]
    for field in schema:
        assert field.metadata[b"unit"]
        assert field.metadata[b"description"]
    assert {key.decode(): value.decode() for key, value in schema.metadata.items()} == METADATA


@pytest.mark.parametrize(("name", "types"), [("episodes.parquet", EPISODE_TYPES), ("summary.parquet", SUMMARY_TYPES)])
def test_pandas_polars_and_duckdb_read_the_same(folder, name, types):
    write(folder)
    folder.commit()
    path = folder.path / name
    values = pq.read_table(path).to_pydict()
    frame = pl.read_parquet(path)
    simple = {key: type_ for key, type_ in types.items() if type_ != "list<struct>"}
    assert {key: frame.schema[key] for key in simple} == {key: POLARS[type_] for key, type_ in simple.items()}
    assert frame.to_dict(as_series=False) == values
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(path))
        found = dict(zip(relation.columns, map(str, relation.types), strict=True))
        assert {key: found[key] for key in simple} == {key: DUCKDB[type_] for key, type_ in simple.items()}
        assert relation.fetchall() == list(zip(*values.values(), strict=True))
    pandas = pd.read_parquet(path)
    assert {key: plain(pandas[key]) for key in pandas} == values


def test_episodes_are_what_was_given(folder):
    folder.write_episodes(ROWS, METADATA)
    folder.commit()
    read = pq.read_table(folder.path / "episodes.parquet").to_pylist()
    for given, found in zip(ROWS, read, strict=True):
        expected = {key: None if value != value else value for key, value in given.items()}
        assert found == expected


def test_the_summary_is_what_was_computed(folder):
    summary = summarise(pd.DataFrame(ROWS), ["service.rate"])
    folder.write_summary(summary, METADATA)
    folder.commit()
    read = pd.read_parquet(folder.path / "summary.parquet")
    assert {name: plain(read[name]) for name in read} == {name: plain(summary[name]) for name in SUMMARY_TYPES}


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        with ResultsFolder(tmp_path / name) as folder:
            write(folder)
            folder.commit()
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_is_in_place_before_commit_and_all_is_after(folder):
    write(folder, traces=[("jobs", "JSQ_delta_t=5_r000.parquet")])
    assert all(file.startswith(".partial") for file in names_in(folder.path))
    folder.commit({"jobs/JSQ_delta_t=5_r000.parquet"})
    assert names_in(folder.path) == sorted([*FILES, "jobs", "jobs/JSQ_delta_t=5_r000.parquet"])


def test_discard_leaves_no_trace(tmp_path):
    folder = ResultsFolder(tmp_path / "new" / "deep" / "out")
    write(folder)
    folder.discard()
    assert list(tmp_path.iterdir()) == []


def test_discard_keeps_an_earlier_run(tmp_path):
    with ResultsFolder(tmp_path / "out") as folder:
        write(folder, "old")
        folder.commit()
    before = names_in(tmp_path)
    folder = ResultsFolder(tmp_path / "out")
    write(folder, "new", [("jobs", "JSQ_delta_t=5_r000.parquet")])
    folder.discard()
    assert names_in(tmp_path) == before
    assert (tmp_path / "out" / "scenario.resolved.yaml").read_text() == "old"


def test_commit_replaces_an_earlier_run_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    with ResultsFolder(out) as folder:
        write(
            folder,
            "old",
            old := [(kind, f"{name}_delta_t=5_r000.parquet") for kind in ("jobs", "epochs") for name in "ab"],
        )
        folder.commit({f"{kind}/{name}" for kind, name in old})
    strangers = [out / "notes.txt", out / "jobs" / "mine.parquet", out / "a_delta_t=5_r000.parquet"]
    for stranger in strangers:
        stranger.write_text("keep me")
    with ResultsFolder(out) as folder:
        kept = [("jobs", "b_delta_t=5_r000.parquet"), ("messages", "c_delta_t=5_r000.parquet")]
        write(folder, "new", [*kept, ("messages", "unknown_delta_t=5_r000.parquet")])
        folder.commit({f"{kind}/{name}" for kind, name in kept})
    assert names_in(out) == sorted(
        [
            *FILES,
            *(str(stranger.relative_to(out)) for stranger in strangers),
            "jobs",
            "jobs/b_delta_t=5_r000.parquet",
            "messages",
            "messages/c_delta_t=5_r000.parquet",
        ]
    )
    assert (out / "jobs" / "b_delta_t=5_r000.parquet").read_text() == "new"
    assert (out / "scenario.resolved.yaml").read_text() == "new"


def test_torn_parts_are_not_committed(folder):
    write(folder)
    (folder.staging / "jobs" / ".a_delta_t=5_r000.parquet.12.partial").write_text("half")
    folder.commit()
    assert names_in(folder.path) == FILES


def test_what_is_staged_is_found_again_until_it_is_given_up(tmp_path):
    with ResultsFolder(tmp_path / "out") as folder:
        write(folder, traces=[("jobs", "a_delta_t=5_r000.parquet")])
    with ResultsFolder(tmp_path / "out") as folder:
        assert (folder.staging / "jobs" / "a_delta_t=5_r000.parquet").exists()
        folder.clear_staging()
        assert names_in(folder.staging) == ["epochs", "jobs", "messages", "nodes"]
    assert names_in(tmp_path) == ["out"]


def test_commit_keeps_the_traces_that_are_in_place_already(tmp_path):
    name = "a_delta_t=5_r000.parquet"
    for staged in ([("jobs", name)], []):
        with ResultsFolder(tmp_path) as folder:
            write(folder, traces=staged)
            folder.commit({f"jobs/{name}"})
    assert names_in(tmp_path) == sorted([*FILES, "jobs", f"jobs/{name}"])


def test_a_folder_in_use_is_refused_and_left_alone(folder):
    pytest.importorskip("fcntl")
    with pytest.raises(InputError, match="another run is writing to it"):
        ResultsFolder(folder.path)
    assert (folder.staging / "jobs").is_dir()
    folder.discard()
    ResultsFolder(folder.path).discard()


def assert_refused(path, reason):
    with pytest.raises(InputError) as caught:
        ResultsFolder(path)
    message = str(caught.value)
    assert str(path)[:100] in message
    assert reason in message
    assert "\n" not in message


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    assert_refused(tmp_path / "out", "it is a file")


def test_a_file_above_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(tmp_path / "file" / "out", "Not a directory")
    assert (tmp_path / "file").read_text() == ""


def test_a_name_that_no_folder_can_have_is_refused(tmp_path):
    assert_refused(tmp_path / "new" / ("x" * 5000), "File name too long")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where nobody can write")
def test_a_place_where_nobody_can_write_is_refused():
    assert_refused(Path("/proc/out"), "a folder that can be made and written is needed")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write wherever he likes")
@pytest.mark.parametrize("name", ["", "new", "jobs"])
def test_a_folder_without_permission_is_refused(tmp_path, name):
    closed = tmp_path / "jobs" if name == "jobs" else tmp_path
    closed.mkdir(exist_ok=True)
    closed.chmod(0o500)
    try:
        assert_refused(tmp_path if name == "jobs" else tmp_path / name, "writ")
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_files_place_is_refused_at_the_start(tmp_path, name):
    (tmp_path / name).mkdir()
    assert_refused(tmp_path, name)
    assert names_in(tmp_path) == [name]


def test_a_file_in_a_trace_folders_place_is_refused_at_the_start(tmp_path):
    (tmp_path / "epochs").write_text("")
    assert_refused(tmp_path, "epochs")


def test_part_names_are_readable():
    keys = {"replication": 7, "dispatcher": "JSQ-M", "delta_t": 5.0, "topology.side": 11}
    assert part_name(keys) == "JSQ-M_delta_t=5_topology.side=11_r007.parquet"


def test_different_keys_have_different_part_names_of_safe_characters():
    dispatchers = [
        "JSQ",
        "a b",
        "a_b",
        "a/b",
        "a-b",
        "../a",
        ".a",
        "_a",
        "a=b",
        "ä",
        "é",
        "x" * 300,
        "x" * 301,
        "5",
    ]
    names = {
        part_name({"replication": replication, "dispatcher": dispatcher, "delta_t": delta_t})
        for dispatcher in dispatchers
        for delta_t in (5.0, 0.5, 5.0000001)
        for replication in (0, 1, 1000)
    }
    assert len(names) == len(dispatchers) * 9
    for name in names:
        assert name.endswith(".parquet")
        assert name[0] not in "._"
        assert len(name) < 200
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-")
