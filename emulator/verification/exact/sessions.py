"""One FIFO queue whose clients come as a Poisson process and send one job after another: a chain on two numbers.

The state is how many clients think, and how many jobs are present: work and thinking are exponential, and a session has
a geometric number of jobs, so nothing else need be remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from emulator.verification.exact.markov import MarkovChain, Move, explored


class Present(NamedTuple):
    """Who is there."""

    thinking: int = 0
    jobs: int = 0


class Sessions(NamedTuple):
    """Sessions at a queue of rate 1; times in ms."""

    rate: float
    """Sessions that begin, per ms."""
    jobs: float
    """Of a session, in mean."""
    think: float
    """Mean, ms."""
    buffer: int = 5
    room: int = 60
    """Clients that can think at once; others leave, which they must hardly ever do."""

    def chain(self) -> MarkovChain:
        """Return the chain from nobody on."""
        return explored({Present(): 1.0}, self._moves, lambda state: {"presence": float(state.jobs)})

    def _moves(self, state: Present) -> Iterator[Move[Present]]:
        yield from self._job(self.rate, state)
        if state.thinking:
            yield from self._job(state.thinking / self.think, state._replace(thinking=state.thinking - 1))
        if state.jobs:
            yield from self._end(1.0, state._replace(jobs=state.jobs - 1), {"completions": 1.0})

    def _job(self, rate: float, state: Present) -> Iterator[Move[Present]]:
        """Yield what follows from a job that comes at a rate."""
        if state.jobs < self.buffer:
            yield Move(rate, state._replace(jobs=state.jobs + 1), {"arrivals": 1.0})
        else:
            yield from self._end(rate, state, {"arrivals": 1.0, "drops": 1.0})

    def _end(self, rate: float, state: Present, counts: dict[str, float]) -> Iterator[Move[Present]]:
        """Yield what follows once a job has ended: its client leaves or thinks."""
        leaving = 1.0 / self.jobs
        yield Move(rate * leaving, state, counts)
        yield Move(rate * (1.0 - leaving), state._replace(thinking=min(state.thinking + 1, self.room)), counts)
