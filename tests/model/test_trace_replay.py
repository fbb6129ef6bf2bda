"""Traces replayed: what files say, how records are shared out, and what is wrong with a file in one line."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.arrivals import TraceReplay
from emulator.model.arrivals.weights import Weights
from emulator.model.system import System
from emulator.model.topologies import edge_list
from emulator.workload.workload import Workload

SECONDS = [0.0, 0.5, 0.5, 1.25, 3.0]
TOKENS = [10, 30, 0, 40, 20]
USERS = ["ann", "bob", "ann", "eve", "bob"]
START = datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)
DATES = [(START + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S.%f") + "0" for second in SECONDS]
CYCLE = 3.0 * 5 / 4
"""Seconds from the first record to the first one again: the span and one mean gap more."""


def rows(times):
    return [
        {"when": time, "tokens": tokens, "user": user} for time, tokens, user in zip(times, TOKENS, USERS, strict=True)
    ]


def csv_of(times):
    return "\n".join(["when,tokens,user", *(",".join(map(str, row.values())) for row in rows(times)), ""])


def write(path, content):
    if isinstance(content, list):
        pq.write_table(pa.Table.from_pylist(content), path)
    else:
        path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return str(path)


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "trace.csv", csv_of(SECONDS))


def replay(path, **keys):
    return TraceReplay.model_validate({"path": path, "time": "when", "unit": "s"} | keys)


def jobs_of(process, schedulers=1, horizon=3_000.0, replication=0):
    """Return the times (s) and the works of each scheduler's jobs."""
    process.check(schedulers, horizon)
    system = System(edge_list([], nodes=schedulers), horizon, horizon, arrivals=process)
    jobs = Workload(system, replication).jobs(0)
    return [
        (times / 1000.0, works)
        for times, works in zip(
            *(np.split(x, jobs.offsets[1:-1]) for x in (jobs.arrival_times, jobs.works)), strict=True
        )
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", csv_of(SECONDS)),
        ("a.csv.gz", csv_of(SECONDS)),
        ("a.csv", csv_of([1e9 + second for second in SECONDS])),
        ("a.csv", "\n".join([csv_of(SECONDS).splitlines()[0], *reversed(csv_of(SECONDS).splitlines()[1:])])),
        ("a.jsonl", "\n".join(map(json.dumps, rows(SECONDS)))),
        ("a.jsonl.gz", "\n".join(map(json.dumps, rows(SECONDS)))),
        ("a.parquet", rows(SECONDS)),
    ],
)
def test_any_format_says_the_same(tmp_path, name, content):
    ((times, works),) = jobs_of(replay(write(tmp_path / name, content), work="tokens"))
    assert times.tolist() == SECONDS[:-1]  # the horizon is that of the last one
    assert sorted(works.tolist()) == pytest.approx([0.0, 0.5, 1.5, 2.0])
    assert works[[0, 3]].tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    "times",
    [
        DATES,
        [date.replace(" ", "T") + "Z" for date in DATES],
        [date.replace("18:17", "20:17") + "+02:00" for date in DATES],
        [START + timedelta(seconds=second) for second in SECONDS],
    ],
    ids=["blank", "T", "zone", "of Parquet"],
)
def test_dates_need_no_unit(tmp_path, times):
    is_text = isinstance(times[0], str)
    path = write(tmp_path / ("a.csv" if is_text else "a.parquet"), csv_of(times) if is_text else rows(times))
    ((found, _),) = jobs_of(replay(path, unit=None))
    assert found == pytest.approx(SECONDS[:-1], abs=1e-9)
    with pytest.raises(ScenarioError, match=r"^unit must be left out, for when of .* holds dates$"):
        replay(path, unit="s").check(1, 1.0)


def test_large_whole_numbers_lose_nothing(tmp_path):
    path = write(tmp_path / "a.csv", csv_of([1_700_000_000_000_000_000 + round(second * 1e9) for second in SECONDS]))
    ((times, _),) = jobs_of(replay(path, unit="ns"))
    assert times.tolist() == SECONDS[:-1]


