"""Every engine in one loop over all cases with exact values, and the exact values against one another.

A mean over replications fails if it is further from the exact value than what has a chance of LEVEL in all cases.
"""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from emulator.engines.engine import ENGINES, REFERENCE
from emulator.results.measures import MEASURES
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import Point
from emulator.scenario.scenario import Scenario
from emulator.verification.exact import age, dispatch, independent, solve
from emulator.verification.exact.__main__ import main
from emulator.verification.exact.cases import BIPARTITE, EXACT, UNEQUAL, pair, path
from emulator.verification.exact.queue import stationary_loss
from emulator.verification.exact.synchronous import Chain
from emulator.workload.workload import Workload

LEVEL = 2e-4
"""Of a false alarm in all cases together: a z-score of about 4.5 for each."""

BY_NAME = {measure.column.name: measure for measure in MEASURES}

SLOW = {
    "bursts of loss",
    "dispatch time, own alike",
    "latency longer than the period",
    "loss",
    "loss, own alike",
    "on change",
    "path, polls",
    "polls, lost, own alike",
    "random phases",
    "RR",
    "SED, unequal rates",
}
"""Cases whose solution takes seconds."""


@cache
def sample(name, engine, replications):
    case = EXACT[name]
    scenario = Scenario.model_validate({"name": "exact", **case.scenario, "seed": 20})
    system = scenario.system()
    dispatcher = make_dispatcher(Point({}, scenario, {}), 0).dispatcher
    kind = ENGINES[engine].load()
    if (obstacle := kind.obstacle(dispatcher, system.network, has_feedback=system.has_feedback)) is not None:
        pytest.skip(obstacle)
    emulated = kind(system, dispatcher)
    measure = BY_NAME[case.measure]
    return np.array([measure.of(emulated.episode(Workload(system, r)), system) for r in range(replications)])


def assert_exact(found, value, name):
    """Within chance of the exact value; equal where no episode differs from another."""
    error = found.std(ddof=1) / len(found) ** 0.5
    if error < 1e-9:
        assert found.mean() == pytest.approx(value, abs=1e-6), name
    else:
        assert abs(found.mean() - value) / error < stats.norm.isf(LEVEL / 2 / len(EXACT)), (name, found.mean(), error)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", EXACT)
def test_every_engine_gives_the_exact_value(name, engine):
    assert_exact(sample(name, engine, 200), EXACT[name].value, name)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != REFERENCE])
@pytest.mark.parametrize("name", EXACT)
def test_compiled_engines_give_the_exact_value_closely(name, engine):
    """The reference has the same bits, as the tests of agreement say."""
    assert_exact(sample(name, engine, 1000), EXACT[name].value, name)


def test_another_value_is_refused():
    """The comparison has the power to tell half a period's shift from none."""
    found = sample("synchronous", "compiled", 200)
    with pytest.raises(AssertionError):
        assert_exact(found, EXACT["half a period apart"].value, "")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in EXACT])
def test_a_case_holds_its_solution(name):
    assert EXACT[name].solved() == pytest.approx(EXACT[name].value, abs=6e-7)


def drops(**keys):
    return solve.of_scenario(pair(**keys)).drops_per_queue


@pytest.mark.parametrize("arrivals", [{"high": 0.9, "low": 0.9}, {"high": 1.2, "low": 0.5}])
@pytest.mark.parametrize(
    "scenario",
    [
        pair(horizon=17.0),
        pair(horizon=17.0, buffer=2, service={"work": "hyperexponential", "scv": 4.0}, delta_t=3.0),
        path(horizon=17.0, buffer=2, dispatchers=["SED"], service=UNEQUAL, delta_t=3.0),
    ],
)
def test_both_chains_agree_where_broadcasts_are_synchronous(scenario, arrivals):
    scenario = scenario | {"arrivals": arrivals}
    by_messages = solve.of_scenario(scenario)
    by_epochs = Chain(*solve.built(scenario, 0)).expected()
    np.testing.assert_allclose(by_messages.flows, by_epochs.flows, atol=1e-10)
    np.testing.assert_allclose(by_messages.law, by_epochs.law, atol=1e-11)
    assert by_messages.measures() == pytest.approx(by_epochs.measures(), abs=1e-9)


