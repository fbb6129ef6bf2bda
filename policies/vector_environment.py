"""The decision process as stable-baselines3 takes it: one row per copy of the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from policies.environment import ParallelNetworks
from policies.presets import Observation


class VectorEnvironment(VecEnv):
    """The upper-level decision process of section 1.4, one row per copy.

    Action (float32, buffer + 1, on [-1, 1]): the decision rule, the offload probability for each own queue
    length being `(action + 1) / 2`. The paper has two numbers per length, divided by their sum; one will do.

    Observation (float32, buffer + 1), by `observation`:

    - `all`: the empirical distribution of the queue lengths, Algorithm 1 to the letter.
    - `own`: the one-hot of a queue length drawn uniformly, anew each epoch. Observations like these are what
      MF-R feeds the policy, scheduler by scheduler, and it joins its rule from one entry of each answer.
      Drawn like this they tell nothing of the network, so the answers all become the same rule: the best one
      that knows nothing but the own queue length.

    Reward: minus the expected drops per node in the epoch, centred by the mean over the copies that share
    a path of arrival rates, if any do.
    """

    def __init__(self, networks: ParallelNetworks, observation: Observation):
        self.networks = networks
        self.observation = observation
        lengths = networks.system.buffer + 1
        super().__init__(
            networks.copies,
            spaces.Box(0.0, 1.0, (lengths,), np.float32),
            spaces.Box(-1.0, 1.0, (lengths,), np.float32),
        )

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode and return the first observations."""
        self.networks.reset()
        return self._observe()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of `step_wait`."""
        self.actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance by one epoch; at an episode's end the observation is the next one's first."""
        rules = (self.actions.astype(np.float64) + 1.0) / 2.0
        self.drops = self.networks.step(self.networks.follow(rules))
        rewards = -self.drops
        if self.networks.copies_per_path > 1:
            groups = rewards.reshape(-1, self.networks.copies_per_path)
            rewards = (groups - groups.mean(axis=1, keepdims=True)).ravel()
        over = np.full(self.num_envs, self.networks.is_over)
        if self.networks.is_over:
            self.networks.reset()
        return self._observe(), rewards.astype(np.float32), over, [{} for _ in range(self.num_envs)]

    def _observe(self) -> NDArray[np.float32]:
        if self.observation == "all":
            return self.networks.distributions().astype(np.float32)
        lengths = self.networks.system.buffer + 1
        return np.eye(lengths, dtype=np.float32)[(self.networks.coins() * lengths).astype(np.int64)]

    # What follows is asked of every VecEnv; there are no environments inside whose attributes could be meant.

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """See `VecEnv`."""
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """See `VecEnv`."""
        raise AttributeError(attr_name)

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any
    ) -> list[Any]:
        """See `VecEnv`."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """See `VecEnv`."""
        return [False for _ in self._get_indices(indices)]
