"""Rules found directly: the best fixed one, and those linear in what is observed; and how they are executed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("cma")


from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldNeighbourhood, MeanFieldOwn
from emulator.engines.compiled.numbering import AllAtOnce
from emulator.engines.observations import EpochDraws
from emulator.model.system import System
from emulator.model.topologies import configuration_model, cycle, edge_list, torus
from emulator.workload.workload import Workload
from policies.algorithms.direct_search import DirectSearch, search
from policies.export import linear_to_onnx, write
from policies.presets import PRESETS
from policies.process.epoch_law import linear_offload
from policies.process.networks import ParallelNetworks
from policies.process.scoring import dispatcher_of, score

METADATA = {"contract_version": "1"}
UNEVEN = edge_list([[0, 1], [0, 2], [0, 3], [3, 4]], nodes=6)
FIXED = PRESETS["fast"]["STATIC"]
assert isinstance(FIXED, DirectSearch)


make_system = partial(System, delta_t=4.0, horizon=20.0, buffer=3)


def with_random_lengths(system, copies=5):
    networks = ParallelNetworks(system, copies=copies, seed=1)
    networks.reset()
    networks.queue_lengths[:] = np.random.default_rng(1).integers(0, system.buffer + 1, networks.queue_lengths.shape)
    return networks


def test_a_neighbourhoods_distribution_is_that_of_the_accessible_queues():
    networks = with_random_lengths(make_system(UNEVEN))
    distributions, which = networks.accessible_distributions()
    for copy in range(5):
        for node in range(6):
            others = UNEVEN.neighbours[UNEVEN.offsets[node] : UNEVEN.offsets[node + 1]]
            lengths = networks.queue_lengths[copy, [node, *others]]
            expected = np.bincount(lengths, minlength=4) / len(lengths)
            np.testing.assert_allclose(distributions[which[copy, node]], expected, rtol=1e-12)


def test_a_linear_rule_is_the_same_in_the_search_and_as_a_dispatcher(tmp_path):
    system = make_system(UNEVEN)
    networks = with_random_lengths(system)
    weights = np.random.default_rng(2).normal(0.5, 1.0, (4, 4))
    model = linear_to_onnx(weights, METADATA)
    searched = linear_offload(networks.queue_lengths, weights, networks.graph_of, networks.offsets, networks.neighbours)
    assert 0.0 == searched.min() < searched.max() == 1.0
    write(tmp_path / "rule.onnx", model)
    decisions = AllAtOnce(MeanFieldNeighbourhood(str(tmp_path / "rule.onnx")), system)
    for copy in range(5):
        lengths = networks.queue_lengths[copy].astype(np.int32)
        decisions.decide(lengths, EpochDraws(Workload(system, 0), 0), decisions.at_start())
        kept = decisions.answers[decisions.start]
        expected = np.where(system.topology.degrees > 0, 1.0 - searched[copy], 1.0)
        np.testing.assert_allclose(kept, expected, atol=1e-6)


def test_graphs_are_taken_in_turn():
    systems = [make_system(configuration_model(12, [2, 3], seed)) for seed in (1, 2)]
    assert systems[0].topology.graph_hash != systems[1].topology.graph_hash
    rule = np.array([0.0, 0.3, 0.6, 1.0])
    both = ParallelNetworks(systems, copies=6, seed=3)
    alone = [ParallelNetworks(system, copies=6, seed=3) for system in systems]
    for networks in (both, *alone):
        networks.reset()
    for _ in range(5):
        found = both.step(rule[both.queue_lengths])
        each = [networks.step(rule[networks.queue_lengths]) for networks in alone]
        for copy in range(6):
            np.testing.assert_array_equal(found[copy], each[copy % 2][copy])


def test_the_search_finds_the_rule_that_is_known_to_be_best():
    # With a buffer of 1 and knowledge that is fresh, a job stays where the own server is free and leaves a taken one.
    system = make_system(cycle(40), delta_t=0.1, horizon=10.0, buffer=1)
    weights = search(system, replace(FIXED, iterations=40, nodes=4000), seed=1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert weights[0, 0] < 0.02
    assert weights[1, 0] > 0.98


@pytest.mark.parametrize("observation", ["own", "accessible", "all"])
def test_the_same_seed_finds_the_same_rule_and_one_better_than_random(observation):
    system = make_system(torus(5), delta_t=2.0)
    preset = replace(FIXED, observation=observation, iterations=30, nodes=2000, networks=2)
    weights = search(system, preset, seed=1)
    np.testing.assert_array_equal(weights, search(system, preset, seed=1))
    assert not np.array_equal(weights, search(system, preset, seed=2))
    name = {"own": "MF-R", "accessible": "MF-N", "all": "MF-G"}[observation]
    test = make_system(torus(12), delta_t=2.0)
    found = score(dispatcher_of(linear_to_onnx(weights, METADATA), name), test, 20)
    assert (found < 0.95 * score(Random(), test, 20)).all()


def test_candidates_of_a_generation_meet_the_same_numbers_and_the_next_ones_others(monkeypatch):
    met = []
    step = ParallelNetworks.step

    def watched(networks, offload):
        if networks.epoch == 0:
            met.append((networks.episode, networks.arrival_rates.tobytes()))
        return step(networks, offload)

    monkeypatch.setattr(ParallelNetworks, "step", watched)
    search(make_system(torus(4)), replace(FIXED, iterations=3, nodes=320), seed=1)
    candidates = len(met) // 3
    generations = [set(met[first : first + candidates]) for first in range(0, len(met), candidates)]
    assert [len(generation) for generation in generations] == [1, 1, 1]
    assert len(set.union(*generations)) == 3


def test_what_a_rule_is_in_the_mean_stays_within_0_and_1_and_its_slopes_do_not(monkeypatch):
    import cma

    asked = []

    class Watched(cma.CMAEvolutionStrategy):
        def ask(self, *arguments, **options):
            candidates = super().ask(*arguments, **options)
            asked.extend(candidates)
            return candidates

    monkeypatch.setattr(cma, "CMAEvolutionStrategy", Watched)
    preset = DirectSearch(iterations=30, observation="all", nodes=30, components=1, deviation=0.5)
    search(make_system(cycle(5)), preset, seed=1, start=np.array([0.0, 0.02, 0.5, 1.0]))
    means, slopes = np.array(asked).reshape(-1, 4, 2).transpose(2, 0, 1)
    assert 0.0 <= means.min() < 0.1
    assert 0.9 < means.max() <= 1.0
    assert slopes.min() < 0.0
    assert slopes.max() > 1.0


@pytest.mark.slow
def test_actions_that_hold_for_an_epoch_gain_nothing_when_epochs_are_long():
    """A search from RND's rule gets stuck above; never to offload is as good as any rule there."""
    system = make_system(torus(9), delta_t=8.0, horizon=48.0)
    preset = replace(PRESETS["fast"]["STATIC"], iterations=30)
    kept = score(SendToOwn(), system, 60)
    for draws, least, most in (("epoch", 0.995, 1.005), ("job", 0.9, 0.99)):
        rule = np.clip(search(system, preset, seed=1, draws=draws)[:, 0], 0.0, 1.0)
        found = score(MeanFieldOwn(rule=rule, draws=draws), system, 60)
        assert least < found.mean() / kept.mean() < most


@pytest.mark.slow
def test_a_search_of_actions_that_hold_ends_no_worse_than_the_best_threshold():
    system = make_system(torus(6), delta_t=4.0, horizon=40.0)
    preset = replace(PRESETS["fast"]["STATIC"], iterations=10)

    def mean(rule):
        return score(MeanFieldOwn(rule=rule, draws="epoch"), system, 200).mean()

    found = mean(np.clip(search(system, preset, seed=1, draws="epoch")[:, 0], 0.0, 1.0))
    best = min(mean((np.arange(4) >= least).astype(float)) for least in range(5))
    from_random = search(system, preset, seed=1, draws="epoch", start=np.full(4, 0.8))[:, 0]
    assert found < 1.01 * best
    assert found < mean(np.clip(from_random, 0.0, 1.0))
