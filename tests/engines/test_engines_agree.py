"""Two engines, one specification: the compiled engine does what the SimPy engine does, to the last bit."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from onnx import numpy_helper

from dispatchers import DispatcherError, PerJobDispatcher, RecurrentDispatcher
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.basic import Random
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import RoundRobin
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.command_line import main
from emulator.engines.auto import engines_of
from emulator.engines.comparison import EnginesDifferError, check_equal
from emulator.engines.compiled import fifo, numbering
from emulator.engines.compiled import window_run as compiled_engine
from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import COMPLETED, Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.network import Network
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list, torus
from emulator.runs.remarks import engine_lines
from emulator.runs.run import execute, load_plan
from emulator.runs.tasks import cells_of
from emulator.scenario.scenario import Scenario
from emulator.verification import agreement
from emulator.verification import random_policies as random_networks
from emulator.verification.agreement import check
from emulator.verification.random_systems import Habitual, Moody, Tracking, random_case
from emulator.workload.workload import Workload


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_random_scenarios(first):
    for number in range(first, first + 40):
        check(random_case(number))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 250))
def test_hundreds_of_random_scenarios(first):
    for number in range(first, first + 250):
        check(random_case(number))


def test_random_scenarios_are_of_all_kinds():
    cases = [random_case(number) for number in range(1000)]
    assert len({type(case.dispatcher).__name__ for case in cases}) >= 18
    assert {case.system.topology.kind for case in cases} >= {"cycle", "torus", "bethe", "edge_list"}
    assert min(case.system.nodes for case in cases) == 1
    assert {case.system.delta_t > case.system.horizon for case in cases} == {True, False}
    assert {(case.system.topology.degrees == 0).any() for case in cases} == {True, False}
    assert {case.threads for case in cases} == {1, 2, 3}


@pytest.mark.parametrize("sabotage", ["start", "departure", "fingerprint", "choice", "times", "busy", "herding"])
def test_a_difference_is_found(sabotage, monkeypatch):
    """The comparison itself can fail: a compiled engine with one bit changed does not pass."""
    cases = (case for case in map(random_case, range(100)) if not case.system.measuring.needs_census)
    case = next(case for case in cases if isinstance(case.dispatcher, Random))
    run = WindowEngine.episode

    def spoilt(self, workload, *traces):
        episode = run(self, workload, *traces)
        if episode.jobs is None:
            return episode
        place = int(np.flatnonzero(episode.jobs.outcome == COMPLETED)[-1])
        if sabotage == "start":
            episode.jobs.start_time[place] = np.nextafter(episode.jobs.start_time[place], 0.0)
        elif sabotage == "departure":
            episode.jobs.departure_time[place] = np.nextafter(episode.jobs.departure_time[place], 0.0)
        elif sabotage == "choice":
            episode.jobs.server[place] ^= 1
        elif sabotage == "times":
            episode.account.sojourn_counts[:] = np.roll(episode.account.sojourn_counts, 1)
        elif sabotage == "busy":
            object.__setattr__(episode.account, "busy_time", np.nextafter(episode.account.busy_time, 0.0))
        elif sabotage == "herding":
            episode.account.received.squares[0] += 1
        else:
            object.__setattr__(episode.totals, "fingerprint", episode.totals.fingerprint ^ 1)
        return episode

    monkeypatch.setattr(WindowEngine, "episode", spoilt)
    with pytest.raises(EnginesDifferError, match="simpy and compiled differ in"):
        check(case)


def test_the_command_tells_the_number_of_a_failure(monkeypatch, capsys):
    def fails_on_seven(case):
        if str(case) == str(random_case(7)):
            raise EnginesDifferError("they differ")

    monkeypatch.setattr(agreement, "check", fails_on_seven)
    assert agreement.main(["--first", "5", "--count", "4", "--quiet"]) == 1
    assert capsys.readouterr().out == "system 7: they differ\n4 random systems, 1 on which the engines differ\n"
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


small = partial(System, torus(4), delta_t=2.0, horizon=11.0, buffer=3)


def compare(system, dispatcher, **options):
    reference = SimpyEngine(system, dispatcher).episode(Workload(system, 0), Traces(jobs=True, epochs=True))
    episode = WindowEngine(system, dispatcher, **options).episode(Workload(system, 0), Traces(jobs=True, epochs=True))
    check_equal(reference, episode)
    return episode


def test_a_users_rule_for_each_job_is_compiled():
    assert WindowEngine.obstacle(Greedy(), Network()) is None
    compare(small(), Greedy())


def test_what_cannot_be_compiled_is_told():
    assert WindowEngine.obstacle(RoundRobin(), Network()) is None
    assert "numba cannot compile its choose: " in WindowEngine.obstacle(Unfit(), Network())
    with pytest.raises(DispatcherError, match="Outside: choose must return a column of an accessible server"):
        WindowEngine(small(), Outside()).episode(Workload(small(), 0))


def test_a_server_with_very_many_jobs_in_a_window():
    hub = edge_list([[0, leaf] for leaf in range(1, 120)])
    system = System(hub, 50.0, 50.0, 4, np.where(np.arange(120) == 0, 30.0, 0.1))
    episode = compare(system, JoinShortestQueue("job"))
    assert np.bincount(episode.jobs.server).max() > 4 * fifo.INSERTION_LIMIT


@pytest.mark.parametrize("threads", [1, 2, 5, 100])
def test_the_number_of_threads_changes_nothing(threads):
    compare(small(), MeanFieldOwn(rule=[0.1, 0.4, 0.8, 1.0]), threads=threads)


def test_windows_shorter_than_an_epoch_change_nothing(monkeypatch):
    monkeypatch.setattr(compiled_engine, "WINDOW_JOBS", 0.3)
    monkeypatch.setattr(compiled_engine, "SMALLEST_WINDOW", 0)
    for dispatcher in (Random(), RoundRobin()):
        compare(small(), dispatcher)


def recurrent_rules():
    """Return a rule of each kind that carries a state, with all that it can read."""
    network = random_networks.recurrent(np.random.default_rng(6), 3, 5)
    return [Tracking(), Habitual(), Moody(), random_networks.dispatcher_of(MeanFieldRecurrent, network)]


RECURRENT = pytest.mark.parametrize("dispatcher", recurrent_rules(), ids=lambda rule: type(rule).__name__)


@RECURRENT
@pytest.mark.parametrize("threads", [1, 3])
def test_recurrent_rules_agree_in_one_episode_after_the_other(dispatcher, threads):
    """What was carried in the episodes before is gone when another starts."""
    system = small()
    engine = WindowEngine(system, dispatcher, threads)
    for replication in (0, 1, 0, 2):
        workload = Workload(system, replication)
        reference = SimpyEngine(system, dispatcher).episode(workload, Traces(jobs=True, epochs=True))
        check_equal(reference, engine.episode(workload, Traces(jobs=True, epochs=True)))


@RECURRENT
def test_episodes_of_one_engine_that_run_side_by_side_carry_their_own(dispatcher):
    system = small()
    engine = WindowEngine(system, dispatcher)
    expected = engine.episode(Workload(system, 0), Traces(epochs=True)).epochs.queue_length
    parts = [engine.parts(Workload(system, replication), Traces(epochs=True)) for replication in (0, 1)]
    found = [both[0][1].queue_length for both in zip(*parts, strict=True)]
    assert np.array_equal(np.concatenate(found), expected)


@RECURRENT
@pytest.mark.parametrize("limit", ["LARGEST_TABLE", "NUMBERS_AT_ONCE"])
def test_limits_of_the_table_change_nothing_of_recurrent_rules(dispatcher, limit, monkeypatch):
    monkeypatch.setattr(numbering, limit, 9)
    compare(small(), dispatcher)


def test_a_rule_that_carries_a_state_is_its_calculation_by_hand():
    """Habitual on a torus, where every scheduler has neighbours: habit = 0.6 * habit + own queue length."""
    for engine in (SimpyEngine, WindowEngine):
        epochs = engine(small(), Habitual()).episode(Workload(small(), 0), Traces(epochs=True)).epochs
        habit = np.zeros(16)
        for lengths, offload in zip(epochs.queue_length, epochs.offload_probability, strict=True):
            habit = 0.6 * habit + lengths
            assert offload == pytest.approx(habit / (1.0 + habit), abs=1e-12)
        assert len(np.unique(habit)) > 8


def test_mf_rnn_is_its_calculation_by_hand():
    """One hidden state, carried by all schedulers alike, for they know the same distribution."""
    network = random_networks.recurrent(np.random.default_rng(6), 3, 5)
    tensors = {tensor.name: numpy_helper.to_array(tensor).astype(float) for tensor in network.graph.initializer}
    rule = random_networks.dispatcher_of(MeanFieldRecurrent, network)
    epochs = compare(small(), rule).epochs
    hidden = np.zeros(5)
    for lengths, offload in zip(epochs.queue_length, epochs.offload_probability, strict=True):
        observed = np.concatenate([np.bincount(lengths, minlength=4) / 16, hidden])
        hidden = np.tanh(observed @ tensors["weight_in"] + tensors["bias_in"])
        decision = 1.0 / (1.0 + np.exp(-(hidden @ tensors["weight_out"] + tensors["bias_out"])))
        assert offload == pytest.approx(decision[lengths], abs=1e-5)


def asked_in_each_epoch(dispatcher, system):
    """Return how many rows each epoch's decisions of the compiled engine asked for, once it knows what is read."""
    engine = WindowEngine(system, dispatcher)
    engine.episode(Workload(system, 0))
    rows = [0]
    advance = dispatcher.advance

    def counted(view):
        rows[-1] += view.rows
        return advance(view)

    dispatcher.advance = counted
    engine.episode(Workload(system, 1), progress=lambda now: rows.append(0))
    return rows[1:-1]


