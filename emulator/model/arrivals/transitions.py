"""The transitions of Markovian arrival processes, in compiled code.

A scheduler's transition i is drawn at the address (scheduler, i, 0, MAP): how long it takes, whether it brings an
arrival, and to which state it leads. The first state is that of the scheduler's own chain, see `chain.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from emulator.randomness import MAP, MODULATION, exponential, philox

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class TransitionsState(NamedTuple):
    """Where each scheduler's chain stands."""

    transition: Integers
    """The number of the next one."""
    state: Integers
    clock: Floats
    """When the last one was, ms."""


class Transitions(NamedTuple):
    """A Markovian arrival process for each scheduler."""

    mean: Floats
    """Mean time in each state, ms."""
    share: Floats
    """Probability that what ends it brings an arrival."""
    silent: Floats
    """First the start's, then of each state, probability that a transition without an arrival leads to at most each."""
    loud: Floats
    """The same of transitions with an arrival, from each state."""
    weight: Floats
    """Of each scheduler."""
    horizon: float
    seed: np.uint64
    replication: np.uint64

    def state(self) -> TransitionsState:
        """See `Stream.state`."""
        transition, state = np.zeros((2, len(self.weight)), dtype=np.int64)
        return TransitionsState(transition, state, np.zeros(len(self.weight)))

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """See `Stream.compiled_gap`; a transition has its own numbers."""

        def gap(stream: Any, bits: Any, more: Any) -> Any:
            return 0.0

        return gap

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `Stream.compiled_time`."""

        def next_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
            seed, replication, weight = stream.seed, stream.replication, stream.weight[scheduler]
            here, i, clock = state.state[scheduler], state.transition[scheduler], state.clock[scheduler]
            if i == 0:
                _, _, _, word = philox(scheduler + 1, 0, 0, MODULATION, seed, replication)
                coin = np.float64(np.int64(word)) * 2.0**-32
                here = 0
                while coin >= stream.silent[0, here]:
                    here += 1
            is_arrival = False
            while not is_arrival and clock < stream.horizon:
                a, b, c, word = philox(scheduler, i, 0, MAP, seed, replication)
                clock += exponential((a << uint64(16)) | (b >> uint64(16))) * stream.mean[here] / weight
                which = np.float64(np.int64(((b & uint64(0xFFFF)) << uint64(32)) | c)) * 2.0**-48
                coin = np.float64(np.int64(word)) * 2.0**-32
                is_arrival = which < stream.share[here]
                there = 0
                if is_arrival:
                    while coin >= stream.loud[here, there]:
                        there += 1
                else:
                    while coin >= stream.silent[here + 1, there]:
                        there += 1
                here = there
                i += 1
            state.state[scheduler], state.transition[scheduler], state.clock[scheduler] = here, i, clock
            return clock if is_arrival else np.inf

        return next_time
