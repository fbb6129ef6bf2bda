"""Two engines, one specification: the compiled engine does what the SimPy engine does, to the last bit."""

import numpy as np
import pandas as pd
import pytest

from dispatchers import DispatcherError, PerJobDispatcher
from dispatchers.heuristics import JoinShortestQueue, Random
from dispatchers.mean_field import MeanFieldOwn
from dispatchers.memory import RoundRobin
from emulator import agreement, compiled_engine, simpy_engine
from emulator import compiled_kernels as kernels
from emulator.agreement import check, random_case
from emulator.command_line import main
from emulator.compiled_engine import CompiledEngine, obstacle_to
from emulator.engines import EnginesDifferError, Mode, check_equal, mode_of
from emulator.episode import COMPLETED
from emulator.running import engine_lines, load_plan
from emulator.scenario import Scenario
from emulator.system import System
from emulator.topology import edge_list, torus
from emulator.workload import Workload


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_random_scenarios(first):
    for number in range(first, first + 40):
        check(random_case(number))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 5000, 500))
def test_thousands_of_random_scenarios(first):
    for number in range(first, first + 500):
        check(random_case(number))


def test_random_scenarios_are_of_all_kinds():
    cases = [random_case(number) for number in range(1000)]
    assert len({type(case.dispatcher).__name__ for case in cases}) >= 13
    assert {case.system.topology.kind for case in cases} >= {"cycle", "torus", "bethe", "edge_list"}
    assert min(case.system.nodes for case in cases) == 1
    assert {case.system.delta_t > case.system.horizon for case in cases} == {True, False}
    assert {(case.system.topology.degrees == 0).any() for case in cases} == {True, False}
    assert {case.threads for case in cases} == {1, 2, 3}


@pytest.mark.parametrize("sabotage", ["start", "departure", "fingerprint", "choice"])
def test_a_difference_is_found(sabotage, monkeypatch):
    """The comparison itself can fail: a compiled engine with one bit changed does not pass."""
    case = next(case for case in map(random_case, range(100)) if isinstance(case.dispatcher, Random))
    run = CompiledEngine.run_episode

    def spoilt(self, workload, **traces):
        episode = run(self, workload, **traces)
        if episode.jobs is None:
            return episode
        place = int(np.flatnonzero(episode.jobs.outcome == COMPLETED)[-1])
        if sabotage == "start":
            episode.jobs.start_time[place] = np.nextafter(episode.jobs.start_time[place], 0.0)
        elif sabotage == "departure":
            episode.jobs.departure_time[place] = np.nextafter(episode.jobs.departure_time[place], 0.0)
        elif sabotage == "choice":
            episode.jobs.server[place] ^= 1
        else:
            object.__setattr__(episode.totals, "fingerprint", episode.totals.fingerprint ^ 1)
        return episode

    monkeypatch.setattr(CompiledEngine, "run_episode", spoilt)
    with pytest.raises(EnginesDifferError, match="simpy and compiled differ in"):
        check(case)


def test_the_command_tells_the_number_of_a_failure(monkeypatch, capsys):
    def fails_on_seven(case):
        if str(case) == str(random_case(7)):
            raise EnginesDifferError("they differ")

    monkeypatch.setattr(agreement, "check", fails_on_seven)
    assert agreement.main(["--first", "5", "--count", "4", "--quiet"]) == 1
    assert capsys.readouterr().out == "scenario 7: they differ\n4 random scenarios, 1 on which the engines differ\n"
    assert agreement.main(["--first", "8", "--count", "1", "--quiet"]) == 0


class Greedy(PerJobDispatcher):
    """A user's per-job rule that makes an array for each job."""

    def plan(self, view):
        return view.queue_lengths[:, :, None].astype(np.float64)

    @staticmethod
    def choose(job):
        return np.argmin(job.plan[:, 0] + job.sent)


class Outside(Greedy):
    """A rule that leaves its servers after a while."""

    @staticmethod
    def choose(job):
        return len(job.sent) if job.total_sent == 2 else 0


class Unfit(Greedy):
    """A rule that numba cannot compile."""

    @staticmethod
    def choose(job):
        return sorted({"b": 0, "a": 1}.values(), key=str)[0] + open.__name__.count("z")