def test_equal_hidden_states_are_asked_once():
    system = System(torus(20), 2.0, 20.0, 3)
    assert max(asked_in_each_epoch(Tracking(), system)) == 4  # as many as there are own queue lengths
    for epoch, asked in enumerate(asked_in_each_epoch(Habitual(), system)):
        assert asked <= min(4**epoch, 400)  # the histories of a queue, which is empty at first
    assert asked > 4
    carried = WindowEngine(system, Tracking()).observations.at_start()
    carried.advance(np.array([[1.0, 2.0], [0.5, 0.0], [1.0, 2.0], [0.5, -0.0]]), np.arange(400, dtype=np.int32) % 4)
    assert len(carried.states) == 3
    assert carried.states[carried.state[:3]].tolist() == [[1.0, 2.0], [0.5, 0.0], [1.0, 2.0]]
    assert carried.state[0] == carried.state[2]
    assert np.signbit(carried.states[carried.state[3]]).tolist() == [False, True]


class Signed(RecurrentDispatcher):
    """A rule that carries nothing but the sign of a zero."""

    hidden = 1

    def advance(self, view):
        """Offload if a minus was carried, and carry one if the own queue is odd."""
        minus = np.signbit(view.hidden[:, 0])
        return view.offload(minus.astype(float)), np.where(view.own_lengths % 2 == 1, -0.0, 0.0)[:, None]


