# ruff: noqa: E402
"""The decision process as a Gymnasium environment."""

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from emulator.model.system import System
from emulator.model.topologies import torus
from policies.process.gymnasium_environment import LoadBalancing
from policies.process.networks import ParallelNetworks


def system():
    return System(torus(4), 5.0, 23.0, 3)


@pytest.mark.filterwarnings("ignore")
def test_gymnasiums_own_checker_is_content():
    check_env(LoadBalancing(system()), skip_render_check=True)


def played(environment, rule, **options):
    observation, info = environment.reset(**options)
    steps = [(observation, 0.0, info)]
    over = False
    while not over:
        observation, reward, over, truncated, info = environment.step(rule)
        assert not truncated
        steps.append((observation, reward, info))
    return steps


def test_an_episode_is_that_of_the_networks():
    rule = np.array([0.1, 0.5, 0.8, 1.0], dtype=np.float32)
    steps = played(LoadBalancing(system()), rule, seed=5)
    networks = ParallelNetworks(system(), copies=1, seed=5)
    networks.reset()
    for number, (observation, _, info) in enumerate(steps[:-1]):
        assert np.array_equal(observation, networks.distributions()[0].astype(np.float32))
        assert info == {"arrival_rate": networks.arrival_rates[0, number]}
        drops = networks.step(networks.follow(rule.astype(np.float64)[None, :]))
        assert steps[number + 1][1] == -drops.mean()
    assert networks.is_over
    assert len(steps) == 6
    assert steps[-1][2] == {}


def test_seeds_repeat_and_episodes_differ():
    environment = LoadBalancing(system())
    rule = np.full(4, 0.5, dtype=np.float32)
    first, second = played(environment, rule, seed=1), played(environment, rule)
    again, other = played(environment, rule, seed=1), played(environment, rule, seed=2)
    rewards = [[reward for _, reward, _ in steps] for steps in (first, again, second, other)]
    assert rewards[0] == rewards[1]
    assert len({tuple(values) for values in rewards}) == 3


def test_what_is_no_rule_or_comes_too_late_is_refused():
    environment = LoadBalancing(system())
    with pytest.raises(RuntimeError, match="reset comes before step"):
        environment.step(np.zeros(4, np.float32))
    environment.reset(seed=1)
    for action in (np.full(4, np.nan), np.zeros(3), np.zeros(5)):
        with pytest.raises(ValueError, match="an action must be 4 numbers"):
            environment.step(action)
    played(environment, np.zeros(4, np.float32))
    with pytest.raises(RuntimeError, match="after an episode's end"):
        environment.step(np.zeros(4, np.float32))