def small(**changes):
    return System(torus(4), 2.0, 11.0, 3, np.ones(16), **changes)


def compare(system, dispatcher, **options):
    reference = simpy_engine.run_episode(system, dispatcher, Workload(system, 0), jobs=True, epochs=True)
    episode = CompiledEngine(system, dispatcher, **options).run_episode(Workload(system, 0), jobs=True, epochs=True)
    check_equal(reference, episode)
    return episode


def test_a_users_rule_for_each_job_is_compiled():
    assert obstacle_to(Greedy()) is None
    compare(small(), Greedy())


def test_what_cannot_be_compiled_is_told():
    assert obstacle_to(RoundRobin()) is None
    assert "numba cannot compile its choose: " in obstacle_to(Unfit())
    with pytest.raises(DispatcherError, match="Outside: choose must return a column of an accessible server"):
        CompiledEngine(small(), Outside()).run_episode(Workload(small(), 0))


def test_a_server_with_very_many_jobs_in_a_window():
    hub = edge_list([[0, leaf] for leaf in range(1, 120)])
    system = System(hub, 50.0, 50.0, 4, np.where(np.arange(120) == 0, 30.0, 0.1))
    episode = compare(system, JoinShortestQueue("job"))
    assert np.bincount(episode.jobs.server).max() > 4 * kernels.INSERTION_LIMIT


@pytest.mark.parametrize("threads", [1, 2, 5, 100])
def test_the_number_of_threads_changes_nothing(threads):
    compare(small(), MeanFieldOwn(rule=[0.1, 0.4, 0.8, 1.0]), threads=threads)


def test_windows_shorter_than_an_epoch_change_nothing(monkeypatch):
    monkeypatch.setattr(compiled_engine, "WINDOW_JOBS", 0.3)
    monkeypatch.setattr(compiled_engine, "SMALLEST_WINDOW", 0)
    for dispatcher in (Random(), RoundRobin()):
        compare(small(), dispatcher)


def scenario(**changes):
    torus = {"kind": "torus", "side": 4}
    return Scenario.model_validate({"name": "x", "topology": torus, "delta_t": 5, "dispatchers": ["RND"], **changes})


def test_who_emulates_what():
    auto = scenario(trace={"messages": 2})
    assert [mode_of(auto, 1e4, number) for number in range(4)] == [Mode.BOTH, Mode.SIMPY, Mode.COMPILED, Mode.COMPILED]
    assert mode_of(auto, 1e9, 0) is Mode.BOTH
    assert mode_of(scenario(), 1e9, 0) is Mode.COMPILED
    assert mode_of(scenario(), 1e4, 0, "it cannot") is Mode.SIMPY
    assert mode_of(scenario(engine="simpy"), 1e4, 5) is Mode.SIMPY
    assert mode_of(scenario(engine="compiled"), 1e4, 0) is Mode.COMPILED


FILE = """
topology: {kind: cycle, nodes: 7}
delta_t: [2, 5]
horizon: 12
dispatchers: [JSQ, RND, RR, {class: "mine:Unfit"}]
replications: 3
trace: {jobs: 2, epochs: 2}
"""