def test_states_that_differ_in_one_bit_are_two():
    epochs = compare(small(), Signed()).epochs
    assert set(epochs.offload_probability[0]) == {0.0}
    for before, offload in zip(epochs.queue_length[:-1], epochs.offload_probability[1:], strict=True):
        assert np.array_equal(offload == 1.0, before % 2 == 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_policy_for_each_scheduler_agrees(threads):
    system = System(edge_list([[0, leaf] for leaf in range(1, 6)], nodes=8), 2.0, 30.0, 3)
    network = random_networks.per_agent(np.random.default_rng(7), 3, system.topology.degrees)
    rule = random_networks.dispatcher_of(ScalableActorCritic, network)
    epochs = compare(system, rule, threads=threads).epochs
    assert set(np.unique(epochs.offload_probability)) == {0.0, 1.0}
    assert (epochs.offload_probability[:, 6:] == 0.0).all()  # they have no neighbours


def scenario(**changes):
    torus = {"kind": "torus", "side": 4}
    return Scenario.model_validate({"name": "x", "topology": torus, "delta_t": 5, "dispatchers": ["RND"], **changes})


def test_who_emulates_what():
    auto = scenario(trace={"messages": 2})
    both, simpy, compiled = ("simpy", "compiled"), ("simpy",), ("compiled",)
    assert [engines_of(auto, 1e4, number) for number in range(4)] == [both, simpy, compiled, compiled]
    assert engines_of(auto, 1e9, 0) == both
    assert engines_of(scenario(), 1e9, 0) == compiled
    assert engines_of(scenario(), 1e4, 0, "it cannot") == simpy
    assert engines_of(scenario(engine="simpy"), 1e4, 5) == simpy
    assert engines_of(scenario(engine="compiled"), 1e4, 0) == compiled
    assert engines_of(scenario(), 1e4, 0, is_compared=False) == compiled
    assert [engines_of(auto, 1e4, number, is_compared=False) for number in (0, 2)] == [both, compiled]


@pytest.mark.parametrize(
    ("settings", "points"),
    [
        ([], {0, 1, 2, 3, 4, 5}),
        (["compared_points=1"], {0}),
        (["compared_points=2"], {0, 5}),
        (["compared_points=3"], {0, 2, 5}),
        (["compared_points=9"], {0, 1, 2, 3, 4, 5}),
    ],
)
def test_engines_are_compared_at_points_spread_over_a_sweep(folder, settings, points):
    sweep = ["delta_t=[1, 2, 3]", "topology.nodes=[5, 7]", "dispatchers=[RND]", "replications=2"]
    plan = load_plan("small.yaml", settings=[*sweep, *settings])
    assert plan.compared == points
    results, failures = execute(plan, out=Path("runs/compared"))
    assert (len(results.summary), failures) == (6, [])
    episodes = pd.read_parquet("runs/compared/episodes.parquet").query("replication == 0")
    assert [number for number, engine in enumerate(episodes["engine"]) if engine == "simpy"] == sorted(points)
    first = cells_of(plan)[0][0]
    assert first.seconds(0) > first.seconds(1)


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
    monkeypatch.setattr("emulator.runs.episode_runner.HELD_JOBS", 0)
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
        (["compared_points=2", "delta_t=[1, 2, 3]"], "repeated it bit for bit, at 2 of 3 points, and did the rest"),
        (["topology.nodes=[7, 7000000]"], "bit for bit, except above 4,000,000 jobs an episode, and did the rest"),
    ],
)
def test_the_line_about_engines_is_true(folder, settings, told):
    plan = load_plan("small.yaml", settings=["dispatchers=[JSQ]", *settings])
    (line,) = engine_lines(cells_of(plan), {})
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
    monkeypatch.setattr(fifo, "queue_lengths", lambda *arguments: arguments[2].fill(0))
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
    assert summary["dispatchers.policy"].tolist()[1:] == ["torus_5.onnx", "cycle_5.onnx"]
    assert summary["dispatcher"].tolist() == ["RND", "MF-R policy=torus_5.onnx", "MF-R policy=cycle_5.onnx"]
    assert summary["mean_sojourn_time"].nunique() == 3


