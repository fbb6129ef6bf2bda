"""The decision process as stable-baselines3 takes it; needs the extra `train`."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from scipy import stats  # noqa: E402

from emulator.model.system import System  # noqa: E402
from emulator.model.topologies import torus  # noqa: E402
from policies.process.networks import ParallelNetworks  # noqa: E402
from policies.process.vector_environment import SchedulersEnvironment, VectorEnvironment  # noqa: E402

BUFFER = 5


SYSTEM = System(torus(3), horizon=20.0)


def make_environment(observation, *, copies=12, copies_per_path=1):
    networks = ParallelNetworks(SYSTEM, copies=copies, seed=1, copies_per_path=copies_per_path)
    return VectorEnvironment(networks, observation)


def test_the_reward_is_minus_the_drops():
    environment = make_environment("all")
    twin = make_environment("all").networks
    environment.reset()
    twin.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (12, BUFFER + 1)).astype(np.float32)
    for _ in range(4):
        _, rewards, over, _ = environment.step(actions)
        expected = -twin.step(twin.follow((actions.astype(float) + 1) / 2)).mean(axis=1)
        np.testing.assert_allclose(rewards, expected, rtol=1e-6)
        assert over.all() == over.any() == twin.is_over
    assert twin.is_over


def test_centred_rewards_differ_by_the_groups_mean_alone():
    environment = make_environment("all", copies_per_path=4)
    environment.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (12, BUFFER + 1)).astype(np.float32)
    twin = make_environment("all", copies_per_path=4).networks
    twin.reset()
    for _ in range(2):
        _, rewards, _, _ = environment.step(actions)
        drops = twin.step(twin.follow((actions.astype(float) + 1) / 2)).mean(axis=1)
    groups = rewards.reshape(3, 4)
    np.testing.assert_allclose(groups.sum(axis=1), 0.0, atol=1e-6)
    shift = groups + drops.reshape(3, 4)
    np.testing.assert_allclose(shift, shift[:, :1] * np.ones(4), rtol=1e-5)
    assert np.ptp(groups) > 0


def test_a_row_of_several_networks_is_one_larger_network():
    networks = ParallelNetworks(SYSTEM, copies=12, seed=1, copies_per_path=3)
    joined = VectorEnvironment(networks, "all", 3)
    twin = ParallelNetworks(SYSTEM, copies=12, seed=1, copies_per_path=3)
    joined.reset()
    twin.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (4, BUFFER + 1)).astype(np.float32)
    observed, rewards, _, _ = joined.step(actions)
    drops = twin.step(twin.follow((np.repeat(actions, 3, axis=0).astype(float) + 1) / 2))
    np.testing.assert_allclose(observed, twin.distributions().reshape(4, 3, -1).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(rewards, -drops.reshape(4, -1).mean(axis=1), rtol=1e-6)


def test_schedulers_that_share_a_policy_follow_their_own_entry_and_answer_for_their_own_jobs():
    environment = SchedulersEnvironment(ParallelNetworks(SYSTEM, copies=2, seed=1))
    twin = ParallelNetworks(SYSTEM, copies=2, seed=1)
    twin.reset()
    observed = environment.reset()
    generator = np.random.default_rng(1)
    for _ in range(3):
        np.testing.assert_array_equal(observed.argmax(axis=1), twin.queue_lengths.ravel())
        actions = generator.uniform(-1, 1, (18, BUFFER + 1)).astype(np.float32)
        own = (actions[np.arange(18), twin.queue_lengths.ravel()].astype(float).reshape(2, 9) + 1) / 2
        drops = twin.step(own)
        observed, rewards, _, _ = environment.step(actions)
        for copy in range(2):
            share = drops[copy] / twin.received[copy]
            for node in range(9):
                graph = twin.system.topology
                others = graph.neighbours[graph.offsets[node] : graph.offsets[node + 1]]
                kept = (1 - own[copy, node]) * share[node]
                sent = kept + own[copy, node] * share[others].mean()
                expected = -twin.arrival_rates[copy, twin.epoch - 1] * sent
                assert rewards.reshape(2, 9)[copy, node] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        twin.dispatched_drops(drops).sum(axis=1), drops.sum(axis=1), rtol=1e-9
    )  # every job that is dropped has been sent by somebody


def test_all_observes_the_distribution_of_each_copy():
    environment = make_environment("all")
    np.testing.assert_array_equal(environment.reset(), np.tile(np.eye(BUFFER + 1)[0], (12, 1)))
    observed, _, _, _ = environment.step(np.zeros((12, BUFFER + 1), dtype=np.float32))
    np.testing.assert_array_equal(observed, environment.networks.distributions().astype(np.float32))
    assert observed.dtype == np.float32


def test_own_observes_a_one_hot_that_every_queue_length_has_an_equal_share_of():
    environment = make_environment("own", copies=1200)
    observed = [environment.reset()]
    for _ in range(4):  # into the next episode
        observed.append(environment.step(np.zeros((1200, BUFFER + 1), dtype=np.float32))[0])
    assert {row.tobytes() for rows in observed for row in rows} == {row.tobytes() for row in np.eye(6, dtype="f4")}
    assert all(stats.chisquare(rows.sum(axis=0)).pvalue > 1e-6 for rows in observed)
    assert len({rows.tobytes() for rows in observed}) == 5


def test_an_episode_that_ends_is_followed_by_the_next():
    environment = make_environment("all")
    environment.reset()
    for epoch in range(8):
        _, _, over, infos = environment.step(np.zeros((12, BUFFER + 1), dtype=np.float32))
        assert over.all() == (epoch % 4 == 3)
        assert infos == [{}] * 12
    assert environment.networks.episode == 2
