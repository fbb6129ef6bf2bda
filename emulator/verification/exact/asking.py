"""Dispatchers are asked as an engine would ask them, about one scheduler and what it knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher, PerJobDispatcher, RecurrentDispatcher, name_of
from dispatchers.view import View
from emulator.errors import InputError
from emulator.model.system import System

Answer = tuple[float, ...]
"""The probability of each accessible server."""

UNTOLD = -1
"""In the place of a length that nobody has told: the queue is taken as empty, as all were at first, its rate as 1."""


class Asked:
    """A dispatcher in a system; of the system only numbers and the access lists are read."""

    def __init__(self, system: System, dispatcher: Dispatcher):
        if isinstance(dispatcher, RecurrentDispatcher):
            raise InputError(f"{name_of(dispatcher)} carries numbers from decision to decision: not solved exactly")
        self.system, self.dispatcher = system, dispatcher
        self.access: list[NDArray[np.int32]] = np.split(system.access.servers, system.access.offsets[1:-1])

    def view(self, known: Sequence[Sequence[int]], lengths: NDArray[np.int64] | None = None) -> View:
        """Return what schedulers see that know these lengths (one list each, by column), and all `lengths` if given."""
        width = max(map(len, self.access))
        rates = [
            [1.0 if length == UNTOLD else float(self.system.service_rates[server]) for server, length in pairs]
            for pairs in (zip(servers, row, strict=True) for servers, row in zip(self.access, known, strict=True))
        ]

        def padded(rows: Sequence[Sequence[float]], padding: float) -> NDArray[np.generic]:
            return np.array([[*row, *[padding] * (width - len(row))] for row in rows])

        told: dict[str, Any] = {} if lengths is None else {"distribution": self._distribution(lengths)}
        return View(
            has_own=self.system.access.has_own,
            queue_lengths=padded([[max(length, 0) for length in row] for row in known], 0),
            service_rates=padded(rates, 1.0),
            accessible=padded([[True] * len(servers) for servers in self.access], False),
            sharing=padded([self.system.access.sharing[servers].tolist() for servers in self.access], 1),
            buffer=self.system.buffer,
            delta_t=self.system.delta_t,
            coins=np.full(len(self.access), math.nan),
            order=np.zeros((len(self.access), width), dtype=np.int64),
            age=np.zeros((len(self.access), width)),
            schedulers=np.arange(len(self.access)),
            **told,
        )

    def _distribution(self, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(lengths, minlength=self.system.buffer + 1) / len(lengths)

    def plans(self, view: View) -> list[NDArray[np.float64]]:
        """Return each scheduler's plan of a rule with memory: its columns x fields."""
        assert isinstance(self.dispatcher, PerJobDispatcher)
        plan = self.dispatcher.plan(view)
        self._check(view)
        return [plan[i, : len(servers)] for i, servers in enumerate(self.access)]

    def laws(self, view: View) -> list[dict[Answer, float]]:
        """Return for each scheduler how likely it is to send its jobs so, until it decides again."""
        rows = self.dispatcher.route(view)
        self._check(view)
        return [self._choices(rows[i, : len(servers)]) for i, servers in enumerate(self.access)]

    @lru_cache(maxsize=2**16)  # noqa: B019 (lives as long as what is solved)
    def law_of(self, scheduler: int, known: tuple[int, ...]) -> tuple[dict[Answer, float], frozenset[str]]:
        """Return the same for one scheduler that knows these lengths, by column, and what it read of the view."""
        if isinstance(self.dispatcher, PerJobDispatcher):
            raise InputError(f"{name_of(self.dispatcher)} has memory, and is solved for synchronous broadcasts alone")
        nothing = [[0] * len(servers) for servers in self.access]
        view = self.view([list(known) if i == scheduler else row for i, row in enumerate(nothing)])
        return self.laws(view)[scheduler], frozenset(view.read)

    def columns(self, scheduler: int) -> list[int]:
        """Return the columns of which a scheduler's rule wants to know the length."""
        count = len(self.access[scheduler])
        read: set[str] = set()
        for known in product(range(self.system.buffer + 1), repeat=count):
            read |= self.law_of(scheduler, known)[1]
        reads_all = "queue_lengths" in read or ("service_rates" in read and self.has_unequal_rates)
        return list(range(count if reads_all else 1 if "own_lengths" in read else 0))

    @property
    def has_unequal_rates(self) -> bool:
        """Whether a server's message tells a rate that was not known."""
        return bool((self.system.service_rates != 1.0).any())

    def _choices(self, probabilities: NDArray[np.float64]) -> dict[Answer, float]:
        if self.dispatcher.draws == "job":
            return {tuple(probabilities.tolist()): 1.0}
        return {
            tuple(np.eye(len(probabilities))[column].tolist()): probability
            for column, probability in enumerate(probabilities.tolist())
            if probability > 0
        }

    def _check(self, view: View) -> None:
        if not view.reusable:
            raise InputError(f"{name_of(self.dispatcher)} reads coins, orders or ages, which is not solved exactly")
