"""The answers of one dispatcher to single schedulers: known by number of what they observe, or asked for.

What a scheduler observes is numbered as `emulator.engines.compiled.numbering` does it for all at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher
from dispatchers.view import Floats
from emulator.engines.compiled.numbering import LARGEST_TABLE, LASTING, NUMBERED
from emulator.engines.compiled.world import Table, World
from emulator.engines.observations import DrawsOfDecisions, Observations
from emulator.model.system import System
from emulator.workload.workload import Workload

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]

MOST = 2**16
"""Rows of answers that are kept beside those that hold."""


class OnDemand(Observations):
    """One dispatcher's answers for single schedulers, remembered from decision to decision and episode to episode."""

    def __init__(self, dispatcher: Dispatcher, system: System):
        super().__init__(dispatcher, system)
        self.schedulers = system.access.scheduler_count
        self.base = system.buffer + (2 if (system.service_rates != 1.0).any() else 1)
        """How many different things a scheduler can know of a server: a length, or, if rates differ, nothing yet."""
        self.columns = np.arange(system.access.width)
        self.numbers: Floats = np.empty((0, len(self.columns)))
        """Cumulative probabilities, or plans: rows x columns (x fields)."""
        self.known = 0
        """Rows of `numbers` in use."""
        self.equal: dict[bytes, int] = {}
        """The row of each answer: many observations have the same, and few rows stay in a cache."""
        self.each = False
        """Whether every decision is asked, so that row i is scheduler i's."""
        self.carried = np.zeros((self.schedulers, self.hidden))
        """What each scheduler carries to its next decision."""
        self.distributions: list[Floats] = []
        """The shares of lengths that the monitor saw at the start of each epoch."""
        self.empty = np.append(1.0, np.zeros(system.buffer))
        self._tell_apart()

    def begin(self, world: World, workload: Workload) -> None:
        """Begin an episode in its world."""
        self.world = world
        self.carried[:] = 0.0
        self.distributions.clear()
        draws, rates = DrawsOfDecisions(workload), self.system.service_rates
        access, buffer, decisions = self.system.access, self.system.buffer, world.schedulers["decisions"]
        self.makers |= {
            "coins": lambda schedulers: np.array([draws.coin(one, int(decisions[one])) for one in schedulers.tolist()]),
            "order": lambda places: self._order(draws, places),
            "queue_lengths": lambda places: np.where(world.known[places] > buffer, 0, world.known[places]),
            "service_rates": lambda places: np.where(world.known[places] > buffer, 1.0, rates[access.servers[places]]),
            "age": lambda places: world.asked_at[0] - world.sampled[places],
            "hidden": lambda schedulers: self.carried[schedulers],
            "distribution": lambda schedulers: self._distribution(int(world.heard_of[schedulers[0]])),
        }
        if self.is_global:
            self._forget()

    def _order(self, draws: DrawsOfDecisions, places: Integers) -> Integers:
        """Return the order drawn for the decision of the only scheduler of a view, padded."""
        scheduler = int(np.searchsorted(self.system.access.offsets, places[0, 0], side="right")) - 1
        order = np.zeros(places.shape, dtype=np.int64)
        drawn = draws.order(scheduler, int(self.world.schedulers["decisions"][scheduler]))
        order[0, : len(drawn)] = drawn
        return order

    def _distribution(self, number: int) -> Floats:
        return self.distributions[number] if number >= 0 else self.empty

    def note_distribution(self, lengths: Indices) -> None:
        """Take note of all lengths at an epoch's start."""
        self.distributions.append(np.bincount(lengths, minlength=self.system.buffer + 1) / len(lengths))

    def table(self) -> Table:
        """Return what the walk needs to find answers."""
        return Table(
            self.first, self.columns_read, self.base, self.row, self.version, self.each, all_count=self.hidden > 0
        )

    def learn(self, scheduler: int) -> int:
        """Ask for a scheduler, which is about to decide, and return the row of the answer."""
        view = self.view(np.array([scheduler]))
        answer = self.answer(view)
        if not view.read <= self.read:
            self.read |= view.read
            self._tell_apart()
        if self.hidden:
            self.carried[scheduler] = answer.hidden[0]
        if len(self.numbers) == 0 or self.each or self.known == len(self.numbers):
            self._make_room(answer.numbers)
        if self.each:
            self.numbers[scheduler] = answer.numbers[0]
            return scheduler
        row = self.equal.setdefault(answer.numbers[0].tobytes(), self.known)
        if row == self.known:
            self.numbers[row] = answer.numbers[0]
            self.known += 1
        observation = self._observation(scheduler)
        self.row[observation] = row
        if self.is_global:
            self.version[observation] = self.world.heard_of[scheduler]
        return row

    def _make_room(self, like: Floats) -> None:
        """Make the table of answers longer, or keep of it the rows that hold for schedulers."""
        shape = like.shape[1:]
        holds: Any = self.world.schedulers["row"]
        if len(self.numbers) == 0:
            self.numbers = np.empty((self.schedulers if self.each else 64, *shape))
            return
        if self.each:
            if self.known >= 0:
                self._keep_what_holds(holds)
                self.known = -1
        elif self.known >= max(MOST, 4 * self.schedulers):
            self._keep_what_holds(holds)
            self.numbers = np.concatenate([self.numbers, np.empty((3 * self.schedulers + 1, *shape))])
            self.known = self.schedulers
            self._forget()
        else:
            self.numbers = np.concatenate([self.numbers, np.empty_like(self.numbers)])

    def _keep_what_holds(self, holds: Any) -> None:
        self.numbers = self.numbers[holds]
        self.equal.clear()
        holds[:] = np.arange(self.schedulers)

    def _observation(self, scheduler: int) -> int:
        """Return the number of what a scheduler observes."""
        offsets = self.system.access.offsets
        number = 0
        for known in self.world.known[offsets[scheduler] : offsets[scheduler + 1]][: self.columns_read].tolist():
            number = number * self.base + known
        return number + int(self.first[scheduler])

    def _tell_apart(self) -> None:
        """Number what schedulers can observe, by what has been read so far."""
        self.columns_read = int("own_lengths" in self.read)
        if "queue_lengths" in self.read or ("service_rates" in self.read and self.base > self.system.buffer + 1):
            self.columns_read = len(self.columns)
        _, places, classes = np.unique(self._classes(), return_index=True, return_inverse=True)
        seen = np.minimum(self.columns_read, self.counts)[places]
        sizes = [min(self.base**count, LARGEST_TABLE + 1) for count in seen.tolist()]
        self.first = np.cumsum([0, *sizes[:-1]])[classes]
        """For each scheduler the number of the first observation of its class."""
        self.observations = sum(sizes)
        self.each = self.hidden > 0 or not self.read <= NUMBERED or self.observations > LARGEST_TABLE
        self._forget()

    def _forget(self) -> None:
        """Let no answer be known."""
        self.row = np.full(0 if self.each else self.observations, -1, dtype=np.int32)
        """The row of the answer to each observation, -1 if it has not been asked."""
        self.version = np.zeros(len(self.row) if self.is_global else 0, dtype=np.int32)
        """Which distribution was known when each observation was asked."""

    def _classes(self) -> Integers:
        """Number the schedulers by what never changes: how many servers they access, and what is read of these."""
        access, indices = self.system.access, np.arange(self.schedulers)
        if "schedulers" in self.read:
            return indices
        classes = np.unique(self.counts, return_inverse=True)[1]
        of_servers = {"service_rates": self.system.service_rates, "sharing": access.sharing}
        for values in (of_servers[name] for name in sorted(self.read & LASTING)):
            kinds = np.unique(values, return_inverse=True)[1]
            if not kinds.any():
                continue  # all alike
            for column in self.columns.tolist():
                there = self.counts > column
                kind = np.zeros(self.schedulers, dtype=np.int64)
                kind[there] = kinds[access.servers[access.offsets[:-1][there] + column]] + 1
                classes = np.unique(classes * (kinds.max() + 2) + kind, return_inverse=True)[1]
        return np.asarray(classes)
