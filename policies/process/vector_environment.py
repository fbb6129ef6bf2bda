"""The decision process as stable-baselines3 takes it: one row per copy of the network, or one per scheduler."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from dispatchers.view import Floats
from policies.process.networks import Observation, ParallelNetworks


class NetworksEnvironment(VecEnv):
    """Copies of a network, an epoch a step; an episode is followed by the next. What a row is, subclasses say."""

    render_mode = None

    def __init__(self, networks: ParallelNetworks, rows: int, networks_per_row: int = 1):
        self.networks = networks
        self.networks_per_row = networks_per_row
        self.drops = 0.0
        """Expected drops per node of the last epoch, mean over all copies."""
        lengths = networks.system.buffer + 1
        super().__init__(
            rows,
            spaces.Box(0.0, 1.0, (lengths,), np.float32),
            spaces.Box(-1.0, 1.0, (lengths,), np.float32),
        )

    @abstractmethod
    def observe(self) -> NDArray[np.float32]:
        """Return what each row observes."""

    @abstractmethod
    def offload(self, probabilities: Floats) -> Floats:
        """Return each scheduler's probability of offloading, copies x nodes, from what the rows decided."""

    @abstractmethod
    def rewards(self, drops: Floats) -> Floats:
        """Return each row's reward for the expected drops of an epoch, copies x nodes."""

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode and return the first observations."""
        self.networks.reset()
        return self.observe()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of `step_wait`: on [-1, 1], the probability being `(action + 1) / 2`."""
        self.actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance by one epoch; at an episode's end the observation is the next one's first."""
        offload = self.offload((self.actions.astype(np.float64) + 1.0) / 2.0)
        drops = self.networks.step(offload)
        self.drops = float(drops.mean())
        rewards = self.rewards(drops).astype(np.float32)
        over = np.full(self.num_envs, self.networks.is_over)
        if self.networks.is_over:
            self.networks.reset()
        return self.observe(), rewards, over, [{}] * self.num_envs

    def centred(self, rewards: Floats) -> Floats:
        """Subtract from each row's reward the mean over the rows that share its path, if there are several networks."""
        if self.networks.copies_per_path == self.networks_per_row:
            return rewards
        groups = rewards.reshape(self.networks.copies // self.networks.copies_per_path, -1)
        return (groups - groups.mean(axis=1, keepdims=True)).ravel()

    # What follows is asked of every VecEnv; there are no environments inside whose attributes could be meant.

    def close(self) -> None:
        """See `VecEnv`."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """See `VecEnv`."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

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


class VectorEnvironment(NetworksEnvironment):
    """The upper-level decision process of section 1.4: a row is a network, or several that have one decision rule.

    Action (float32, buffer + 1): the decision rule that all schedulers follow. The paper has two numbers per queue
    length, divided by their sum; one will do. Observation (float32, buffer + 1), by `observation`:

    - `all`: the empirical distribution of the queue lengths in the row's networks, as in Algorithm 1.
    - `own`: the one-hot of a queue length drawn uniformly, anew each epoch, as MF-R feeds the policy. It tells nothing
      of the network, so all answers become, but for chance, the best rule that knows the own length alone.

    Reward: minus the expected drops per node in the epoch, centred over the rows that share a path of arrival rates.
    """

    def __init__(self, networks: ParallelNetworks, observation: Observation, networks_per_row: int = 1):
        self.observation = observation
        super().__init__(networks, networks.copies // networks_per_row, networks_per_row)

    def observe(self) -> NDArray[np.float32]:
        """See `NetworksEnvironment.observe`."""
        lengths = self.networks.system.buffer + 1
        if self.observation == "all":
            shares = self.networks.distributions().reshape(self.num_envs, self.networks_per_row, lengths)
            return shares.mean(axis=1).astype(np.float32)
        coins = self.networks.coins()[:: self.networks_per_row]
        return np.eye(lengths, dtype=np.float32)[(coins * lengths).astype(np.int64)]

    def offload(self, probabilities: Floats) -> Floats:
        """See `NetworksEnvironment.offload`."""
        return self.networks.follow(np.repeat(probabilities, self.networks_per_row, axis=0))

    def rewards(self, drops: Floats) -> Floats:
        """See `NetworksEnvironment.rewards`."""
        return self.centred(-drops.reshape(self.num_envs, -1).mean(axis=1))


class SchedulersEnvironment(NetworksEnvironment):
    """Parameter sharing (NA-PS of section 2.2): a row is a scheduler of a copy, and all learn one policy.

    Observation (float32, buffer + 1): the one-hot of the own queue length. Action (float32, buffer + 1): the decision
    rule, of which the entry for that length is followed. Reward: minus the expected drops among the jobs that the
    scheduler itself has sent: with those in its own queue, agents would offload everything.
    """

    def __init__(self, networks: ParallelNetworks):
        super().__init__(networks, networks.copies * networks.system.nodes)

    def observe(self) -> NDArray[np.float32]:
        """See `NetworksEnvironment.observe`."""
        return np.eye(self.networks.system.buffer + 1, dtype=np.float32)[self.networks.queue_lengths.ravel()]

    def offload(self, probabilities: Floats) -> Floats:
        """See `NetworksEnvironment.offload`."""
        own = self.networks.queue_lengths.ravel()
        return probabilities[np.arange(len(own)), own].reshape(self.networks.copies, -1)

    def rewards(self, drops: Floats) -> Floats:
        """See `NetworksEnvironment.rewards`."""
        return self.centred(-self.networks.dispatched_drops(drops).ravel())
