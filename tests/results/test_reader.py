"""The reader of results: what a run has left, as pandas, polars and DuckDB read it, too."""

import pandas as pd
import pyarrow.dataset as ds
import pytest

import emulator
from emulator import InputError, Results

SCENARIO = """
topology: {kind: cycle, nodes: 5}
delta_t: [2, 5]
horizon: 12
dispatchers: [JSQ, RND]
replications: 3
trace: {jobs: 2, epochs: 1, messages: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    (folder / "s.yaml").write_text(SCENARIO)
    emulator.run(folder / "s.yaml", out=folder / "out")
    return folder / "out"


def test_frames_are_the_files(folder):
    results = Results.open(folder)
    pd.testing.assert_frame_equal(results.episodes, pd.read_parquet(folder / "episodes.parquet"))
    pd.testing.assert_frame_equal(results.summary, pd.read_parquet(folder / "summary.parquet"))
    assert [row["fingerprint"] for row in results.rows] == results.episodes.fingerprint.tolist()


@pytest.mark.parametrize("kind", ["jobs", "epochs", "messages"])
def test_traces_are_datasets_over_their_folder(folder, kind):
    dataset = getattr(Results.open(folder), kind)()
    expected = pd.read_parquet(folder / kind)
    keys = ["dispatcher", "delta_t", "replication"]
    found = dataset.to_table().to_pandas()
    assert found.groupby(keys).size().to_dict() == expected.groupby(keys).size().to_dict()
    assert list(found.columns) == list(expected.columns)
    some = dataset.to_table(columns=["replication"], filter=ds.field("dispatcher") == "JSQ")
    assert 0 < len(some) < len(found)


def test_a_folder_says_where_it_comes_from(folder):
    results = Results.open(str(folder))
    assert results.scenario["topology"] == {"kind": "cycle", "nodes": 5}
    assert results.scenario["dispatchers"] == ["JSQ", "RND"]
    assert (results.metadata["seed"], results.metadata["version"]) == ("1", emulator.__version__)
    assert results.failures == []
    assert results.engines[0].startswith("engine: SimPy emulated replication 0")
    assert results.identity is not None
    assert results.identity["seed"] == "1"


def test_a_folder_without_results_is_one_line(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path}: holds no results, for there is no episodes\.parquet"):
        Results.open(tmp_path)


def test_traces_that_are_not_there_are_one_line(tmp_path):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    emulator.run(tmp_path / "s.yaml", out=tmp_path, settings=["trace.messages=0"])
    with pytest.raises(InputError, match=r"holds no traces of messages; the scenario asks for them as trace\.messages"):
        Results.open(tmp_path).messages()


def test_a_file_that_is_no_table_is_one_line(tmp_path):
    (tmp_path / "episodes.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"episodes\.parquet cannot be read") as caught:
        _ = Results.open(tmp_path).episodes
    assert "\n" not in str(caught.value)
