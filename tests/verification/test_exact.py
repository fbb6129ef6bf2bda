"""Every dispatcher in one loop against exact expectations: the joint Markov chain of small systems (`synchronous.py`).

Each case is conditioned on the paths of the arrival rate that its replications met, which takes most of the variance
away. A case fails if one of its z-scores is beyond what has a chance of 1e-4 in all of a test's comparisons.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from dispatchers.contract import name_of
from dispatchers.rules.basic import Random, SendToOwn
from dispatchers.rules.mean_field import MeanFieldOwn
from dispatchers.rules.memory import JoinShortestQueueWithMemory, RoundRobin
from dispatchers.rules.shortest import JoinShortestQueue, ShortestExpectedDelay
from emulator.engines.episode import Traces
from emulator.engines.simpy.engine import SimpyEngine
from emulator.model.arrivals import Switched
from emulator.model.laws import Hyperexponential
from emulator.model.system import System
from emulator.model.topologies import bethe, configuration_model, cube_connected_cycle, cycle, edge_list, torus
from emulator.verification.exact.synchronous import Chain
from emulator.workload.workload import Workload

LEVEL = 1e-4

PAIR = edge_list([[0, 1]])
RING = cycle(3)
STAR = edge_list([[0, 1], [0, 2], [0, 3]])
COMPLETE = edge_list([[i, j] for j in range(5) for i in range(j)])


system_of = partial(System, horizon=17.0, buffer=2, seed=11)


def z_scores(system, dispatcher, exact, replications):
    """Return the z-scores of drops, completions, presence, discounted drops and the jobs at the last broadcast.

    `exact` solves for given paths; the systems' nodes are added up.
    """
    residuals = []
    for replication in range(replications):
        workload = Workload(system, replication)
        episode = SimpyEngine(system, dispatcher).episode(workload, Traces(epochs=True))
        expected = exact.expected(workload.arrival_rates)
        nodes = len(exact.access)
        scale = system.nodes / nodes
        totals = episode.totals
        present = episode.epochs.queue_length[-1].sum()
        discounts = 0.99 ** np.arange(workload.epochs)
        residuals.append(
            [
                totals.drops - expected.flows[1].sum() * scale,
                totals.completions - expected.completions.sum() * scale,
                totals.presence_time - expected.flows[2].sum() * scale,
                discounts @ totals.drops_by_epoch - expected.discounted_drops() * system.nodes,
                present - expected.queue_lengths[-2].sum() * scale,
            ]
        )
    residuals = np.array(residuals)
    errors = residuals.std(axis=0, ddof=1) / len(residuals) ** 0.5
    # With a single epoch the jobs at its broadcast are 0, and so is every residual.
    return residuals.mean(axis=0) / np.where((residuals == 0).all(axis=0), 1.0, errors)


def assert_agree(system, dispatcher, exact, replications, comparisons):
    scores = z_scores(system, dispatcher, exact, replications)
    limit = stats.norm.isf(LEVEL / 2 / comparisons / len(scores))
    assert np.abs(scores).max() < limit, (name_of(dispatcher), scores.round(2).tolist(), limit)


RULE = [0.1, 0.5, 0.9]
FAST = [0.5, 2.0, 1.0]

CASES = {
    "OWN ring": (system_of(RING, service_rates=FAST), SendToOwn()),
    "RND star": (system_of(STAR), Random()),
    "JSQ ring": (system_of(RING, delta_t=2.0), JoinShortestQueue()),
    "JSQ ring, ties per job": (system_of(RING, delta_t=2.0), JoinShortestQueue(ties="job")),
    "JSQ star": (system_of(STAR, delta_t=3.0, horizon=11.0), JoinShortestQueue()),
    "SED ring": (system_of(RING, service_rates=FAST), ShortestExpectedDelay()),
    "MF-R ring": (system_of(RING), MeanFieldOwn(rule=RULE)),
    "MF-R star": (system_of(STAR, horizon=11.0), MeanFieldOwn(rule=RULE)),
    "RR pair": (system_of(PAIR, delta_t=4.0), RoundRobin()),
    "JSQ-M pair": (system_of(PAIR, delta_t=4.0, service_rates=[1.0, 2.0]), JoinShortestQueueWithMemory("sharing")),
    "hyperexponential pair": (system_of(PAIR, work=Hyperexponential(scv=4.0)), SendToOwn()),
}
"""Several delta_t, most of which do not divide the horizon; equal and unequal service rates."""

MORE_CASES = {
    f"{name_of(dispatcher)} {place} {delta_t:g}": (
        system_of(topology, delta_t=delta_t, service_rates=rates),
        dispatcher,
    )
    for place, topology, rates in (("ring", RING, None), ("ring, unequal", RING, FAST), ("pair", PAIR, [2.0, 0.7]))
    for delta_t in (1.0, 3.0, 25.0)
    for dispatcher in (
        Random(),
        JoinShortestQueue(),
        JoinShortestQueue(ties="job"),
        ShortestExpectedDelay(),
        MeanFieldOwn(rule=RULE),
        *(
            (RoundRobin(), JoinShortestQueueWithMemory(1), JoinShortestQueueWithMemory("sharing"))
            if place == "pair"
            else ()
        ),
    )
}


@pytest.mark.parametrize("case", CASES)
def test_small_systems_follow_their_joint_chain(case):
    system, dispatcher = CASES[case]
    assert_agree(system, dispatcher, Chain(system, dispatcher), 120, len(CASES))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_small_systems_follow_their_joint_chain_closely(case):
    system, dispatcher = CASES[case]
    system = replace(system, seed=12)
    assert_agree(system, dispatcher, Chain(system, dispatcher), 1500, len(CASES))


@pytest.mark.slow
@pytest.mark.parametrize("case", MORE_CASES)
def test_every_dispatcher_follows_its_joint_chain(case):
    system, dispatcher = MORE_CASES[case]
    assert_agree(system, dispatcher, Chain(system, dispatcher), 250, len(MORE_CASES))


REGULAR = {
    "cycle": cycle(40),
    "cube_connected_cycle": cube_connected_cycle(3),
    "torus": torus(6),
    "configuration_model": configuration_model(30, [3], seed=4),
    "complete": COMPLETE,
}
ONE_QUEUE = edge_list(np.empty((0, 2), dtype=int), nodes=1)


@pytest.mark.parametrize("dispatcher", [SendToOwn(), Random()], ids=name_of)
@pytest.mark.parametrize("place", REGULAR)
def test_a_queue_under_own_or_rnd_on_a_regular_graph_is_a_single_queue(place, dispatcher):
    """M/M/1/B with switched arrival rate, by matrix exponential; B = 5."""
    system = system_of(REGULAR[place], delta_t=4.0, horizon=30.0, buffer=5)
    alone = Chain(replace(system, topology=ONE_QUEUE, service_rates=np.ones(1)), SendToOwn())
    assert_agree(system, dispatcher, alone, 30, 2 * len(REGULAR))


@pytest.mark.slow
@pytest.mark.parametrize("delta_t", [1.0, 5.0, 7.0, 60.0])
@pytest.mark.parametrize("dispatcher", [SendToOwn(), Random()], ids=name_of)
@pytest.mark.parametrize("place", REGULAR)
def test_a_regular_graph_at_several_delta_t(place, dispatcher, delta_t):
    system = system_of(REGULAR[place], delta_t=delta_t, horizon=50.0, buffer=5)
    alone = Chain(replace(system, topology=ONE_QUEUE, service_rates=np.ones(1)), SendToOwn())
    assert_agree(system, dispatcher, alone, 150, 8 * len(REGULAR))


def test_own_is_the_same_on_an_irregular_graph_and_rnd_is_not():
    system = system_of(bethe(4, 3), delta_t=5.0, horizon=50.0, buffer=5)
    alone = Chain(replace(system, topology=ONE_QUEUE, service_rates=np.ones(1)), SendToOwn())
    assert_agree(system, SendToOwn(), alone, 30, 1)
    with pytest.raises(AssertionError):
        assert_agree(system, Random(), alone, 30, 1)


@pytest.mark.parametrize(("delta_t", "drops"), [(1.0, 3.4258), (5.0, 3.5144), (10.0, 3.4620)])
def test_known_values_of_the_papers_setting(delta_t, drops):
    """The chain itself, against values worked out elsewhere for B = 5 and 50 ms."""
    system = System(ONE_QUEUE, delta_t, 50.0, 5, np.ones(1))
    assert Chain(system, SendToOwn()).expected().drops_per_queue == pytest.approx(drops, abs=5e-5)


WRONG = {
    "buffer": lambda system: replace(system, buffer=system.buffer + 1),
    "service rates": lambda system: replace(system, service_rates=np.ones(3)),
    "rounded last epoch": lambda system: replace(system, horizon=20.0),
    "delta_t": lambda system: replace(system, delta_t=4.0, horizon=16.0),
    "arrival rates": lambda system: replace(system, arrivals=Switched(high=0.9, low=0.5)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_refused(wrong):
    """The comparison has the power to tell a small mistake from the truth."""
    system, dispatcher = CASES["SED ring"]
    changed = WRONG[wrong](system)
    with pytest.raises(AssertionError):
        assert_agree(system, dispatcher, Chain(changed, dispatcher), 300, 1)


def test_a_wrong_tie_rule_is_refused():
    system, _ = CASES["JSQ ring"]
    with pytest.raises(AssertionError):
        assert_agree(system, JoinShortestQueue(ties="job"), Chain(system, JoinShortestQueue()), 300, 1)
