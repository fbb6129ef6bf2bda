"""Decisions of all schedulers at once: what they observe is numbered, and each distinct observation is asked once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatchers.checking import Answer
from dispatchers.contract import OWN_TO_A_ROW, Dispatcher, Floats, View, hidden_width
from emulator.engines.decisions import EpochDraws, ask
from emulator.machine.compiling import compiled
from emulator.model.system import System

LARGEST_TABLE = 2**22
"""Distinct observations that can be told apart by a table; beyond that every scheduler's row is asked every epoch."""

ROWS_AT_ONCE = 2**16
"""Rows that a dispatcher is asked at a time."""


class Carried:
    """What the schedulers of an episode carry from one decision to the next: few distinct hidden states, most often."""

    def __init__(self, nodes: int, hidden: int):
        self.states: Floats = np.zeros((1, hidden))
        """The distinct hidden states: states x hidden."""
        self.state = np.zeros(nodes, dtype=np.int32)
        """The number of each scheduler's state."""

    def advance(self, states: Floats, state: NDArray[np.int32]) -> None:
        """Let scheduler i carry `states[state[i]]`, of which those that are equal in every bit become one."""
        row_of_bytes = np.dtype((np.void, states.shape[1] * states.itemsize))  # sorts 20 times as fast as a row
        rows = np.ascontiguousarray(states).view(row_of_bytes)[:, 0]
        _, first, merged = np.unique(rows, return_index=True, return_inverse=True)
        self.states = states[first]
        self.state = merged.astype(np.int32)[state]


class _Moment(NamedTuple):
    """What decisions are made on at an epoch's start."""

    lengths: NDArray[np.int32]
    draws: EpochDraws
    carried: Carried
    distribution: Floats | None


