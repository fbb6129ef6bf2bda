"""A run may end at any moment; the same command takes it up again and ends with the same bytes."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from own_process import content, ended, started
from small_run import Killed, stop_after

from emulator.command_line import main
from emulator.runs.run import load_plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("episodes", "error"), [(0, Killed()), (1, KeyboardInterrupt()), (7, Killed()), (35, KeyboardInterrupt())], ids=repr
)
def test_a_run_that_was_stopped_is_taken_up_again(folder, monkeypatch, counted, episodes, error):
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    with monkeypatch.context() as patch:
        stop_after(patch, episodes, error)
        try:
            assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 130
        except Killed:
            assert not (folder / "stopped/episodes.parquet").exists()
    counted.clear()
    assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 0
    assert len(counted) == 36 - episodes
    assert content(folder / "stopped") == content(folder / "undisturbed")
    counted.clear()
    assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 0
    assert counted == []
    assert content(folder / "stopped") == content(folder / "undisturbed")


def kill_and_resume(folder, out, wait, workers):
    command = ["-m", "emulator", "s.yaml", "--quiet", "--out", out, "--workers", workers, "--replications", "400"]
    for _ in range(3):
        process = started(*command, start_new_session=True)
        time.sleep(wait())
        os.killpg(process.pid, signal.SIGKILL)
        ended(process)
    assert ended(started(*command)).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(folder, workers):
    generator = random.Random(os.getpid())
    main(["s.yaml", "--quiet", "--out", "undisturbed", "--replications", "400"])
    kill_and_resume(folder, "killed", lambda: generator.uniform(0.5, 5.0), workers)
    assert content(folder / "killed") == content(folder / "undisturbed")


def test_more_replications_compute_only_the_new_ones(folder, counted):
    main(["s.yaml", "--quiet"])
    before = pd.read_parquet("runs/s/episodes.parquet")
    traces = {name: bytes_ for name, bytes_ in content(folder / "runs/s").items() if "/" in name}
    counted.clear()
    assert main(["s.yaml", "--quiet", "--replications", "9"]) == 0
    assert {task.replication for task in counted} == {6, 7, 8}
    after = pd.read_parquet("runs/s/episodes.parquet")
    kept = after[after.replication < 6].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before, check_exact=True)
    assert traces.items() <= content(folder / "runs/s").items()
    main(["s.yaml", "--quiet", "--replications", "9", "--out", "at_once"])
    pd.testing.assert_frame_equal(pd.read_parquet("at_once/episodes.parquet"), after, check_exact=True)


def test_a_journal_is_good_up_to_its_last_full_line(folder, monkeypatch, counted):
    with monkeypatch.context() as patch:
        stop_after(patch, 9, Killed())
        with pytest.raises(Killed):
            main(["s.yaml", "--quiet"])
    journal = folder / "runs/s/.partial/journal.jsonl"
    text = journal.read_text()
    assert len(text.splitlines()) == 10
    journal.write_text(text[:-20])
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) == 36 - 8
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    assert content(folder / "runs/s") == content(folder / "undisturbed")


def test_an_episode_whose_trace_is_gone_is_run_again(folder, counted):
    main(["s.yaml", "--quiet"])
    before = content(folder / "runs/s")
    (folder / "runs/s/jobs/JSQ_delta_t=2_r001.parquet").unlink()
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) == 1
    assert content(folder / "runs/s") == before


@pytest.mark.parametrize("line", ["[1]", '{"identity": 3}', "{}", "no journal"])
def test_a_strange_journal_is_refused_or_left_alone(folder, capsys, line):
    staging = folder / "runs/s/.partial"
    staging.mkdir(parents=True)
    (staging / "journal.jsonl").write_text(f"{line}\n")
    status = main(["s.yaml", "--quiet"])
    assert status == (2 if line.startswith("{") else 0)
    assert capsys.readouterr().err.count("\n") == (1 if status else 0)


def test_a_journal_that_is_a_folder_is_refused(folder, capsys):
    (folder / "runs/s/.partial/journal.jsonl").mkdir(parents=True)
    assert main(["s.yaml", "--quiet"]) == 2
    assert "journal.jsonl cannot be read: Is a directory" in capsys.readouterr().err


def test_results_of_unknown_origin_are_refused(folder, capsys):
    (folder / "runs/s").mkdir(parents=True)
    pd.DataFrame({"x": [1]}).to_parquet("runs/s/episodes.parquet")
    assert main(["s.yaml", "--quiet"]) == 2
    assert "it holds results of unknown origin" in capsys.readouterr().err
    (folder / "runs/s/episodes.parquet").write_text("no table")
    assert main(["s.yaml", "--quiet"]) == 2
    assert "episodes.parquet cannot be read" in capsys.readouterr().err
    assert main(["s.yaml", "--quiet", "--fresh"]) == 0


def test_a_disk_that_is_full_loses_nothing(folder, monkeypatch, capsys, counted):
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    with monkeypatch.context() as patch:
        from emulator.errors import InputError
        from emulator.results import traces as trace_files

        write, count = trace_files.write_jobs, iter(range(100))

        def full(*arguments):
            if next(count) == 4:
                raise InputError("jobs: cannot be written: No space left on device")
            write(*arguments)

        patch.setattr(trace_files, "write_jobs", full)
        assert main(["s.yaml", "--quiet"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) < 36
    assert content(folder / "runs/s") == content(folder / "undisturbed")


def test_the_journal_says_what_it_is_of(folder, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2, Killed())
        with pytest.raises(Killed):
            main(["s.yaml", "--quiet"])
    first, *rows = (folder / "runs/s/.partial/journal.jsonl").read_text().splitlines()
    assert json.loads(first)["identity"]["seed"] == "1"
    assert [json.loads(row)["dispatcher"] for row in rows] == ["JSQ", "RND"]
    assert len(load_plan("s.yaml").points) == 2


def test_fewer_replications_keep_what_is_finished(folder, counted):
    main(["s.yaml", "--quiet"])
    before = content(folder / "runs/s")
    episodes = pd.read_parquet("runs/s/episodes.parquet")
    counted.clear()
    assert main(["s.yaml", "--quiet", "--replications", "2"]) == 0
    assert counted == []
    pd.testing.assert_frame_equal(pd.read_parquet("runs/s/episodes.parquet"), episodes, check_exact=True)
    few = pd.read_parquet("runs/s/summary.parquet")
    assert set(few.replications) == {2}
    first = episodes[episodes.replication < 2].groupby(["dispatcher", "delta_t"]).drops_per_queue.mean()
    for row in few.itertuples():
        assert row.mean_drops == pytest.approx(first[row.dispatcher, row.delta_t])
    assert {name for name in before if "/" in name} <= set(content(folder / "runs/s"))
    main(["s.yaml", "--quiet"])
    assert counted == []
    assert content(folder / "runs/s") == before
