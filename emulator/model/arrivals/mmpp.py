"""Poisson arrivals whose rate is that of a state of a Markov chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.arrivals.chain import (
    PIECE_LIMIT,
    STATE_LIMIT,
    ChainNumbers,
    Matrix,
    Rows,
    Start,
    check_rows,
    check_square,
    check_start,
    cumulative_rows,
    long_run_law,
    start_law,
)
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting

if TYPE_CHECKING:
    import numpy as np

Rate = Annotated[float, Field(ge=0)]


class Mmpp(ArrivalProcess):
    """Poisson arrivals whose rate is that of a state of a Markov chain, in continuous time or from epoch to epoch."""

    kind: Literal["mmpp"] = "mmpp"
    rates: Annotated[list[Rate], Field(min_length=1, max_length=STATE_LIMIT)]
    """Arrivals per ms of the mean scheduler in each state."""
    generator: Matrix | None = None
    """Rates, 1/ms, at which each state turns into each other; rows add up to 0."""
    transition: Matrix | None = None
    """Probabilities with which each state turns into each other, or stays, after an epoch; rows add up to 1."""
    chain: Literal["shared", "own"] = "shared"
    """shared: one chain for all schedulers; own: one for each."""
    start: Start = "stationary"
    """The state at time 0: its number, or drawn of the stationary law."""

    @model_validator(mode="after")
    def _check(self) -> Mmpp:
        if (self.generator is None) == (self.transition is None):
            raise ScenarioError("", "needs either generator or transition" + (", got both" if self.generator else ""))
        key, rows = ("transition", self.transition) if self.generator is None else ("generator", self.generator)
        assert rows is not None
        check_square(key, rows, len(self.rates))
        check_rows(key, rows, 0.0 if key == "generator" else 1.0, ignoring_diagonal=key == "generator")
        check_start(self.start, rows)
        return self

    @property
    def rows(self) -> Rows:
        """What leads where."""
        rows = self.transition if self.generator is None else self.generator
        assert rows is not None
        return rows

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        law = long_run_law(self.start, self.rows)
        return sum(share * rate for share, rate in zip(law, self.rates, strict=True))

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return max(self.rates)

    def check(self, schedulers: int, horizon: float) -> None:
        """See `ArrivalProcess.check`."""
        super().check(schedulers, horizon)
        if self.generator is not None and self.chain == "shared":
            most = horizon * max(-row[state] for state, row in enumerate(self.generator))
            if most > PIECE_LIMIT / 2:
                told = f"must leave states at most {PIECE_LIMIT // 2:,} times up to the horizon, got about {most:.3g}"
                raise ScenarioError("generator", told)

    def numbers(self, setting: Setting) -> ChainNumbers:
        """Return the chain for compiled functions."""
        import numpy as np

        following: Rows = [list(row) for row in self.rows]
        leaving: list[float] = []
        if self.generator is not None:
            for state, row in enumerate(following):
                row[state] = 0.0
                leaving.append(sum(row))
        return ChainNumbers(
            np.array(self.rates),
            np.array(leaving),
            setting.times,
            cumulative_rows([start_law(self.start, self.rows), *following]),
            np.uint64(setting.seed),
            np.uint64(setting.replication),
        )

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        from emulator.model.arrivals.modulation import arrivals_of_own_chains, arrivals_of_shared_chain

        numbers = self.numbers(setting)
        if self.chain == "shared":
            return arrivals_of_shared_chain(numbers, setting)
        return arrivals_of_own_chains(numbers, setting, self.expected_rate())

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Mmpp:
        """See `ArrivalProcess.sample`."""
        import numpy as np

        states = int(generator.integers(1, 5))
        numbers = generator.uniform(0.1, 1.0, (states, states))
        chain: Any = generator.choice(["shared", "own"]).item()
        start: Any = "stationary" if generator.random() < 0.5 else int(generator.integers(states))
        rates = generator.uniform(0.0, 2.0, states).tolist()
        if generator.random() < 0.5:
            transition = (numbers / numbers.sum(axis=1, keepdims=True)).tolist()
            return cls(rates=rates, transition=transition, chain=chain, start=start)
        np.fill_diagonal(numbers, 0.0)
        np.fill_diagonal(numbers, -numbers.sum(axis=1))
        return cls(rates=rates, generator=numbers.tolist(), chain=chain, start=start)
