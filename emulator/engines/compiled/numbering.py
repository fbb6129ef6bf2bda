"""Observations of all schedulers at once are numbered; a new one is asked once for all that observe the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatchers.choice import Answer
from dispatchers.contract import Dispatcher
from dispatchers.view import BY_SERVER, FIELDS, Floats, distinct
from emulator.engines.observations import EpochDraws, Observations
from emulator.machine.compiling import compiled
from emulator.model.system import System

LARGEST_TABLE = 2**22
"""Distinct observations that can be told apart by a table; beyond that every scheduler's row is asked every epoch."""

ROWS_AT_ONCE = 2**16
"""Rows that a dispatcher is asked at a time."""

LASTING = frozenset(
    name for name, field in FIELDS.items() if field.shape == BY_SERVER and field.lasts and name != "accessible"
)
"""Fields of servers that never change, attributes of a `System`: once read, they put schedulers into classes."""

NUMBERED = LASTING | {"accessible", "schedulers", "queue_lengths", "own_lengths", "hidden"}
"""Fields by which observations can be numbered; a rule that reads any other is asked for every scheduler anew."""


class Carried:
    """What the schedulers of an episode carry from one decision to the next: few distinct hidden states, most often."""

    def __init__(self, schedulers: int, hidden: int):
        self.states: Floats = np.zeros((1, hidden))
        """The distinct hidden states: states x hidden."""
        self.state = np.zeros(schedulers, dtype=np.int32)
        """The number of each scheduler's state."""

    def advance(self, states: Floats, state: NDArray[np.int32]) -> None:
        """Let scheduler i carry `states[state[i]]`; states that are equal in every bit become one."""
        first, number = distinct(states)
        self.states = states[first]
        self.state = number.astype(np.int32)[state]