CARRYING = """
import numpy as np
from dispatchers import RecurrentDispatcher

class Carrying(RecurrentDispatcher):
    hidden = 1

    def advance(self, view):
        longer = np.maximum(view.hidden, view.own_lengths[:, None])
        return view.offload(longer[:, 0] / view.buffer), longer

class Narrow(Carrying):
    def advance(self, view):
        return view.own(), view.hidden[:, 0]
"""


def test_a_users_recurrent_rule_runs_from_a_scenario(folder, capsys):
    (folder / "carrying.py").write_text(CARRYING)
    one = 'dispatchers=[RND, {class: "carrying:Carrying"}]'
    assert main(["small.yaml", "--quiet", "--set", one, "--out", "carried"]) == 0
    assert "repeated it bit for bit and did the rest" in capsys.readouterr().out
    episodes = pd.read_parquet("carried/episodes.parquet").query("dispatcher == 'Carrying'")
    assert set(episodes.engine) == {"simpy", "compiled"}
    assert main(["small.yaml", "--quiet", "--set", one.replace(":Carrying", ":Narrow")]) == 2
    error = capsys.readouterr().err
    assert "Narrow: hidden states must be float64 64 x 1, got float64 64" in error
    assert error.count("\n") == 1


def test_policies_for_one_number_of_nodes_only(folder, capsys):
    """Told before anything runs, also where the sizes are swept, and with the place in the file."""
    made = random_networks.per_agent(np.random.default_rng(8), 5, np.full(7, 2))
    (folder / "sac.onnx").write_bytes(made.SerializeToString())
    one = ["--set", "dispatchers=[RND, {name: SAC, policy: sac.onnx}]"]
    assert main(["small.yaml", "--quiet", "--dry-run", *one]) == 0
    assert main(["small.yaml", "--quiet", *one]) == 0
    capsys.readouterr()
    for settings in ("topology.nodes=101", "topology.nodes=[7,101]"):
        assert main(["small.yaml", "--quiet", "--dry-run", *one, "--set", settings]) == 2
        error = capsys.readouterr().err
        assert error.endswith("SAC: was made for 7 nodes, the scenario has 101\n")
        assert error.count("\n") == 1


def test_policies_for_one_graph_only(folder, capsys):
    for nodes in (101, 7):
        made = random_networks.per_agent(np.random.default_rng(8), 5, np.full(7, 2))
        made.metadata_props.add(key="topology_hash", value=cycle(nodes).graph_hash)
        (folder / "sac.onnx").write_bytes(made.SerializeToString())
        status = main(["small.yaml", "--quiet", "--dry-run", "--set", "dispatchers=[{name: SAC, policy: sac.onnx}]"])
        error = capsys.readouterr().err
        assert (status, error == "") == ((0, True) if nodes == 7 else (2, False))
        assert nodes == 7 or error.endswith("SAC: was made for another graph than the scenario's\n")
