"""How good a dispatcher is: drops per server and 50 ms, by the law of the epochs that policies are trained with."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from dispatchers.catalogue import make
from dispatchers.contract import Dispatcher
from emulator.model.system import System
from emulator.randomness import SEED_LIMIT
from policies.export import write
from policies.process.dispatched import DispatchedNetworks
from policies.process.networks import Floats

if TYPE_CHECKING:
    import onnx

EVALUATION_SEED = SEED_LIMIT - 1
"""Kept for evaluation, so that no policy was trained on it and all are scored on the same numbers."""

EPISODES = 100
"""Episodes that a policy is scored on."""


def score(dispatcher: Dispatcher, system: System, episodes: int = EPISODES, seed: int = EVALUATION_SEED) -> Floats:
    """Return the drops per server and 50 ms in each episode, as expected from its queues at the epochs' starts.

    An episode is the system's, up to its horizon. The same seed gives the same paths of arrival rates whatever the
    dispatcher is, so differences are paired. Raises `DispatcherError` and `InputError` as `DispatchedNetworks` does.
    """
    networks = DispatchedNetworks(dispatcher, system, copies=episodes, seed=seed)
    networks.reset()
    drops = np.zeros(episodes)
    while not networks.is_over:
        drops += networks.advance().mean(axis=1)
    return drops * 50.0 / system.horizon


def dispatcher_of(model: onnx.ModelProto, name: str) -> Dispatcher:
    """Return the built-in dispatcher of a name with a policy, which goes through a file and the checks of one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        write(path, model)
        return make(name=name, options={"policy": str(path)}).dispatcher
