"""Phase-type work: the time that a Markov chain takes until it is absorbed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.keys import ScenarioError
from emulator.model.laws.law import DerivedLaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JUMP_LIMIT = 1000.0
"""Jumps of the chain on average; so many bits are at hand that no chain runs out of them."""

Probability = Annotated[float, Field(ge=0, le=1)]


class PhaseTypeNumbers(NamedTuple):
    """The chain of a job; probabilities are added up, in units of 2**-48 or 2**-32."""

    first: NDArray[np.uint64]
    """Of the phases in which it starts: phases."""
    following: NDArray[np.uint64]
    """Of the phases that follow each one, beyond which the work is done: phases x phases."""
    stay: NDArray[np.float64]
    """Mean work in each phase."""

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.randomness import MORE_LIMIT, exponential, more_bits

        def draw(numbers: Any, bits: Any, more: Any) -> Any:
            phases = len(numbers.stay)
            phase = 0
            while phase < phases - 1 and bits >= numbers.first[phase]:
                phase += 1
            work = 0.0
            for jump in range(MORE_LIMIT):
                stay, _, word = more_bits(more, jump)
                work += exponential(stay) * numbers.stay[phase]
                following = 0
                while following < phases and word >= numbers.following[phase, following]:
                    following += 1
                if following == phases:
                    break
                phase = following
            return work

        return draw


class PhaseType(DerivedLaw):
    """The time until a Markov chain is absorbed, in units of its mean."""

    law: Literal["phase_type"] = "phase_type"
    start: Annotated[list[Probability], Field(min_length=1, max_length=100)]
    """Probability of each phase at the start."""
    generator: Annotated[list[list[float]], Field(min_length=1)]
    """Rates from each phase to each other one; each row's sum, which is not above 0, is less the rate of the end."""

    def check_keys(self) -> None:
        """See `DerivedLaw.check_keys`."""
        if abs(sum(self.start) - 1.0) > 1e-9:
            raise ScenarioError("start", f"must add up to 1, got {sum(self.start):g}")
        phases = len(self.start)
        if len(self.generator) != phases or any(len(row) != phases for row in self.generator):
            raise ScenarioError("generator", f"must have {phases} rows of {phases} rates, one for each phase of start")
        for phase, row in enumerate(self.generator):
            if row[phase] >= 0.0:
                raise ScenarioError(f"generator.{phase}.{phase}", f"must be < 0, got {row[phase]:g}")
            for other, rate in enumerate(row):
                if other != phase and rate < 0.0:
                    raise ScenarioError(f"generator.{phase}.{other}", f"must be >= 0, got {rate:g}")
            if sum(row) > 1e-9 * -row[phase]:
                raise ScenarioError(f"generator.{phase}", f"must not add up to more than 0, got {sum(row):g}")
        if not self._jumps() <= JUMP_LIMIT:
            told = f"must lead to the end within {JUMP_LIMIT:g} jumps on average, from each phase"
            raise ScenarioError("generator", told)

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        """The generator: phases x phases."""
        import numpy as np

        return np.array(self.generator)

    def _jumps(self) -> float:
        """Return how many jumps there are on average until the end, from the worst phase; infinite without an end."""
        import numpy as np

        rates = -np.diag(self._matrix)
        try:
            jumps = np.linalg.solve(-self._matrix / rates[:, None], np.ones(len(rates)))
        except np.linalg.LinAlgError:
            return float("inf")
        return float(jumps.max()) if (jumps > 0.0).all() else float("inf")

    def _moments(self) -> tuple[float, float]:
        """Return the mean and half of the mean square."""
        import numpy as np

        times = np.linalg.solve(-self._matrix, np.ones(len(self.start)))
        squares = np.linalg.solve(-self._matrix, times)
        return float(np.dot(self.start, times)), float(np.dot(self.start, squares))

    def derive(self) -> dict[str, float]:
        """See `DerivedLaw.derive`: the mean of the chain as it is given."""
        return {"mean": self._moments()[0]}

    @cached_property
    def _numbers(self) -> PhaseTypeNumbers:
        import numpy as np

        rates = -np.diag(self._matrix)
        jumps = np.where(np.eye(len(rates)) > 0.0, 0.0, self._matrix) / rates[:, None]
        first = np.round(np.cumsum(self.start) * 2.0**48).astype(np.uint64)
        following = np.round(np.cumsum(jumps, axis=1) * 2.0**32).astype(np.uint64)
        return PhaseTypeNumbers(first, following, 1.0 / rates / self.constants["mean"])

    def numbers(self) -> PhaseTypeNumbers:
        """See `Law.numbers`."""
        return self._numbers

    def variance(self) -> float:
        """See `Law.variance`."""
        mean, half_square = self._moments()
        return 2.0 * half_square / mean**2 - 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`: by the chain's matrix exponential on a grid of time, and Taylor's series between."""
        import numpy as np
        from scipy.linalg import expm

        matrix = self._matrix * self.constants["mean"]
        step = 1.0 / np.abs(matrix).sum(axis=1).max()
        at_grid, ahead = np.array([self.start]), expm(matrix * step)
        while at_grid[-1].sum() > 1e-17 and len(at_grid) * step < work.max(initial=0.0):
            at_grid = np.concatenate([at_grid, at_grid @ ahead])
            ahead = ahead @ ahead
        places = np.minimum(work / step, float(len(at_grid) - 1)).astype(np.int64)
        after = (work - places * step)[:, None]
        term = at_grid[places]
        left = term.copy()
        for order in range(1, 20):
            term = term @ matrix * (after / order)
            left += term
        is_within = work < len(at_grid) * step
        return np.where(is_within, 1.0 - left.sum(axis=1), 1.0)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> PhaseType:
        """See `Law.sample`."""
        import numpy as np

        phases = int(generator.integers(1, 5))
        rates = generator.uniform(0.0, 2.0, (phases, phases)) * (1.0 - np.eye(phases))
        ends = generator.uniform(0.1, 2.0, phases)
        start = generator.dirichlet(np.ones(phases)).tolist()
        return cls(start=start, generator=(rates - np.diag(rates.sum(axis=1) + ends)).tolist())
