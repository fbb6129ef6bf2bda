"""Filling the records of a window with jobs, however many come: what is complete is served before more is drawn.

Rows have room for about as many jobs as are expected. If a row is full before all schedulers have reached the window's
end, the window ends earlier: jobs beyond are put aside for the next one. Only if too many come at one instant, rows are
made longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher, name_of
from dispatchers.errors import DispatcherError
from emulator.engines.compiled import fifo, routing
from emulator.model.system import System
from emulator.workload.cursor import Cursor
from emulator.workload.drawing import JobColumns

DONE, FULL, WRONG = range(3)
"""What drawing a part has come to."""


class Sender(Protocol):
    """An engine whose threads draw jobs and send them to servers."""

    system: System
    dispatcher: Dispatcher
    access: routing.Entries
    threads: int
    draw: Any
    """See `routing.draw`."""
    send: Any
    """See `routing.send`."""

    def each_part(self, count: int, work: Callable[[int, int, int], Any]) -> list[Any]:
        """Return what `work(part, first, last)` returns for each thread's part of so many schedulers."""
        ...


class Filling:
    """The records of an episode's windows, one after another."""

    def __init__(self, engine: Sender, cursor: Cursor, room: int, *, is_numbered: bool):
        self.engine = engine
        self.cursor = cursor
        access, self.is_numbered = engine.system.access, is_numbered
        self.schedulers = access.scheduler_count
        self.streams = routing.Streams(cursor.clock, cursor.number, np.zeros(self.schedulers))
        self.records = self._rows(room)
        self.jobs = fifo.grouped(engine.threads * room)
        """Room for the same jobs by server."""
        self.filled = [0] * engine.threads
        """How many jobs there are in each row."""
        self.counts = np.zeros((engine.threads, access.server_count), dtype=np.int32)
        """The same by server."""
        self.aside: list[list[list[NDArray[Any]]]] = [[] for _ in range(engine.threads)]
        """Of each row the jobs that have been drawn, but belong to the next window: columns of the records."""

    def _rows(self, room: int) -> routing.Records:
        goes_on = not self.cursor.is_by_epoch
        is_numbered = self.is_numbered or goes_on
        return routing.records(self.engine.threads, room, is_numbered=is_numbered, has_coins=goes_on)

    def fill(self, rule: Any, window: routing.Window, begin: float) -> float:
        """Fill the records with the jobs from `begin` on, and return up to when these are complete.

        That is the window's end unless there are too many. Raises `DispatcherError`.
        """
        self.filled = [0] * self.engine.threads
        self.counts.fill(0)
        if any(self.aside):
            self._take_back()
        while FULL in (codes := self._draw(rule, window)):
            full = [row for row, code in enumerate(codes) if code == FULL]
            middle = min(self._middle_time(row) for row in full)
            if middle > begin:
                window = window._replace(end=middle)
                self._put_aside(middle)
            else:
                self._make_room(2 * self.records.work.shape[1])
        return window.end

    def _draw(self, rule: Any, window: routing.Window) -> list[int]:
        """Let all threads draw, and return what each has come to."""
        codes = self.engine.each_part(self.schedulers, partial(self._draw_part, rule, window))
        if WRONG in codes:
            raise DispatcherError(
                f"{name_of(self.engine.dispatcher)}: choose must return a column of an accessible server; "
                "engine simpy says what it returned"
            )
        return codes

    def _draw_part(self, rule: Any, window: routing.Window, part: int, first: int, last: int) -> int:
        engine, cursor, records, filled = self.engine, self.cursor, self.records, self.filled[part]
        if cursor.is_by_epoch:
            count, reached = engine.draw(
                *(rule, window, engine.access, self.streams, records, self.counts, cursor.blocks[part]),
                *(part, filled, first, last),
            )
        else:
            row = JobColumns(
                *(column[part] for column in (records.arrival_time, records.work, records.coin)),
                *(column[part] for column in (records.scheduler, records.number)),
            )
            count, reached = cursor.fill(window.end, row, filled, first, last, part)
            if not engine.send(rule, window, engine.access, self.streams, records, self.counts, part, filled, count):
                reached = routing.WRONG_COLUMN
        self.filled[part] = count
        if reached == routing.WRONG_COLUMN:
            return WRONG
        return DONE if reached == last else FULL

    def _middle_time(self, row: int) -> float:
        """Return the median of the times at which the jobs of a row arrive."""
        times, half = self.records.arrival_time[row, : self.filled[row]], self.filled[row] // 2
        return float(np.partition(times, half)[half])

    def _put_aside(self, end: float) -> None:
        """Put aside the jobs that do not arrive before `end`; the others move together."""
        for row, filled in enumerate(self.filled):
            stays = self.records.arrival_time[row, :filled] < end
            columns = [column[row] for column in self.records if len(column)]
            self.aside[row].append([column[:filled][~stays] for column in columns])
            gone = self.records.server[row, :filled][~stays]
            self.counts[row] -= np.bincount(gone, minlength=self.counts.shape[1]).astype(np.int32)
            self.filled[row] = kept = int(np.count_nonzero(stays))
            for column in columns:
                column[:kept] = column[:filled][stays]

    def _take_back(self) -> None:
        """Begin the rows with the jobs that were put aside; those of one time are in the order in which they came."""
        most = max(sum(len(columns[0]) for columns in row) for row in self.aside)
        if most > self.records.work.shape[1]:
            self._make_room(most)
        for row, parts in enumerate(self.aside):
            for columns in parts:
                filled = self.filled[row]
                self.filled[row] = stop = filled + len(columns[0])
                own = [column for column in self.records if len(column)]
                for column, values in zip(own, columns, strict=True):
                    column[row, filled:stop] = values
                here = self.records.server[row, filled:stop]
                self.counts[row] += np.bincount(here, minlength=self.counts.shape[1]).astype(np.int32)
            parts.clear()

    def _make_room(self, room: int) -> None:
        """Make the rows longer."""
        old, self.records = self.records, self._rows(room)
        pairs: Any = zip(old, self.records, strict=True)
        for before, after in pairs:
            for row, filled in enumerate(self.filled):
                if len(before):
                    after[row, :filled] = before[row, :filled]
        self.jobs = fifo.grouped(self.engine.threads * room)
