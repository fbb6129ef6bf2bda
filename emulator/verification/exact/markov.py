"""Markov chains in continuous time, made of what can happen in each state: for ever, and from a state until a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from emulator.errors import InputError
from emulator.verification.exact.expected import Floats

STATE_LIMIT = 20_000

State = TypeVar("State", bound=Hashable)


class Move(NamedTuple, Generic[State]):
    """Something that happens in a state at a rate, what it leads to, and what it counts as, each so many times."""

    rate: float
    state: State
    counts: Mapping[str, float] = {}
    is_arrival: bool = False
    """Whether a profile of arrivals makes it faster or slower."""


@dataclass(frozen=True)
class MarkovChain:
    """A chain on states that are numbered from 0."""

    states: Sequence[Hashable]
    start: Floats
    """The law of the state at time 0."""
    steady: Floats
    """The generator without arrivals: states x states."""
    arriving: Floats
    """The generator of arrivals alone."""
    steady_flows: dict[str, Floats]
    """By name, what is counted per ms in each state, of all but arrivals, and what is there in it."""
    arriving_flows: dict[str, Floats]

    @cached_property
    def generator(self) -> Floats:
        """The generator: states x states."""
        return self.steady + self.arriving

    @cached_property
    def flows(self) -> dict[str, Floats]:
        """By name, what is counted per ms in each state, or how much there is of it."""
        return {name: self.steady_flows[name] + self.arriving_flows[name] for name in self.steady_flows}

    def stationary(self) -> Floats:
        """Return the law of the states in the long run."""
        size = len(self.states)
        equations = np.vstack([self.generator.T, np.ones(size)])
        law, _, rank, _ = np.linalg.lstsq(equations, np.eye(1, size + 1, size)[0], rcond=None)
        if rank < size:
            raise InputError("the chain must have one law in the long run")
        return np.asarray(law)

    def long_run(self) -> dict[str, float]:
        """Return the flows per ms in the long run."""
        law = self.stationary()
        return {name: float(law @ flow) for name, flow in self.flows.items()}

    def until(self, horizon: float) -> dict[str, float]:
        """Return the flows, added up over time from 0 to the horizon (ms)."""
        from scipy.linalg import expm

        size, names = len(self.states), list(self.flows)
        square = np.zeros((size + len(names),) * 2)
        square[:size, :size] = self.generator
        square[:size, size:] = np.array([self.flows[name] for name in names]).T
        return dict(zip(names, (self.start @ expm(square * horizon)[:size, size:]).tolist(), strict=True))

    def under(
        self, rate: Callable[[float], float], horizon: float, breaks: Iterable[float] = ()
    ) -> tuple[dict[str, float], Floats]:
        """Return the same if arrivals are `rate(time)` times as frequent as here, and the law at the horizon.

        Between its breaks the rate is smooth.
        """
        from scipy.integrate import solve_ivp

        size, names = len(self.states), list(self.flows)
        steady = np.column_stack([self.steady, *(self.steady_flows[name] for name in names)])
        arriving = np.column_stack([self.arriving, *(self.arriving_flows[name] for name in names)])
        values = np.concatenate([self.start, np.zeros(len(names))])
        ends = [0.0, *sorted(time for time in breaks if 0.0 < time < horizon), horizon]
        for start, end in pairwise(ends):
            # Never at a break itself, where the rate may jump.
            inside = 1e-12 * (end - start)
            values = solve_ivp(
                lambda time, law, low=start + inside, high=end - inside: (
                    law[:size] @ (steady + rate(min(max(time, low), high)) * arriving)
                ),
                (start, end),
                values,
                method="DOP853",
                rtol=1e-12,
                atol=1e-14,
            ).y[:, -1]
        return dict(zip(names, values[size:].tolist(), strict=True)), values[:size]


def explored(
    starts: Mapping[State, float],
    moves: Callable[[State], Iterable[Move[State]]],
    present: Callable[[State], Mapping[str, float]],
) -> MarkovChain:
    """Return the chain on all states that can be reached from those at time 0, of which the probabilities are given.

    `present` says what there is in each state, such as jobs.
    """
    numbers = {state: number for number, state in enumerate(starts)}
    found: list[tuple[int, Move[State]]] = []
    waiting = list(starts)
    while waiting:
        state = waiting.pop()
        for move in moves(state):
            if move.rate <= 0.0:
                continue
            if move.state not in numbers:
                numbers[move.state] = len(numbers)
                waiting.append(move.state)
            found.append((numbers[state], move))
        if len(numbers) > STATE_LIMIT:
            raise InputError(f"at most {STATE_LIMIT} states can be solved exactly")
    size = len(numbers)
    generators = np.zeros((2, size, size))
    names = {name for _, move in found for name in move.counts} | set(present(next(iter(starts))))
    flows = {name: np.zeros((2, size)) for name in sorted(names)}
    for here, move in found:
        kind = int(move.is_arrival)
        generators[kind, here, numbers[move.state]] += move.rate
        generators[kind, here, here] -= move.rate
        for name, count in move.counts.items():
            flows[name][kind, here] += move.rate * count
    for state, here in numbers.items():
        for name, amount in present(state).items():
            flows[name][0, here] += amount
    steady, arriving = ({name: flow[kind] for name, flow in flows.items()} for kind in (0, 1))
    first = np.array([starts.get(state, 0.0) for state in numbers])
    return MarkovChain(list(numbers), first, generators[0], generators[1], steady, arriving)
