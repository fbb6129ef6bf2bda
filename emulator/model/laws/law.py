"""What every law of work says of itself; a scenario is read before numpy and numba, so files import them late."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = 12
"""Significant digits of what is computed by functions in whose last bits libraries differ."""


class WorkNumbers(Protocol):
    """The numbers of a law: a `NamedTuple` of its own type, by which compiled code picks the function to draw with."""

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """Return the function (numbers, bits) -> work that engines compile; the 48 bits are a uint64.

        Or the function (numbers, bits, more) -> work of a law that needs further bits: `more` is the
        `emulator.randomness.Address` at which `emulator.randomness.more_bits` draws them.
        """


class Law(Section):
    """A law of a job's work, of mean 1, with its keys as a scenario gives them.

    Of a time it is the law in units of the mean.
    """

    law: str
    """What scenarios and messages call it."""

    @abstractmethod
    def numbers(self) -> WorkNumbers:
        """Return the numbers of the law."""

    @abstractmethod
    def variance(self) -> float:
        """Return the variance, which is the squared coefficient of variation, too; infinite if there is none."""

    @abstractmethod
    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of at most so much work, all >= 0."""

    def is_in_order(self) -> bool:
        """Return whether what is drawn goes by the number of the job, or of the sample."""
        return False

    @classmethod
    @abstractmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Return one with random keys, for tests."""


class DerivedLaw(Law):
    """A law whose draws need constants that follow from its keys by functions in whose last bits libraries differ.

    They are rounded to `DIGITS` significant digits, so machines agree, and are written into the resolved scenario.
    """

    derived: dict[str, float] | None = None
    """What follows from the other keys, to 12 significant digits, as scenario.resolved.yaml says it; optional."""

    @abstractmethod
    def derive(self) -> Mapping[str, float]:
        """Return the constants, by name, before they are rounded."""

    @cached_property
    def constants(self) -> Mapping[str, float]:
        """The constants, rounded."""
        return self.derived or {name: rounded(value) for name, value in self.derive().items()}

    def check_keys(self) -> None:
        """Raise `ScenarioError` for keys from which nothing can be derived."""

    @model_validator(mode="after")
    def _check_derived(self) -> Self:
        self.check_keys()
        expected = {name: rounded(value) for name, value in self.derive().items()}
        if self.derived is None:
            return self
        for name, value in self.derived.items():
            if name not in expected:
                raise ScenarioError(f"derived.{name}", f"is unknown; allowed are {', '.join(expected)}")
            if abs(value - expected[name]) > 1e-9 * abs(expected[name]):
                told = f"must be {expected[name]!r}, which follows from the other keys"
                raise ScenarioError(f"derived.{name}", f"{told}, got {show(value)}; it may be left out")
        if missing := expected.keys() - self.derived.keys():
            raise ScenarioError("derived", f"must hold all of {', '.join(expected)}, {min(missing)} is missing")
        return self

    @model_serializer(mode="wrap")
    def _with_derived(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**handler(self), "derived": dict(self.constants)}


LEAST_SHARE = 1e-6
"""Of a part of a law: fewer jobs would find too few of their 48 bits left."""


def check_shares(key: str, shares: Sequence[float]) -> None:
    """Raise `ScenarioError` for a part of a law that is too seldom, unless it never is."""
    for index, share in enumerate(shares):
        if 0.0 < share < LEAST_SHARE:
            raise ScenarioError(f"{key}.{index}", f"must be 0 or at least {LEAST_SHARE:g} of all, got {share:g}")


def rounded(value: float) -> float:
    """Return a number rounded to `DIGITS` significant digits. Raises `InputError` for one that is not finite."""
    if not abs(value) < float("inf"):
        raise InputError(f"cannot be used: a constant that follows from its keys is {value}")
    return float(f"{value:.{DIGITS - 1}e}")