def test_speed_and_rate_scale_time(path):
    ((times, _),) = jobs_of(replay(path, speed=2.0), horizon=1500.0)
    assert times.tolist() == [second / 2.0 for second in SECONDS[:-1]]
    ((times, _),) = jobs_of(replay(path, rate=5.0, unit=None), horizon=0.7)
    assert 1000.0 * times == pytest.approx([second / CYCLE for second in SECONDS[:-1]])
    shared = jobs_of(replay(path, rate=5.0), schedulers=5, horizon=10.0)
    assert sum(len(times) for times, _ in shared) == 250
    with pytest.raises(
        ScenarioError, match=r"^unit is missing: when of .* holds no dates but numbers of ns, us, ms, s"
    ):
        replay(path, unit=None).check(1, 1.0)


def test_records_go_round_and_the_trace_begins_anew(path):
    jobs = jobs_of(replay(path, work={"tokens": 1.0}), schedulers=2, horizon=1000.0 * 3 * CYCLE)
    met = sorted((time, scheduler) for scheduler, (times, _) in enumerate(jobs) for time in times)
    expected = [
        (lap * CYCLE + second, (5 * lap + place) % 2) for lap in range(3) for place, second in enumerate(SECONDS)
    ]
    assert [time for time, _ in met] == pytest.approx([time for time, _ in sorted(expected)])
    for scheduler, (times, _) in enumerate(jobs):
        assert times == pytest.approx([time for time, other in expected if other == scheduler])


def test_records_go_at_random(tmp_path):
    count = 20_000
    path = write(tmp_path / "a.csv", "\n".join(["when", *map(str, range(count))]))
    process = replay(path, assign="random", unit="ms", weights=[1, 2, 5])
    first, again, other = (jobs_of(process, 3, count, replication) for replication in (0, 0, 1))
    counts = np.array([len(times) for times, _ in first])
    assert counts.sum() == count
    assert counts / count == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.02)
    assert [times.tolist() for times, _ in first] == [times.tolist() for times, _ in again]
    assert [times.tolist() for times, _ in first] != [times.tolist() for times, _ in other]
    lap = jobs_of(process, 3, 2 * count)
    assert [len(times) for times, _ in lap] != (2 * counts).tolist()  # each lap is drawn anew


@pytest.mark.parametrize("schedulers", [1, 2, 3, 7])
def test_records_of_one_user_go_to_one_scheduler(path, tmp_path, schedulers):
    jobs = jobs_of(replay(path, assign="column", column="user"), schedulers)
    homes = {second: scheduler for scheduler, (times, _) in enumerate(jobs) for second in times.tolist()}
    assert sum(len(times) for times, _ in jobs) == 4
    parquet = write(tmp_path / "b.parquet", rows(SECONDS))
    same = jobs_of(replay(parquet, assign="column", column="user"), schedulers)
    assert [times.tolist() for times, _ in same] == [times.tolist() for times, _ in jobs]
    users = [
        len(times)
        for times, _ in jobs_of(replay(path, assign="column", column="user"), schedulers, 1000.0 * 50 * CYCLE)
    ]
    assert all(count % 50 == 0 for count in users)
    assert len(homes) == 3  # two records come at one time


