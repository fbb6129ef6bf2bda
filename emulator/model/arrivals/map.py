"""Markovian arrival process: arrivals at some of the transitions of a Markov chain (M. F. Neuts, 1979)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from emulator.keys import ScenarioError
from emulator.model.arrivals.chain import (
    Matrix,
    Rows,
    Start,
    check_square,
    check_start,
    cumulative_rows,
    long_run_law,
    start_law,
)
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.text import text_of

if TYPE_CHECKING:
    import numpy as np


class MarkovianArrivals(ArrivalProcess):
    """A Markov chain of each scheduler's own, of which some transitions bring an arrival."""

    kind: Literal["map"] = "map"
    d0: Matrix
    """Rates, 1/ms, of transitions without an arrival; on the diagonal minus the rate at which a state is left."""
    d1: Matrix
    """Rates, 1/ms, of transitions with an arrival, which may lead back to the same state."""
    start: Start = "stationary"
    """The state at time 0: its number, or drawn of the stationary law."""

    @model_validator(mode="after")
    def _check(self) -> MarkovianArrivals:
        states = len(self.d0)
        check_square("d0", self.d0, states)
        check_square("d1", self.d1, states)
        for key, rows in (("d0", self.d0), ("d1", self.d1)):
            for index, row in enumerate(rows):
                wrong = [rate for column, rate in enumerate(row) if rate < 0.0 and (key, column) != ("d0", index)]
                if wrong:
                    where = " off the diagonal" if key == "d0" else ""
                    raise ScenarioError(f"{key}.{index}", f"must have rates >= 0{where}, got {text_of(wrong[0])}")
        for index, row in enumerate(self._generator()):
            if not self.d0[index][index] < 0.0:
                told = f"must be below 0 on the diagonal, got {text_of(self.d0[index][index])}"
                raise ScenarioError(f"d0.{index}", told)
            if abs(math.fsum(row)) > 1e-9 * -self.d0[index][index]:
                raise ScenarioError(f"d0.{index}", f"must add up to 0 with d1.{index}, got {math.fsum(row):.10g}")
        check_start(self.start, self._generator())
        return self

    def _generator(self) -> Rows:
        """Return what leads where, with an arrival or without."""
        return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(self.d0, self.d1, strict=True)]

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        law = long_run_law(self.start, self._generator())
        return sum(share * sum(row) for share, row in zip(law, self.d1, strict=True))

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`; the chain is hidden, so nothing modulates the rate."""
        return max(sum(row) for row in self.d1)

    def dispersion(self) -> float:
        """See `ArrivalProcess.dispersion`; of a chain that gets from every state to every other."""
        import numpy as np

        loud, generator = np.array(self.d1), np.array(self._generator())
        law = np.array(long_run_law(self.start, self._generator()))
        rate = float((law @ loud).sum())
        fundamental = np.linalg.inv(np.outer(np.ones(len(law)), law) - generator)
        return 1.0 + 2.0 * (float((law @ loud @ fundamental @ loud).sum()) - rate**2) / rate

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`; a scheduler of weight w has a chain that goes w times as fast."""
        import numpy as np

        from emulator.model.arrivals.transitions import Transitions

        leaving = [-row[state] for state, row in enumerate(self.d0)]
        silent: Rows = [[max(rate, 0.0) for rate in row] for row in self.d0]
        stream = Transitions(
            np.array([1.0 / rate for rate in leaving]),
            np.array([float(f"{sum(row) / rate:.12g}") for row, rate in zip(self.d1, leaving, strict=True)]),
            cumulative_rows([start_law(self.start, self._generator()), *silent]),
            cumulative_rows(self.d1),
            setting.weights,
            setting.horizon,
            np.uint64(setting.seed),
            np.uint64(setting.replication),
        )
        return Arrivals(stream, np.full(len(setting.times) - 1, self.expected_rate()), setting.weights)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> MarkovianArrivals:
        """See `ArrivalProcess.sample`."""
        import numpy as np

        states = int(generator.integers(1, 4))
        silent, loud = generator.uniform(0.05, 0.5, (2, states, states))
        loud[generator.integers(states)] *= 4.0
        np.fill_diagonal(silent, 0.0)
        np.fill_diagonal(silent, -(silent + loud).sum(axis=1))
        start: Any = "stationary" if generator.random() < 0.5 else int(generator.integers(states))
        return cls(d0=silent.tolist(), d1=loud.tolist(), start=start)