class Decisions:
    """One dispatcher's answers for all schedulers of a system, remembered from epoch to epoch and episode to episode.

    An answer depends only on what the dispatcher has read of its view. So the table of answers starts with one for
    each number of accessible servers and each hidden state; as soon as a dispatcher reads more, observations are told
    apart by that too.
    """

    def __init__(self, dispatcher: Dispatcher, system: System):
        self.dispatcher = dispatcher
        self.system = system
        self.width = system.access.width
        self.hidden = hidden_width(dispatcher)
        """How many numbers each scheduler carries from one decision to the next."""
        self.is_fleeting = self.hidden > 0 or dispatcher.observes == "all"
        """Whether answers hold for one epoch only: what all observations share is not in the table."""
        self.read: set[str] = {"hidden"}
        self.answers: Floats = np.empty((0, self.width))
        """Cumulative probabilities, or plans: rows x columns (x fields)."""
        self.next_states: Floats = np.empty((0, self.hidden))
        """What is carried to the next decision: rows x hidden."""
        self.row = np.zeros(system.nodes, dtype=np.int32)
        """The row of `answers` and `next_states` that holds for each scheduler."""
        self.table = np.empty(0, dtype=np.int32)
        """The row of each observation, -1 if it has not been asked."""
        self.known = 0
        """How many observations have been asked."""
        self.representatives = np.empty(system.nodes, dtype=np.int64)
        self._tell_apart()
        self._forget(states=1)

    def at_start(self) -> Carried:
        """Return what the schedulers carry when an episode starts."""
        return Carried(self.system.nodes, self.hidden)

    def decide(self, lengths: NDArray[np.int32], draws: EpochDraws, carried: Carried) -> None:
        """Fill `answers` and `row` for an epoch, in which the queues have these lengths; advance what is carried."""
        distribution = None
        if self.dispatcher.observes == "all":
            distribution = np.bincount(lengths, minlength=self.system.buffer + 1) / self.system.nodes
        self._answer(_Moment(lengths, draws, carried, distribution))
        if self.hidden:
            carried.advance(self.next_states[: self.known], self.row)

    def _answer(self, moment: _Moment) -> None:
        states = len(moment.carried.states)
        if self.is_fleeting:
            self._forget(states)
        while not self.each_row:
            new = _number(
                moment.lengths,
                self.system.access.offsets,
                self.system.access.servers,
                self.first + self.observations * moment.carried.state if states > 1 else self.first,
                self.columns_read,
                self.system.buffer + 1,
                self.table,
                self.known,
                self.row,
                self.representatives,
            )
            if new == 0 or self._learn(self.representatives[:new], moment):
                return
            self._tell_apart()
            self._forget(states)
        self.row = np.arange(self.system.nodes, dtype=np.int32)
        self.known = 0
        for start in range(0, self.system.nodes, ROWS_AT_ONCE):
            schedulers = np.arange(start, min(start + ROWS_AT_ONCE, self.system.nodes))
            self._store(ask(self.dispatcher, self._view(schedulers, moment)))

    def _learn(self, schedulers: NDArray[np.int64], moment: _Moment) -> bool:
        """Ask for these schedulers; return whether no more was read of their views than observations differ by."""
        for start in range(0, len(schedulers), ROWS_AT_ONCE):
            view = self._view(schedulers[start : start + ROWS_AT_ONCE], moment)
            answer = ask(self.dispatcher, view)
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
        self.columns_read = self.width if "queue_lengths" in self.read else int("own_lengths" in self.read)
        classes = self._classes()
        seen = np.minimum(self.columns_read, system.access.counts)
        _, places, classes = np.unique(classes, return_index=True, return_inverse=True)
        sizes = [min((system.buffer + 1) ** count, LARGEST_TABLE + 1) for count in seen[places].tolist()]
        self.first = np.cumsum([0, *sizes[:-1]])[classes]
        """For each scheduler the number of the first observation of its class."""
        own = not self.read.isdisjoint(OWN_TO_A_ROW)
        self.observations = LARGEST_TABLE + 1 if own else sum(sizes)

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
        """Number the schedulers by what never changes: degree, and rates and sharing if they are read."""
        system = self.system
        classes = np.unique(system.topology.degrees, return_inverse=True)[1]
        fixed = {"service_rates": system.service_rates, "sharing": system.access.sharing}
        for values in (values for name, values in fixed.items() if name in self.read):
            kinds = np.unique(values, return_inverse=True)[1]
            if not kinds.any():
                continue  # all alike
            for column in range(self.width):
                there = system.topology.degrees >= column
                servers = system.access.servers[system.access.offsets[:-1][there] + column]
                kind = np.zeros(system.nodes, dtype=np.int64)
                kind[there] = kinds[servers] + 1
                classes = np.unique(classes * (kinds.max() + 2) + kind, return_inverse=True)[1]
        return classes

    def _view(self, schedulers: NDArray[np.int64], moment: _Moment) -> View:
        """Return what some schedulers know at an epoch's start, when all messages have just arrived."""
        lengths, draws, carried, distribution = moment
        system = self.system
        columns = np.arange(self.width)
        accessible = columns <= system.topology.degrees[schedulers, None]
        places = np.where(accessible, system.access.offsets[schedulers, None] + columns, 0)
        servers = system.access.servers[places]

        def padded(values: NDArray[Any], padding: Any, dtype: type) -> NDArray[Any]:
            return np.where(accessible, values, padding).astype(dtype)

        return View(
            queue_lengths=padded(lengths[servers], 0, np.int64),
            service_rates=padded(system.service_rates[servers], 1.0, np.float64),
            accessible=accessible,
            sharing=padded(system.access.sharing[servers], 1, np.int64),
            buffer=system.buffer,
            delta_t=system.delta_t,
            coins=lambda: draws.coins[schedulers],
            order=lambda: padded(draws.orders[places], columns, np.int64),
            age=lambda: np.zeros(accessible.shape),
            schedulers=schedulers,
            hidden=lambda: carried.states[carried.state[schedulers]],
            distribution=distribution,
        )


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