class AllAtOnce(Observations):
    """One dispatcher's answers for all schedulers of a system, remembered from epoch to epoch and episode to episode.

    The table of answers starts with one for each number of accessible servers and each hidden state; it grows with what
    the dispatcher reads.
    """

    def __init__(self, dispatcher: Dispatcher, system: System):
        super().__init__(dispatcher, system)
        self.lengths = np.zeros(system.access.server_count, dtype=np.int32)
        """The queue lengths that messages have just told."""
        self.carried = self.at_start()
        self.makers |= {
            "queue_lengths": lambda places: self.lengths[system.access.servers[places]],
            "service_rates": lambda places: system.service_rates[system.access.servers[places]],
            "age": lambda places: np.zeros(places.shape),
            "hidden": lambda schedulers: self.carried.states[self.carried.state[schedulers]],
            "distribution": lambda schedulers: (
                np.bincount(self.lengths, minlength=system.buffer + 1) / len(self.lengths)
            ),
        }
        self.is_fleeting = self.hidden > 0 or self.is_global
        """Whether answers hold for one epoch only: what all observations share is not in the table."""
        self.answers: Floats = np.empty((0, len(self.columns)))
        """Cumulative probabilities, or plans: rows x columns (x fields)."""
        self.next_states: Floats = np.empty((0, self.hidden))
        """What is carried to the next decision: rows x hidden."""
        self.row = np.zeros(self.scheduler_count, dtype=np.int32)
        """The row of `answers` and `next_states` that holds for each scheduler."""
        self.table = np.empty(0, dtype=np.int32)
        """The row of each observation, -1 if it has not been asked."""
        self.known = 0
        """How many observations have been asked."""
        self.representatives = np.empty(self.scheduler_count, dtype=np.int64)
        self._tell_apart()
        self._forget(states=1)

    def at_start(self) -> Carried:
        """Return what the schedulers carry when an episode starts."""
        return Carried(self.scheduler_count, self.hidden)

    def decide(self, lengths: NDArray[np.int32], draws: EpochDraws, carried: Carried) -> None:
        """Fill `answers` and `row` for an epoch, in which the queues have these lengths; advance what is carried."""
        self.lengths, self.draws, self.carried = lengths, draws, carried
        self._answer()
        if self.hidden:
            carried.advance(self.next_states[: self.known], self.row)

    def _answer(self) -> None:
        states = len(self.carried.states)
        if self.is_fleeting:
            self._forget(states)
        while not self.each_row:
            new = _number(
                self.lengths,
                self.system.access.offsets,
                self.system.access.servers,
                self.first + self.observations * self.carried.state if states > 1 else self.first,
                self.columns_read,
                self.system.buffer + 1,
                self.table,
                self.known,
                self.row,
                self.representatives,
            )
            if new == 0 or self._learn(self.representatives[:new]):
                return
            self._tell_apart()
            self._forget(states)
        self.row = np.arange(self.scheduler_count, dtype=np.int32)
        self.known = 0
        for start in range(0, self.scheduler_count, ROWS_AT_ONCE):
            schedulers = np.arange(start, min(start + ROWS_AT_ONCE, self.scheduler_count))
            self._store(self.answer(self.view(schedulers)))

    def _learn(self, schedulers: NDArray[np.int64]) -> bool:
        """Ask for these schedulers; return whether no more was read of their views than observations differ by."""
        for start in range(0, len(schedulers), ROWS_AT_ONCE):
            view = self.view(schedulers[start : start + ROWS_AT_ONCE])
            answer = self.answer(view)
            if not view.read <= self.read:
                self.read |= view.read
                return False
            self._store(answer)
        return True

    def _store(self, answer: Answer) -> None:
        """Append an answer's rows to those known."""
        self.answers = _put(self.answers, self.known, answer.numbers)
        self.next_states = _put(self.next_states, self.known, answer.hidden)
        self.known += len(answer.numbers)

    def _tell_apart(self) -> None:
        """Number what schedulers in one hidden state can observe, by what has been read so far."""
        system = self.system
        self.columns_read = len(self.columns) if "queue_lengths" in self.read else int("own_lengths" in self.read)
        classes = self._classes()
        seen = np.minimum(self.columns_read, self.counts)
        _, places, classes = np.unique(classes, return_index=True, return_inverse=True)
        sizes = [min((system.buffer + 1) ** count, LARGEST_TABLE + 1) for count in seen[places].tolist()]
        self.first = np.cumsum([0, *sizes[:-1]])[classes]
        """For each scheduler the number of the first observation of its class."""
        self.observations = sum(sizes) if self.read <= NUMBERED else LARGEST_TABLE + 1

    def _forget(self, states: int) -> None:
        """Start with an empty table, for observations in so many hidden states, if it is not too large."""
        size = self.observations * states
        self.each_row = size > LARGEST_TABLE
        """Whether every scheduler is asked in every epoch."""
        self.known = 0
        if not self.each_row:
            if size > len(self.table):
                self.table = np.empty(size, dtype=np.int32)
            self.table[:size] = -1

    def _classes(self) -> NDArray[np.int64]:
        """Number the schedulers by what never changes: how many servers they access, and what is read of these."""
        system = self.system
        if "schedulers" in self.read:
            return np.asarray(self.makers["schedulers"](np.arange(self.scheduler_count)))
        classes = np.unique(self.counts, return_inverse=True)[1]
        of_servers = {"service_rates": system.service_rates, "sharing": system.access.sharing}
        for values in (of_servers[name] for name in sorted(self.read & LASTING)):
            kinds = np.unique(values, return_inverse=True)[1]
            if not kinds.any():
                continue  # all alike
            for column in self.columns.tolist():
                there = self.counts > column
                servers = system.access.servers[system.access.offsets[:-1][there] + column]
                kind = np.zeros(self.scheduler_count, dtype=np.int64)
                kind[there] = kinds[servers] + 1
                classes = np.unique(classes * (kinds.max() + 2) + kind, return_inverse=True)[1]
        return classes


def _put(table: Floats, start: int, rows: Floats) -> Floats:
    """Return a table with these rows from `start` on: itself, or a longer copy."""
    stop = start + len(rows)
    if table.shape[1:] != rows.shape[1:]:
        table = np.empty((0, *rows.shape[1:]))
    if stop > len(table):
        longer = np.empty((max(stop, 2 * len(table)), *rows.shape[1:]))
        longer[:start] = table[:start]
        table = longer
    table[start:stop] = rows
    return table


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
