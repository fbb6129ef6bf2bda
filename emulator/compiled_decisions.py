"""Decisions of all schedulers at once: what they observe is numbered, and each distinct observation is asked once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import OWN_TO_A_ROW, Dispatcher, Floats, View
from emulator.compiling import compiled
from emulator.decisions import EpochDraws, ask
from emulator.system import System

LARGEST_TABLE = 2**22
"""Distinct observations that can be told apart by a table; beyond that every scheduler's row is asked every epoch."""

ROWS_AT_ONCE = 2**16
"""Rows that a dispatcher is asked at a time."""


class Decisions:
    """One dispatcher's answers for all schedulers of a system, remembered from epoch to epoch and episode to episode.

    An answer depends only on what the dispatcher has read of its view. So the table of answers starts with one for
    each number of accessible servers; as soon as a dispatcher reads more, observations are told apart by that too.
    """

    def __init__(self, dispatcher: Dispatcher, system: System):
        self.dispatcher = dispatcher
        self.system = system
        self.width = system.topology.max_degree + 1
        self.read: set[str] = set()
        self.answers: Floats = np.empty((0, self.width))
        """Cumulative probabilities, or plans: rows x columns (x fields)."""
        self.row = np.zeros(system.nodes, dtype=np.int32)
        """The row of `answers` that holds for each scheduler."""
        self._tell_apart()

    def decide(self, lengths: NDArray[np.int32], draws: EpochDraws) -> None:
        """Fill `answers` and `row` for an epoch, in which the queues have these lengths."""
        distribution = None
        if self.dispatcher.observes == "all":
            distribution = np.bincount(lengths, minlength=self.system.buffer + 1) / self.system.nodes
            self._forget()
        while not self.each_row:
            new = _number(
                lengths,
                self.system.access_offsets,
                self.system.access,
                self.first,
                self.columns_read,
                self.system.buffer + 1,
                self.table,
                self.known,
                self.row,
                self.representatives,
            )
            if new == 0:
                return
            if self._learn(self.representatives[:new], lengths, draws, distribution):
                return
            self._tell_apart()
        self.row = np.arange(self.system.nodes, dtype=np.int32)
        for start in range(0, self.system.nodes, ROWS_AT_ONCE):
            schedulers = np.arange(start, min(start + ROWS_AT_ONCE, self.system.nodes))
            self._store(start, ask(self.dispatcher, self._view(schedulers, lengths, draws, distribution)))

    def _learn(
        self,
        schedulers: NDArray[np.int64],
        lengths: NDArray[np.int32],
        draws: EpochDraws,
        distribution: Floats | None,
    ) -> bool:
        """Ask for these schedulers; return whether no more was read of their views than observations differ by."""
        for start in range(0, len(schedulers), ROWS_AT_ONCE):
            view = self._view(schedulers[start : start + ROWS_AT_ONCE], lengths, draws, distribution)
            answers = ask(self.dispatcher, view)
            if not view.read <= self.read:
                self.read |= view.read
                return False
            self._store(self.known, answers)
            self.known += len(answers)
        return True

    def _store(self, start: int, answers: Floats) -> None:
        stop = start + len(answers)
        if self.answers.shape[1:] != answers.shape[1:]:
            self.answers = np.empty((0, *answers.shape[1:]))
        if stop > len(self.answers):
            longer = np.empty((max(stop, 2 * len(self.answers)), *answers.shape[1:]))
            longer[:start] = self.answers[:start]
            self.answers = longer
        self.answers[start:stop] = answers

    def _forget(self) -> None:
        self.table[:] = -1
        self.known = 0

    def _tell_apart(self) -> None:
        """Set up the table for what has been read so far."""
        system = self.system
        self.columns_read = self.width if "queue_lengths" in self.read else int("own_lengths" in self.read)
        classes = self._classes()
        seen = np.minimum(self.columns_read, system.topology.degrees + 1)
        _, places, classes = np.unique(classes, return_index=True, return_inverse=True)
        sizes = [min((system.buffer + 1) ** count, LARGEST_TABLE + 1) for count in seen[places].tolist()]
        size = sum(sizes)
        self.first = np.cumsum([0, *sizes[:-1]])[classes]
        """For each scheduler the number of the first observation of its class."""
        own = not self.read.isdisjoint(OWN_TO_A_ROW)
        self.each_row = own or size > LARGEST_TABLE
        """Whether every scheduler is asked in every epoch."""
        self.table = np.full(0 if self.each_row else size, -1, dtype=np.int32)
        self.representatives = np.empty(min(len(self.table), system.nodes), dtype=np.int64)
        self.known = 0

    def _classes(self) -> NDArray[np.int64]:
        """Number the schedulers by what never changes: degree, and rates and sharing if they are read."""
        system = self.system
        classes = np.unique(system.topology.degrees, return_inverse=True)[1]
        fixed = {"service_rates": system.service_rates, "sharing": system.sharing}
        for values in (values for name, values in fixed.items() if name in self.read):
            kinds = np.unique(values, return_inverse=True)[1]
            if not kinds.any():
                continue  # all alike
            for column in range(self.width):
                there = system.topology.degrees >= column
                servers = system.access[system.access_offsets[:-1][there] + column]
                kind = np.zeros(system.nodes, dtype=np.int64)
                kind[there] = kinds[servers] + 1
                classes = np.unique(classes * (kinds.max() + 2) + kind, return_inverse=True)[1]
        return classes

    def _view(
        self,
        schedulers: NDArray[np.int64],
        lengths: NDArray[np.int32],
        draws: EpochDraws,
        distribution: Floats | None,
    ) -> View:
        """Return what some schedulers know at an epoch's start, when all messages have just arrived."""
        system = self.system
        columns = np.arange(self.width)
        accessible = columns <= system.topology.degrees[schedulers, None]
        places = np.where(accessible, system.access_offsets[schedulers, None] + columns, 0)
        servers = system.access[places]

        def padded(values: NDArray[Any], padding: Any, dtype: type) -> NDArray[Any]:
            return np.where(accessible, values, padding).astype(dtype)

        return View(
            queue_lengths=padded(lengths[servers], 0, np.int64),
            service_rates=padded(system.service_rates[servers], 1.0, np.float64),
            accessible=accessible,
            sharing=padded(system.sharing[servers], 1, np.int64),
            buffer=system.buffer,
            delta_t=system.delta_t,
            coins=lambda: draws.coins[schedulers],
            order=lambda: padded(draws.orders[places], columns, np.int64),
            age=lambda: np.zeros(accessible.shape),
            schedulers=schedulers,
            distribution=distribution,
        )


@compiled(nogil=True)
def _number(lengths, offsets, access, first, columns, base, table, known, row, representatives):  # type: ignore[no-untyped-def]
    """Fill in each scheduler's row of answers; return how many observations are new.

    An observation is the scheduler's class, whose first number is in `first`, and the lengths of its first `columns`
    accessible servers. New ones get the next rows, and `representatives` holds a scheduler for each.
    """
    new = 0
    for scheduler in range(len(row)):
        start, stop = offsets[scheduler], offsets[scheduler + 1]
        observation = 0
        for place in range(start, min(start + columns, stop)):
            observation = observation * base + lengths[access[place]]
        observation += first[scheduler]
        if table[observation] < 0:
            table[observation] = known + new
            representatives[new] = scheduler
            new += 1
        row[scheduler] = table[observation]
    return new
