"""How good a dispatcher is: drops per server and 50 ms, by the law of the epochs that policies are trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dispatchers.catalogue import make
from dispatchers.contract import Dispatcher
from dispatchers.view import Floats
from emulator.model.system import System
from emulator.randomness import SEED_LIMIT
from emulator.results.measures import REFERENCE_TIME
from policies.export import loaded
from policies.process.dispatched import DispatchedNetworks

if TYPE_CHECKING:
    import onnx

EVALUATION_SEED = SEED_LIMIT - 1
"""Kept for evaluation, so that no policy was trained on it and all are scored on the same numbers."""

EPISODES = 100
"""Episodes that a policy is scored on."""


def score(dispatcher: Dispatcher, system: System, episodes: int = EPISODES, seed: int = EVALUATION_SEED) -> Floats:
    """See `policies.score`."""
    networks = DispatchedNetworks(dispatcher, system, copies=episodes, seed=seed)
    networks.reset()
    drops = np.zeros(episodes)
    while not networks.is_over:
        drops += networks.advance().mean(axis=1)
    return drops * REFERENCE_TIME / system.horizon


def dispatcher_of(model: onnx.ModelProto, name: str) -> Dispatcher:
    """Return the built-in dispatcher of a name with a policy, which goes through a file and the checks of one."""
    return loaded(model, lambda path: make(name=name, options={"policy": str(path)}).dispatcher)