def test_what_makes_no_difference_makes_none():
    synchronous = drops()
    same = [
        drops(messages={"kind": "poll"}),
        drops(messages={"period": 5.0, "phase": [0.0, 0.0], "own": "alike", "keep": "last"}),
        drops(messages={"loss": {"good_to_bad": 0.5, "bad_to_good": 0.5, "bad": 0.0, "good": 0.0}}),
        drops(messages={"period": 2.5}, decide={"every": 5.0}),
        drops(dispatch={"latency": {"law": "deterministic", "mean": 0.0}}),
    ]
    assert same == pytest.approx([synchronous] * len(same), abs=1e-9)
    lossy = drops(messages={"loss": 0.3, "latency": 1.0})
    as_bursts = {"good_to_bad": 0.5, "bad_to_good": 0.5, "bad": 0.6}  # whose states are independent
    assert drops(messages={"loss": as_bursts, "latency": 1.0}) == pytest.approx(lossy, abs=1e-9)


def test_what_is_lost_or_too_late_tells_nothing():
    """Then schedulers keep the choice of time 0, as in one long epoch."""
    nothing = drops(delta_t=50.0)
    assert drops(messages={"loss": 1.0, "own": "alike"}) == pytest.approx(nothing, abs=1e-9)
    assert drops(messages={"latency": 60.0, "own": "alike"}) == pytest.approx(nothing, abs=1e-9)
    assert drops(messages={"phase": [50.0, 50.0]}) == pytest.approx(nothing, abs=1e-9)


def test_a_rate_that_nobody_tells_is_taken_as_1():
    """Rates travel with lengths, so SED is JSQ until then."""
    fast = {"service": {"rates": [3.0, 3.0], "assignment": "given"}, "messages": {"phase": [0.0, 20.0]}}
    assert drops(dispatchers=["SED"], **fast) != pytest.approx(drops(**fast), abs=1e-3)
    nothing = fast | {"messages": {"loss": 1.0, "own": "alike"}}
    assert drops(dispatchers=["SED"], **nothing) == pytest.approx(drops(**nothing), abs=1e-9)


def test_times_go_by_the_length_of_each_edge(tmp_path):
    file = tmp_path / "edges.csv"
    topology = {"kind": "edge_list", "path": str(file)}
    by_length = {"edges": "latency", "factor": 0.5}
    file.write_text("source,target,latency\n0,1,2.0\n")
    keys = {"messages": {"latency": 1.0, "phase": "even"}, "dispatch": {"latency": 1.0}}
    same = {"messages": {"latency": by_length, "jitter": 0.0, "phase": "even"}, "dispatch": {"latency": by_length}}
    assert drops(topology=topology, **same) == pytest.approx(drops(**keys), abs=1e-9)
    file.write_text("source,target,latency\n0,1,2.0\n1,2,4.0\n")
    found = solve.mean_age(path(topology=topology, messages={"latency": by_length, "jitter": 0.5}))
    each = [age.mean_until(50.0, 5.0 * np.arange(10), age.fixed(latency)) for latency in (1.5, 2.5)]
    assert found == pytest.approx(np.mean(each), abs=1e-9)


def test_knowledge_that_is_never_old_keeps_two_queues_level():
    """As the period goes to 0 the drops go to those of the chain that joins the shortest queue at each arrival."""
    keys = {"horizon": 5.0, "buffer": 2}
    live = shortest_of_two(5.0, 2)
    gaps = [drops(**keys, messages={"period": period}) - live for period in (0.2, 0.1, 0.05)]
    assert gaps[0] > gaps[1] > gaps[2] > 0.0
    assert gaps[2] / gaps[1] == pytest.approx(0.5, abs=0.05)


def shortest_of_two(horizon, buffer):
    """Solve two M/M/1/B queues under the shortest queue, known at each arrival: 1.8 jobs per ms in all."""
    from scipy.linalg import expm

    states = [(a, b) for a in range(buffer + 1) for b in range(buffer + 1)]
    size = len(states)
    generator = np.zeros((size + 1, size + 1))

    def go(here, there, rate):
        generator[here, states.index(there)] += rate
        generator[here, here] -= rate

    for here, (a, b) in enumerate(states):
        if a == b == buffer:
            generator[here, size] += 1.8
        if a <= b and a < buffer:
            go(here, (a + 1, b), 1.8 if a < b else 0.9)
        if b <= a and b < buffer:
            go(here, (a, b + 1), 1.8 if b < a else 0.9)
        if a:
            go(here, (a - 1, b), 1.0)
        if b:
            go(here, (a, b - 1), 1.0)
    return expm(generator * horizon)[0, size] * 50 / horizon / 2


