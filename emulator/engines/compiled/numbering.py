"""Observations of all schedulers at once are numbered; a new one is asked once for all that observe the same.

Memory and time go by the entries of the access relation: answers stand one after the other without padding, and
schedulers are asked together if they can access about as many servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher
from dispatchers.view import BY_SERVER, FIELDS, Floats, distinct
from emulator.engines.observations import EpochDraws, Observations
from emulator.machine.compiling import compiled
from emulator.model.system import System

LARGEST_TABLE = 2**22
"""Distinct observations that can be told apart by a table; schedulers with more of them are asked every epoch."""

NUMBERS_AT_ONCE = 2**18
"""Rows times columns of the views that a dispatcher is asked at a time."""

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

    draws: EpochDraws
    """Those of the epoch in which schedulers decide now."""

    def __init__(self, dispatcher: Dispatcher, system: System):
        super().__init__(dispatcher, system)
        self.lengths = np.zeros(system.access.server_count, dtype=np.int32)
        """The queue lengths that messages have just told."""
        self.carried = self.at_start()
        self.makers |= {
            "coins": lambda schedulers: self.draws.coins[schedulers],
            "order": lambda places: self.draws.orders[places],
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
        self.answers: Floats = np.empty(0)
        """Cumulative probabilities, or plans (x fields), of one observation after the other: no padding."""
        self.start = np.zeros(self.scheduler_count, dtype=np.int64)
        """Where in `answers` that of each scheduler begins, as long as its list of servers."""
        self.row = np.zeros(self.scheduler_count, dtype=np.int32)
        """Which observation each scheduler has made, by their order in `answers`."""
        self.starts = np.empty(0, dtype=np.int64)
        """Where the answer to each observation begins."""
        self.next_states: Floats = np.empty((0, self.hidden))
        """What is carried to the next decision: observations x hidden."""
        self.table = np.empty(0, dtype=np.int32)
        """The row of each observation, -1 if it has not been asked."""
        self.known = self.filled = 0
        """How many observations have been asked, and how much of `answers` theirs fill."""
        self.representatives = np.empty(self.scheduler_count, dtype=np.int64)
        self._tell_apart()
        self._forget(states=1)

    def at_start(self) -> Carried:
        """Return what the schedulers carry when an episode starts."""
        return Carried(self.scheduler_count, self.hidden)

    def decide(self, lengths: NDArray[np.int32], draws: EpochDraws, carried: Carried) -> None:
        """Fill `answers` and `start` for an epoch, in which the queues have these lengths; advance what is carried."""
        self.lengths, self.draws, self.carried = lengths, draws, carried
        states = len(carried.states)
        if self.is_fleeting:
            self._forget(states)
        while not self._answer(states):
            self._tell_apart()
            self._forget(states)
        if self.hidden:
            carried.advance(self.next_states[: self.known + len(self.unnumbered)], self.row)

    def _answer(self, states: int) -> bool:
        """Ask for what is not known; return whether no more was read of the views than observations differ by."""
        first = self.first
        if states > 1:
            first = np.where(first < 0, -1, first + self.observations * self.carried.state)
        new = _number(
            self.lengths,
            self.system.access.offsets,
            self.system.access.servers,
            first,
            self.columns_read,
            self.system.buffer + 1,
            self.table,
            self.known,
            self.row,
            self.representatives,
        )
        told_apart = self._ask(self.representatives[:new], self.known, self.filled)
        self.known += new
        self.filled += int(self.counts[self.representatives[:new]].sum())
        self.row[self.unnumbered] = self.known + np.arange(len(self.unnumbered))
        told_apart = told_apart and self._ask(self.unnumbered, self.known, self.filled)
        if told_apart:
            np.take(self.starts, self.row, out=self.start)
        return told_apart

    def _ask(self, schedulers: NDArray[np.int64], row: int, place: int) -> bool:
        """Write answers for these schedulers into the rows from `row` on, and there from `place` on; see `_answer`."""
        if len(schedulers) == 0:
            return True
        counts = self.counts[schedulers]
        starts = place + np.cumsum(counts) - counts
        stop = row + len(schedulers)
        self.starts = _room(self.starts, stop)
        self.starts[row:stop] = starts
        self.next_states = _room(self.next_states, stop)
        for chosen in self._alike(schedulers):
            view = self.view(schedulers[chosen])
            answer = self.answer(view)
            if not view.read <= self.read:
                self.read |= view.read
                return False
            accessible = view.value("accessible")
            columns = np.arange(accessible.shape[1])
            if self.answers.shape[1:] != answer.numbers.shape[2:]:
                self.answers = np.empty((0, *answer.numbers.shape[2:]))
            self.answers = _room(self.answers, place + int(counts.sum()))
            self.answers[(starts[chosen, None] + columns)[accessible]] = answer.numbers[accessible]
            self.next_states[row + chosen] = answer.hidden
        return True

    def _alike(self, schedulers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield which of some schedulers are asked together, those whose views have as many columns."""
        widths = self.widths[schedulers]
        for width in np.unique(widths).tolist():
            alike = np.flatnonzero(widths == width)
            rows = max(1, NUMBERS_AT_ONCE // width)
            for start in range(0, len(alike), rows):
                yield alike[start : start + rows]

    def _tell_apart(self) -> None:
        """Say what schedulers in one hidden state can observe, by what has been read so far."""
        self.columns_read = int(self.counts.max()) if "queue_lengths" in self.read else int("own_lengths" in self.read)
        _, places, self.classes = np.unique(classes_of(self), return_index=True, return_inverse=True)
        seen = np.minimum(self.columns_read, self.counts[places]).tolist()
        sizes = np.array([min((self.system.buffer + 1) ** count, LARGEST_TABLE + 1) for count in seen])
        self.smallest_first = np.argsort(sizes, kind="stable")
        """The classes in the order in which they are numbered, while there is room in the table."""
        self.observations_before = np.cumsum([0, *sizes[self.smallest_first]])
        """How many observations the classes before each have, in this order, and all."""
        self.numbered = -1
        """How many classes are numbered."""

    def _forget(self, states: int) -> None:
        """Start with an empty table, for observations in so many hidden states."""
        room = LARGEST_TABLE // states if self.read <= NUMBERED else 0
        numbered = int(np.searchsorted(self.observations_before, room, side="right")) - 1
        if numbered != self.numbered:
            self.numbered = numbered
            firsts = np.full(len(self.smallest_first), -1)
            firsts[self.smallest_first[:numbered]] = self.observations_before[:numbered]
            self.first = firsts[self.classes]
            """For each scheduler the number of the first observation of its class, -1 if it is not numbered."""
            self.unnumbered = np.flatnonzero(self.first < 0)
            """The schedulers that are asked every epoch."""
        self.observations = int(self.observations_before[numbered])
        """Those that are numbered, in one hidden state."""
        self.known = self.filled = 0
        size = self.observations * states
        if size > len(self.table):
            self.table = np.empty(size, dtype=np.int32)
        self.table[:size] = -1


def classes_of(observations: Observations) -> NDArray[np.int64]:
    """Number the schedulers by what never changes: how many servers they access, and what is read of these."""
    access, counts = observations.system.access, observations.counts
    everybody = np.arange(len(counts))
    if "schedulers" in observations.read:
        return np.asarray(observations.makers["schedulers"](everybody))
    classes = np.unique(counts, return_inverse=True)[1]
    of_servers = {"service_rates": observations.system.service_rates, "sharing": access.sharing}
    for values in (of_servers[name] for name in sorted(observations.read & LASTING)):
        kinds = np.unique(values, return_inverse=True)[1]
        if not kinds.any():
            continue  # all alike
        there = everybody
        for column in range(int(counts.max())):
            there = there[counts[there] > column]  # no other scheduler is in a class with one of these
            kind = kinds[access.servers[access.offsets[there] + column]]
            told_apart = np.unique(classes[there] * (kinds.max() + 1) + kind, return_inverse=True)[1]
            classes[there] = classes.max() + 1 + told_apart
    return classes


def _room(table: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a table that has room for so many rows: itself, or a longer copy."""
    if size <= len(table):
        return table
    longer = np.empty((max(size, 2 * len(table)), *table.shape[1:]), dtype=table.dtype)
    longer[: len(table)] = table
    return longer


@compiled(nogil=True)
def _number(lengths, offsets, access, first, columns, base, table, known, row, representatives):  # type: ignore[no-untyped-def]
    """Fill in each scheduler's row of answers; return how many observations are new.

    An observation is the scheduler's class, whose first number is in `first`, and the lengths of its first `columns`
    accessible servers. New ones get the next rows, and `representatives` holds a scheduler for each. Schedulers
    whose `first` is negative are left out. Places are taken as unsigned numbers, which need no look at negative ones:
    1.3 times as fast.
    """
    new = 0
    for scheduler in range(len(row)):
        if first[scheduler] < 0:
            continue
        start, stop = offsets[scheduler], offsets[scheduler + 1]
        observation = 0
        for place in range(start, min(start + columns, stop)):
            observation = observation * base + lengths[uint64(access[uint64(place)])]
        observation += first[scheduler]
        if table[uint64(observation)] < 0:
            table[observation] = known + new
            representatives[new] = scheduler
            new += 1
        row[scheduler] = table[uint64(observation)]
    return new
