"""The decision process against exact laws, the evaluation, and the exported file; none of it needs torch."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from scipy import linalg, stats
from scipy.integrate import quad

from dispatchers.onnx_files.kinds import CONTRACT_VERSION, Policy, RecurrentPolicy
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.shortest import JoinShortestQueue
from emulator.engines.simpy.engine import run_episode
from emulator.errors import InputError
from emulator.model.arrivals import Switched
from emulator.model.laws import Deterministic
from emulator.model.system import System
from emulator.model.topologies import cycle, edge_list, torus
from emulator.results.statistics import mean_interval
from emulator.scenario.scenario import Scenario
from emulator.workload.workload import Workload
from policies.algorithms.actors import Actors
from policies.card import card
from policies.export import GaussianPolicy, rules_of, to_onnx, write
from policies.process.epoch_law import EpochLaw, evolve
from policies.process.evaluation import (
    EXECUTIONS,
    drops,
    drops_of_received,
    global_state,
    join_shortest_queue,
    own_server,
    own_state,
    random_server,
    recurrent,
)
from policies.process.networks import ParallelNetworks

ROOT = Path(__file__).resolve().parents[2]
BUFFER = 5


def make_system(topology, *, delta_t=5.0, horizon=50.0, buffer=BUFFER, service_rates=None, **others):
    rates = np.ones(topology.nodes) if service_rates is None else np.asarray(service_rates, dtype=float)
    return System(topology, delta_t, horizon, buffer, rates, **others)


def begun(system, **options):
    networks = ParallelNetworks(system, **options)
    networks.reset()
    return networks


def rule_of_length(rule):
    return lambda distributions: np.tile(rule, (len(distributions), 1))


def exact(start, arrival_rate, service_rate, duration, buffer):
    """The law and the expected drops by matrix exponential, drops being counted in a state of their own."""
    generator = np.zeros((buffer + 2, buffer + 2))
    for length in range(buffer + 1):
        generator[length, length + 1] = arrival_rate
        if length < buffer:
            generator[length, length] -= arrival_rate
        if length > 0:
            generator[length, length - 1] = service_rate
            generator[length, length] -= service_rate
    result = np.append(start, 0.0) @ linalg.expm(generator * duration)
    return result[:-1], result[-1]


# The law of one epoch


@pytest.mark.parametrize("buffer", [1, 2, 5, 20])
@pytest.mark.parametrize(
    ("arrival_rate", "service_rate", "duration"),
    [(0.9, 1.0, 5.0), (0.0, 1.0, 5.0), (4.5, 2.0, 0.01), (1.0, 1.0, 40.0), (60.0, 1.0, 25.0)],
)
def test_the_law_of_an_epoch_is_the_matrix_exponential(buffer, arrival_rate, service_rate, duration):
    start = np.arange(1.0, buffer + 2) / np.arange(1.0, buffer + 2).sum()
    law, expected_drops = evolve(start, arrival_rate, service_rate, duration)
    exact_law, exact_drops = exact(start, arrival_rate, service_rate, duration, buffer)
    np.testing.assert_allclose(law, exact_law, atol=1e-8)
    assert expected_drops == pytest.approx(exact_drops, rel=1e-7, abs=1e-8)
    assert law.sum() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(("buffer", "duration"), [(1, 0.3), (5, 1.0), (5, 10.0), (20, 5.0)])
def test_the_tabulated_law_is_the_law(buffer, duration):
    # Of many queues that start alike and get jobs at rates between those of the table.
    rates = np.random.default_rng(1).uniform(0.0, 0.9 * 3, 40)
    system = make_system(cycle(40), buffer=buffer)
    law = EpochLaw([system])
    start = buffer // 2
    lengths = np.full((4000, 40), start)
    received = np.tile(rates, (4000, 1))
    drops = law.advance(lengths, received, np.zeros(4000, dtype=np.int64), duration, 7, np.arange(4000), 0)
    for node, rate in enumerate(rates):
        expected, dropped = evolve(np.eye(buffer + 1)[start], rate, 1.0, duration)
        np.testing.assert_allclose(drops[:, node], dropped, rtol=1e-4, atol=3e-6)
        counts = np.bincount(lengths[:, node], minlength=buffer + 1)
        likely = expected * 4000 > 5
        table = np.append(counts[likely], counts[~likely].sum()), np.append(expected[likely], expected[~likely].sum())
        keep = table[1] > 0
        if keep.sum() > 1:
            assert stats.chisquare(table[0][keep], 4000 * table[1][keep] / table[1][keep].sum()).pvalue > 1e-7


def test_too_many_service_rates_are_refused():
    system = make_system(cycle(300), service_rates=np.linspace(1.0, 2.0, 300))
    with pytest.raises(InputError, match="at most 256 distinct service rates, got 300"):
        EpochLaw([system])


def test_rates_too_high_to_tabulate_are_refused():
    system = make_system(cycle(5), arrivals=Switched(high=2000.0, low=0.6))
    with pytest.raises(InputError, match="queues sent up to 6000 jobs per ms, at most are 2e\\+09: take"):
        EpochLaw([system])


def test_two_epochs_of_the_same_rate_are_one_long_epoch():
    start = np.eye(BUFFER + 1)[2]
    half, first = evolve(start, 0.9, 1.0, 3.0)
    law, second = evolve(half, 0.9, 1.0, 4.0)
    whole, both = evolve(start, 0.9, 1.0, 7.0)
    np.testing.assert_allclose(law, whole, atol=1e-8)
    assert first + second == pytest.approx(both, rel=1e-7)


def test_queues_are_drawn_from_the_law():
    system = make_system(cycle(3), arrivals=Switched(high=0.9, low=0.9))
    networks = begun(system, copies=20_000, seed=4)
    networks.queue_lengths[:] = 3
    networks.step(np.zeros((20_000, 3)))
    law, _ = evolve(np.eye(BUFFER + 1)[3], 0.9, 1.0, 5.0)
    counts = np.bincount(networks.queue_lengths.ravel(), minlength=BUFFER + 1)
    assert stats.chisquare(counts, 60_000 * law).pvalue > 1e-6


def test_arrival_rates_follow_section_1_2_4():
    # A star with a node apart. The first epoch starts from empty queues, so its drops are known.
    system = make_system(
        edge_list([[0, 1], [0, 2], [0, 3]], nodes=5),
        service_rates=[1.0, 2.0, 0.5, 1.0, 0.7],
        arrivals=Switched(high=3.0, low=3.0),
    )
    offload = np.array([0.5, 0.2, 0.3, 1.0, 0.9])
    rates = 3.0 * np.array([0.5 + 0.2 + 0.3 + 1.0, 0.8 + 0.5 / 3, 0.7 + 0.5 / 3, 0.0 + 0.5 / 3, 1.0])
    assert rates.sum() == pytest.approx(5 * 3.0)
    empty = np.eye(BUFFER + 1)[0]
    servers = zip(rates, system.service_rates, strict=True)
    expected = [evolve(empty, rate, service, 5.0)[1] for rate, service in servers]
    networks = begun(system, copies=2, seed=1)
    drops = networks.step(np.tile(offload, (2, 1)))
    np.testing.assert_allclose(networks.received, np.tile(rates, (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(drops, np.tile(expected, (2, 1)), rtol=1e-5)  # the table is interpolated


def test_own_is_the_queue_with_switched_arrival_rate():
    # The law over (rate, length) is carried through all epochs, the last one shorter.
    system = make_system(torus(5), delta_t=4.0, horizon=22.0, buffer=3)
    arrivals = system.arrivals
    switch = np.array([
        [1 - arrivals.high_to_low, arrivals.high_to_low],
        [arrivals.low_to_high, 1 - arrivals.low_to_high],
    ])  # fmt: skip
    joint, expected = np.outer([0.5, 0.5], np.eye(4)[0]), 0.0
    for duration in [4.0] * 5 + [2.0]:
        for number, rate in enumerate((arrivals.high, arrivals.low)):
            probability = joint[number].sum()
            law, dropped = exact(joint[number] / probability, rate, 1.0, duration, 3)
            joint[number], expected = law * probability, expected + dropped * probability
        joint = switch.T @ joint
    sample = drops(system, lambda networks: np.zeros(networks.queue_lengths.shape), episodes=4000, seed=9)
    assert stats.ttest_1samp(sample, expected * 50 / 22).pvalue > 1e-6
    assert sample.std() / math.sqrt(4000) < 0.01 * expected


@pytest.mark.parametrize("draws", ["job", "epoch"])
def test_the_engine_drops_as_many_jobs_as_the_law_expects(draws):
    rule = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    tree = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]])
    system = make_system(tree, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7], delta_t=3.0, horizon=20.0)
    dispatcher = MeanFieldOwn(rule=rule, draws=draws)
    episodes = [run_episode(system, dispatcher, Workload(system, number)).totals for number in range(400)]
    dropped = np.array([totals.drops for totals in episodes]) / system.nodes * 50.0 / 20.0
    # The same seed, so the same paths of arrival rates.
    rules = rule_of_length(rule)
    expected = drops(system, own_state(rules, BUFFER), episodes=400, seed=system.seed, draws=draws)
    assert stats.ttest_rel(dropped, expected).pvalue > 1e-6
    assert (dropped - expected).std() / math.sqrt(400) < 0.05 * expected.mean()


def test_jsq_drops_as_many_jobs_as_in_the_engine():
    tree = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]])
    system = make_system(tree, service_rates=[1.0, 2.0, 0.5, 1.0, 0.7], delta_t=3.0, horizon=20.0)
    episodes = [run_episode(system, JoinShortestQueue(), Workload(system, number)).totals for number in range(400)]
    dropped = np.array([totals.drops for totals in episodes]) / system.nodes * 50.0 / 20.0
    expected = drops_of_received(system, join_shortest_queue, episodes=400, seed=system.seed)
    assert stats.ttest_rel(dropped, expected).pvalue > 1e-6
    assert (dropped - expected).std() / math.sqrt(400) < 0.05 * expected.mean()


# The networks


def test_random_equals_own_on_a_regular_graph():
    system = make_system(torus(4))
    own = drops(system, own_server, episodes=5)
    np.testing.assert_allclose(drops(system, random_server, episodes=5), own, rtol=1e-9)


def test_copies_of_a_group_share_the_arrival_rates_and_nothing_else():
    networks = begun(make_system(torus(3), horizon=250.0), copies=12, seed=1, copies_per_path=4)
    paths = networks.arrival_rates.reshape(3, 4, 50)
    assert (paths == paths[:, :1]).all()
    assert len({path.tobytes() for path in paths[:, 0]}) == 3
    while networks.epoch < 5:
        networks.step(np.full((12, 9), 0.5))
    assert len({copy.tobytes() for copy in networks.queue_lengths}) == 12


def test_arrival_rates_are_the_workloads():
    system = make_system(torus(3), seed=77)
    networks = begun(system, copies=3, seed=5)
    for copy in range(3):
        workload = Workload(replace(system, seed=5), replication=copy)
        np.testing.assert_array_equal(networks.arrival_rates[copy], workload.arrival_rates)


def test_an_episode_starts_empty_and_differs_from_the_last():
    networks = begun(make_system(torus(3)), copies=10, seed=1)
    first = networks.arrival_rates
    while not networks.is_over:
        networks.step(np.zeros((10, 9)))
    assert networks.queue_lengths.any()
    networks.reset()
    assert not networks.queue_lengths.any()
    assert (networks.arrival_rates != first).any()
    assert not networks.is_over


def test_distributions_and_rules_belong_to_each_copy():
    networks = begun(make_system(cycle(4), buffer=2), copies=2, seed=1)
    networks.queue_lengths[:] = [[0, 0, 1, 2], [2, 2, 2, 2]]
    np.testing.assert_array_equal(networks.distributions(), [[0.5, 0.25, 0.25], [0, 0, 1]])
    rules = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    np.testing.assert_array_equal(networks.follow(rules), [[0.1, 0.1, 0.2, 0.3], [0.6, 0.6, 0.6, 0.6]])


def test_other_work_than_exponential_is_refused():
    with pytest.raises(InputError, match=r"exponential only, got deterministic"):
        ParallelNetworks(make_system(torus(3), work=Deterministic()), copies=1, seed=1)


# Evaluation


def test_both_executions_of_a_rule_that_observes_nothing_agree():
    system = make_system(torus(4))
    rules = rule_of_length([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    own = drops(system, own_state(rules, BUFFER), episodes=3)
    np.testing.assert_array_equal(own, drops(system, global_state(rules), episodes=3))


def test_own_state_execution_takes_the_entry_of_its_own_length():
    asked = []

    def rules(distributions):
        asked.append(distributions)
        return np.arange(36.0).reshape(6, 6)

    networks = begun(make_system(torus(3)), copies=1, seed=1)
    networks.queue_lengths[0, :6] = range(6)
    offload = own_state(rules, BUFFER)(networks)
    np.testing.assert_array_equal(asked, [np.eye(6)])
    np.testing.assert_array_equal(offload[0], [0, 7, 14, 21, 28, 35, 0, 0, 0])


# Export


def random_policy(buffer=BUFFER, hidden=(7, 9), scale=1.0):
    generator = np.random.default_rng(3)
    sizes = [buffer + 1, *hidden, buffer + 1]
    draw = generator.standard_normal
    return GaussianPolicy(
        weights=[(scale * draw((after, before))).astype(np.float32) for before, after in pairwise(sizes)],
        biases=[draw(size).astype(np.float32) for size in sizes[1:]],
        deviation=generator.uniform(0.05, 1.0, buffer + 1).astype(np.float32),
    )


def exported(policy):
    return to_onnx(policy, {"contract_version": CONTRACT_VERSION})


def test_the_exported_rule_is_the_mean_of_the_clipped_gaussian():
    policy = random_policy()
    distributions = np.random.default_rng(1).dirichlet(np.ones(BUFFER + 1), 20)
    value = distributions
    for number, (weight, bias) in enumerate(zip(policy.weights, policy.biases, strict=True)):
        value = value @ weight.T + bias
        if number < len(policy.weights) - 1:
            value = np.tanh(value)
    middle, deviation = (value + 1) / 2, policy.deviation / 2
    expected = [
        [
            quad(lambda x, m=m, s=s: stats.norm.sf(x, m, s), 0, 1, points=[min(max(m, 0), 1)])[0]
            for m, s in zip(row, deviation, strict=True)
        ]
        for row in middle
    ]
    assert value.min() < -1 < 1 < value.max()  # both bounds matter
    np.testing.assert_allclose(rules_of(exported(policy))(distributions), expected, atol=2e-6)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_exported_rule_stays_within_0_and_1(scale):
    policy = random_policy(scale=scale)
    small = replace(policy, deviation=np.full(BUFFER + 1, 1e-3, dtype=np.float32))
    for each in (policy, small):
        offload = rules_of(exported(each))(np.eye(BUFFER + 1))
        assert np.isfinite(offload).all()
        assert ((offload >= 0) & (offload <= 1)).all()


def test_a_tanh_that_is_beyond_1_by_an_ulp_does_not_leave_the_bounds():
    policy = replace(random_policy(), deviation=None)
    places = np.random.default_rng(1).dirichlet(np.ones(BUFFER + 1), 5)
    for shift in np.linspace(-12.0, 12.0, 150):
        moved = replace(policy, biases=[*policy.biases[:-1], np.full(BUFFER + 1, shift, dtype=np.float32)])
        offload = rules_of(exported(moved))(places)
        assert ((offload >= 0) & (offload <= 1)).all()


def test_the_exported_model_is_one_closed_file():
    metadata = {"contract_version": CONTRACT_VERSION, "buffer": "3"}
    model = to_onnx(random_policy(buffer=3, hidden=(4,)), metadata)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    for value, name in ((model.graph.input, "distribution"), (model.graph.output, "offload")):
        (only,) = value
        shape = only.type.tensor_type.shape.dim
        assert (only.name, shape[0].dim_param, shape[1].dim_value) == (name, "batch", 4)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "policy.onnx"
    write(path, exported(random_policy()))
    assert [file.name for file in tmp_path.iterdir()] == ["policy.onnx"]
    assert Policy(path).buffer == BUFFER
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        write(tmp_path / "nowhere" / "policy.onnx", exported(random_policy()))


# What is shipped


def shelf():
    """Return the shipped policies for some delta_t, those for 3 in the fast tests and the others in the slow ones."""
    for path in sorted((ROOT / "policies" / "trained").glob("*.onnx")):
        delta_t = path.stem.rpartition("_")[2]
        if delta_t in ("1", "3", "6", "10"):
            yield pytest.param(path, id=path.name, marks=[] if delta_t == "3" else pytest.mark.slow)


def drops_of_file(path, told, system, episodes):
    """Return the drops of a shipped policy, executed as its file says."""
    if told["executed_as"] == "SAC":
        (table,) = (numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer if each.name == "table")
        with np.errstate(divide="ignore"):
            logits = np.log(table.astype(float)).reshape(system.nodes, -1, table.shape[1])
        return drops_of_received(system, Actors(system.topology, system.buffer, logits).received, episodes=episodes)
    if told["executed_as"] == "MF-RNN":
        offload = recurrent(RecurrentPolicy(path))
    else:
        offload = EXECUTIONS[told["executed_as"]](Policy(path).rules, system.buffer)
    return drops(system, offload, episodes=episodes, draws=told.get("draws", "job"))


@pytest.mark.parametrize("path", list(shelf()))
def test_a_shipped_policy_has_the_score_it_claims(path):
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    system = Scenario.model_validate({**json.loads(told["score_on"]), "dispatchers": ["RND"]}).system()
    claimed = np.array(told["score_episodes"].split(), dtype=float)
    found = drops_of_file(path, told, system, len(claimed))
    np.testing.assert_allclose(found, claimed, rtol=1e-3, atol=1e-4)
    ends = [float(told[key]) for key in ("score", "score_low", "score_high")]
    assert ends == pytest.approx(mean_interval(found), rel=1e-3)
    assert path.stat().st_size < 300_000


TOPOLOGIES = ("cycle", "cube_connected_cycle", "torus", "configuration_model", "bethe")


def metadata(name):
    return {entry.key: entry.value for entry in onnx.load(ROOT / "policies/trained" / name).metadata_props}


PLACES = [(topology, delta_t) for topology in TOPOLOGIES for delta_t in range(1, 11)]


@pytest.mark.parametrize(("topology", "delta_t"), PLACES)
def test_shipped_policies_on_the_own_queue_are_as_good_as_the_best_fixed_rule(topology, delta_t):
    static, own = (float(metadata(f"{topology}{middle}_{delta_t}.onnx")["score"]) for middle in ("_static", ""))
    assert own <= 1.01 * static


@pytest.mark.parametrize(("topology", "delta_t"), PLACES)
def test_the_shelf_is_complete_and_more_knowledge_is_worth_more(topology, delta_t):
    names = [f"{topology}{middle}_{delta_t}.onnx" for middle in ("_static", "", "_mf_n", "_mf_g")]
    told = [metadata(name) for name in names]
    assert [(each["executed_as"], each["delta_t"]) for each in told] == [
        (name, str(delta_t)) for name in ("MF-R", "MF-R", "MF-N", "MF-G")
    ]
    assert len({each["score_on"] for each in told}) == 1
    static, _, near, everywhere = (np.mean([float(drops) for drops in each["score_episodes"].split()]) for each in told)
    assert near < static
    assert everywhere < static
    assert static < float(told[0]["score_RND"])


def test_the_shelf_is_small():
    assert sum(path.stat().st_size for path in (ROOT / "policies/trained").glob("*.onnx")) < 6_000_000


def test_importing_the_package_does_not_need_torch():
    modules = "policies, policies.command_line, policies.process.evaluation, policies.export, policies.presets"
    code = f"import sys, {modules}; assert not {{'torch', 'stable_baselines3', 'gymnasium'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_card_is_what_the_files_say():
    text = (ROOT / "policies/trained/README.md").read_text(encoding="utf-8")
    assert card() == text, "run: python -m policies.card > policies/trained/README.md"
    assert all(f"`{path.name}`" in text for path in (ROOT / "policies/trained").glob("*.onnx"))
