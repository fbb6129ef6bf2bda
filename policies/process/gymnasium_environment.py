"""The decision process of section 1.4 as a Gymnasium environment, for any library that learns from one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from emulator.model.system import System
from emulator.randomness import SEED_LIMIT
from policies.process.networks import ParallelNetworks


class LoadBalancing(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One network from empty queues to its horizon, an epoch a step.

    Action (float32, buffer + 1, on [0, 1]): the decision rule, the probability of offloading for each own queue length.
    Observation (float32, buffer + 1): the empirical distribution of all queue lengths. Reward: minus the expected drops
    per node in the epoch. `info` holds the arrival rate of the epoch that begins, jobs per ms.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, system: System):
        self.system = system
        lengths = system.buffer + 1
        self.observation_space = spaces.Box(0.0, 1.0, (lengths,), np.float32)
        self.action_space = spaces.Box(0.0, 1.0, (lengths,), np.float32)
        self.networks: ParallelNetworks | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; with a seed the first one of that seed, else the next one."""
        super().reset(seed=seed)
        if seed is not None or self.networks is None:
            number = int(self.np_random.integers(SEED_LIMIT)) if seed is None else seed % SEED_LIMIT
            self.networks = ParallelNetworks(self.system, copies=1, seed=number)
        self.networks.reset()
        return self._seen(self.networks)

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Apply a decision rule for one epoch; the horizon terminates. Raises `ValueError` and `RuntimeError`."""
        networks = self.networks
        if networks is None or networks.is_over:
            raise RuntimeError("reset comes before step, and after an episode's end")
        rule = np.clip(np.asarray(action, dtype=np.float64), 0.0, 1.0)
        if rule.shape != self.action_space.shape or np.isnan(rule).any():
            raise ValueError(f"an action must be {self.system.buffer + 1} numbers, got {action}")
        drops = float(networks.step(networks.follow(rule[None, :])).mean())
        observation, info = self._seen(networks)
        return observation, -drops, networks.is_over, False, info

    @staticmethod
    def _seen(networks: ParallelNetworks) -> tuple[NDArray[np.float32], dict[str, Any]]:
        info = {} if networks.is_over else {"arrival_rate": float(networks.arrival_rates[0, networks.epoch])}
        return networks.distributions()[0].astype(np.float32), info