def test_everybody_replays_everything_from_elsewhere(path):
    jobs = jobs_of(replay(path, assign="rotate", work="tokens"), schedulers=50, horizon=1000.0 * 2 * CYCLE)
    gaps = np.diff([*SECONDS, CYCLE])
    shifts = set()
    for times, works in jobs:
        assert len(times) == 10
        turned = [place for place in range(5) if np.allclose(np.diff(times)[:5], np.roll(gaps, -place))]
        assert any(np.allclose(works, np.tile(np.roll(TOKENS, -place), 2) / 20) for place in turned)
        shifts.add(round(times[0], 6))
    assert len(shifts) > 40
    works = np.concatenate([works for _, works in jobs])
    assert np.unique(works).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_rotating_is_thinned_to_a_rate(path):
    weights = Weights.model_validate([1, 3] * 500)
    process = replay(path, assign="rotate", speed=1000.0, rate=0.4, weights=weights)
    counts = [len(times) for times, _ in jobs_of(process, 1000, 100.0)]
    assert np.mean(counts[::2]) == pytest.approx(20.0, rel=0.05)
    assert np.mean(counts[1::2]) == pytest.approx(60.0, rel=0.05)
    with pytest.raises(ScenarioError, match=r"^rate must be at most 0\.888889, which is all records for the busiest"):
        process.model_copy(update={"rate": 0.9}).check(1000, 100.0)
    whole = replay(path, assign="rotate", rate=0.4, weights=weights)
    assert np.mean([len(times) for times, _ in jobs_of(whole, 1000, 100.0)]) == pytest.approx(40.0, rel=0.05)


def test_rounded_times_are_spread(tmp_path):
    ticks = np.repeat(np.arange(0, 60_000, 3000), 10)
    path = write(tmp_path / "a.csv", "\n".join(["when", *map(str, ticks)]))
    ((times, _),) = jobs_of(replay(path, unit="ms", spread=3000.0), horizon=57_000.0)
    assert len(np.unique(times)) == len(times) == 190
    parts = 1000.0 * times - ticks[:190]
    assert replay(path, unit="ms", spread=3000.0).records().cycle == 60_000.0
    assert (parts >= 0.0).all()
    assert (parts < 3000.0).all()
    assert parts.mean() == pytest.approx(1500.0, abs=300.0)
    assert (np.diff(times) >= 0.0).all()


def test_work_is_a_linear_form(path):
    ((_, works),) = jobs_of(replay(path, work={"tokens": 1.0, "when": 4.0}))
    sums = np.array(TOKENS) + 4.0 * np.array(SECONDS)
    assert works == pytest.approx((sums / sums.mean())[:-1])
    ((_, works),) = jobs_of(replay(path))
    assert len(set(works)) == 4  # drawn of the exponential law


def test_what_is_wrong_is_told_in_one_line(tmp_path):
    lines = csv_of(DATES).splitlines()
    lines[2:2] = ["yesterday,1,x", "2023-02-30 00:00:00,1,x", "2023-02-20 00:00:00,many,x", "2023-02-20 00:00:00,1"]
    lines += ["", "12,1,x", "2023-02-20 00:00:00,1,x,y"]
    path = write(tmp_path / "a.csv", "\n".join(lines))
    told = r"a\.csv:3: when must be a date, got yesterday \(and 4 more bad lines: 4 to 5, 12 to 13\)$"
    with pytest.raises(ScenarioError, match=told) as error:
        replay(path, unit=None, work="tokens").check(1, 1.0)
    assert error.value.key == "path"
    with pytest.raises(
        InputError, match=r"a\.csv:2: work must be >= 0 and finite, got -10 \(and 3 more bad lines: 3, 5 to 6\)$"
    ):
        replay(write(tmp_path / "a.csv", csv_of(SECONDS)), work={"tokens": -1.0}).records()
    with pytest.raises(InputError, match=r"has no column size; its columns are when, tokens, user$"):
        replay(path, unit=None, work="size").records()
    with pytest.raises(InputError, match=r"must have rows at two times at least, but when has one$"):
        replay(write(tmp_path / "b.csv", csv_of([7.0] * 5))).records()
    with pytest.raises(InputError, match="work must not be 0 in all rows"):
        replay(write(tmp_path / "c.csv", csv_of(SECONDS)), work={"tokens": 0.0}).records()


def test_a_changed_file_is_read_again(tmp_path):
    import os

    path = write(tmp_path / "a.csv", csv_of(SECONDS))
    before = replay(path).records().times
    write(tmp_path / "a.csv", csv_of([2.0 * second for second in SECONDS]))
    os.utime(path, (1e9, 1e9))
    assert replay(path).records().times.tolist() == (2.0 * before).tolist()