def test_ages():
    assert age.stationary(5.0, 1.0, 0.1) == pytest.approx(4.055556, abs=5e-7)
    assert age.peak(5.0, 1.0, 0.1) == pytest.approx(6.555556, abs=5e-7)
    assert age.stationary_newest(5.0, age.fixed(1.0, 0.1)) == pytest.approx(age.stationary(5.0, 1.0, 0.1), abs=1e-9)
    assert age.stationary_newest(5.0, age.exponential(1.0, 0.1)) == pytest.approx(4.052521, abs=5e-7)
    assert age.mean_over_phases(5.0, 5.0, age.fixed(7.0)) == pytest.approx(2.5)
    lossy = solve.mean_age(pair(horizon=47.0, messages={"latency": 7.0, "phase": [2.0, 2.0], "loss": 0.3}))
    samples = 2.0 + 5.0 * np.arange(9)
    assert lossy == pytest.approx(age.mean_until(47.0, samples, age.fixed(7.0, 0.3)), abs=1e-9)
    long = age.mean_until(5000.0, 5.0 * np.arange(1000), age.exponential(1.0, 0.1))
    assert long == pytest.approx(age.stationary_newest(5.0, age.exponential(1.0, 0.1)), abs=5e-3)


def test_dispatch_times():
    assert dispatch.fixed(1.0, 0.9, 50.0) == pytest.approx(4.865240, abs=5e-7)
    assert dispatch.fixed(0.0, 0.9, 50.0) == pytest.approx(4.978659, abs=5e-7)
    assert dispatch.exponential(1e-7, 0.9, 50.0) == pytest.approx(dispatch.fixed(0.0, 0.9, 50.0), abs=1e-6)
    assert dispatch.drops(lambda time: 0.9, 50.0, 5) == pytest.approx(dispatch.fixed(0.0, 0.9, 50.0), abs=1e-8)


def test_servers_that_nobody_compares_are_independent():
    assert stationary_loss(0.6, 5) == pytest.approx(0.0326262, abs=5e-8)
    assert BIPARTITE["schedulers"] / BIPARTITE["servers"] * 0.9 == pytest.approx(0.6)
    for rule in ("OWN", "RND"):
        scenario = path(dispatchers=[rule], service=UNEQUAL, arrivals={"high": 1.2, "low": 0.5}, horizon=17.0)
        alone, together = independent.measures(*solve.built(scenario, 0)), solve.of_scenario(scenario).measures()
        assert alone == pytest.approx({name: together[name] for name in alone}, abs=1e-9)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"messages": {"latency": {"law": "exponential", "mean": 1.0}}}, "messages.latency must not be random"),
        ({"messages": {"jitter": {"law": "exponential", "mean": 1.0}}}, "messages.jitter must not be random"),
        ({"messages": {"period": {"law": "exponential", "mean": 1.0}}}, "messages.period must not be random"),
        ({"messages": {"times": "poisson"}}, "messages.times must not be random"),
        ({"dispatch": {"latency": {"law": "exponential", "mean": 1.0}}}, "dispatch.latency must not be random"),
        ({"decide": {"every": 5.0, "phase": "random"}}, "decide.phase must not be random"),
        ({"messages": {"losses": 0.1}}, "messages.losses is unknown, did you mean loss?"),
        ({"messages": {"phase": "random"}}, "messages.phase must not be random"),
        ({"messages": {"latency": 1.0}, "dispatchers": ["RR"]}, "RR has memory"),
        ({"topology": {"kind": "torus", "side": 5}}, "looks at queues"),
        ({"service": {"work": "deterministic"}}, "service.work must be"),
        ({"dispatchers": [{"name": "MF-R", "rule": [0.5] * 6, "draws": "epoch"}]}, "reads coins"),
    ],
)
def test_what_cannot_be_solved_is_refused_in_one_line(keys, told):
    with pytest.raises(ValueError, match=told):
        solve.measures(pair(**keys))


def test_the_program_prints_all_cases_and_solves_a_scenario(tmp_path, capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in EXACT)
    file = tmp_path / "two.yaml"
    file.write_text(
        "topology: {kind: edge_list, edges: [[0, 1]]}\ndelta_t: [2, 5]\narrivals: {high: 0.9, low: 0.9}\n"
        "dispatchers: [JSQ, RND]\nmessages: {latency: 1}\n"
    )
    assert main([str(file), "--set", "horizon=50"]) == 0
    assert "7.493565" in capsys.readouterr().out
    assert main([str(file), "--set", "messages.latency=a"]) == 2
    assert "messages.latency" in capsys.readouterr().err