MINE = """
import numpy as np
from dispatchers import PerJobDispatcher

class Unfit(PerJobDispatcher):
    def plan(self, view):
        return np.zeros((*view.accessible.shape, 1))

    @staticmethod
    def choose(job):
        return int(str(job.total_sent % len(job.sent))[0:1] or "0")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(FILE)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_runs_by_either_engine_leave_the_same(folder, capsys):
    for engine in ("simpy", "auto", "compiled"):
        dispatchers = ["--set", "dispatchers=[JSQ, RND, RR]"]
        assert main(["small.yaml", "--quiet", "--engine", engine, "--out", engine, *dispatchers]) == 0
    frames = {engine: pd.read_parquet(f"{engine}/episodes.parquet") for engine in ("simpy", "auto", "compiled")}
    for engine in ("auto", "compiled"):
        pd.testing.assert_frame_equal(frames["simpy"].drop(columns="engine"), frames[engine].drop(columns="engine"))
        for trace in (folder / "simpy").glob("*/*.parquet"):
            other = folder / engine / trace.relative_to(folder / "simpy")
            pd.testing.assert_frame_equal(pd.read_parquet(trace), pd.read_parquet(other), check_exact=True)
    assert set(frames["compiled"].engine) == {"compiled"}
    first = frames["auto"].replication == 0
    assert set(frames["auto"].engine[first]) == {"simpy"}
    assert set(frames["auto"].engine[~first]) == {"compiled"}


def test_traces_of_long_episodes_are_the_same_written_epoch_by_epoch(folder, monkeypatch):
    options = ["small.yaml", "--quiet", "--engine", "compiled", "--set", "dispatchers=[JSQ, RND, RR]"]
    main([*options, "--out", "held"])
    monkeypatch.setattr("emulator.replications.HELD_JOBS", 0)
    main([*options, "--out", "streamed"])
    traces = sorted((folder / "held").glob("*/*.parquet"))
    assert len(traces) == 2 * 2 * 2 * 3
    for trace in traces:
        other = folder / "streamed" / trace.relative_to(folder / "held")
        pd.testing.assert_frame_equal(pd.read_parquet(trace), pd.read_parquet(other), check_exact=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([], "SimPy emulated replication 0, the compiled engine repeated it bit for bit and did the rest"),
        (
            ["trace.messages=2"],
            "SimPy emulated replications 0 to 1, the compiled engine repeated the first bit for bit",
        ),
        (["engine=compiled"], "the compiled engine emulated all"),
        (["engine=simpy"], "SimPy emulated all"),
        (["topology.nodes=7000000"], "the compiled engine emulated all; more than 4,000,000 jobs an episode are too"),
        (["topology.nodes=[7, 7000000]"], "bit for bit, except above 4,000,000 jobs an episode, and did the rest"),
    ],
)
def test_the_line_about_engines_is_true(folder, settings, told):
    plan = load_plan("small.yaml", settings=["dispatchers=[JSQ]", *settings])
    (line,) = engine_lines(plan)
    assert told in line


def test_the_output_says_who_emulated(folder, capsys):
    assert main(["small.yaml", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "engine: SimPy emulated replication 0, the compiled engine repeated it bit for bit and did the rest" in out
    assert "engine: SimPy emulated Unfit, for numba cannot compile its choose: " in out
    assert set(pd.read_parquet("runs/small/episodes.parquet").query("dispatcher == 'Unfit'").engine) == {"simpy"}


def test_what_cannot_be_compiled_is_refused_where_it_must_be(folder, capsys):
    assert main(["small.yaml", "--quiet", "--engine", "compiled"]) == 2
    assert capsys.readouterr().err.startswith("small.yaml:5:29: Unfit: numba cannot compile its choose: ")
    assert main(["small.yaml", "--engine", "compiled", "--set", "trace.messages=1"]) == 2
    assert "must be auto or simpy where messages are traced" in capsys.readouterr().err


def test_a_difference_stops_the_run(folder, capsys, monkeypatch):
    monkeypatch.setattr(kernels, "queue_lengths", lambda *arguments: arguments[2].fill(0))
    assert main(["small.yaml", "--quiet", "--workers", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("simpy and compiled differ in ")
    assert error.count("\n") == 1
    assert not (folder / "runs").exists()


def test_a_policy_sweeps(folder):
    shipped = "trained/torus_5.onnx, trained/cycle_5.onnx"
    one = f"dispatchers=[RND, {{name: MF-R, policy: [{shipped}]}}]"
    assert main(["small.yaml", "--quiet", "--set", one, "--set", "delta_t=5", "--out", "swept"]) == 0
    summary = pd.read_parquet("swept/summary.parquet")
    assert summary["dispatchers.1.policy"].tolist() == ["torus_5.onnx"] * 2 + ["cycle_5.onnx"] * 2
    drops = summary[summary.dispatcher == "MF-R"].mean_drops
    assert drops.nunique() == 2
    assert summary[summary.dispatcher == "RND"].mean_drops.nunique() == 1
