"""Work of several laws: each job is of one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_serializer, model_validator

from emulator.keys import ScenarioError, checked
from emulator.model.laws.law import Law, check_shares
from emulator.model.laws.single import SINGLE_LAWS
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Part(NamedTuple):
    """One of the laws of a mixture."""

    share: float
    """Probability that a job is of it."""
    mean: float
    """Mean work of its jobs, if that of all is 1."""
    law: Law


class MixtureNumbers(NamedTuple):
    """A job is of part i with the probability (`bounds[i + 1]` - `bounds[i]`) / 2**48."""

    bounds: NDArray[np.uint64]
    means: NDArray[np.float64]
    parts: tuple[Any, ...]
    """The numbers of each part's law."""

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.model.laws.drawing import drawn_of, part_of

        def draw(numbers: Any, bits: Any, more: Any) -> Any:
            part, left = part_of(numbers.bounds, bits)
            return numbers.means[part] * drawn_of(numbers.parts, part, left, more)

        return draw


class Mixture(Law):
    """Jobs of several sorts, each of a law of its own."""

    law: Literal["mixture"] = "mixture"
    weights: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1, max_length=50)]
    """How often each part is drawn, in any unit."""
    parts: Annotated[list[Any], Field(min_length=1)]
    """Laws by name or with their keys, each with a mean, 1 if not given, in any unit: the mean of all is made 1."""

    @model_validator(mode="after")
    def _check(self) -> Mixture:
        if len(self.parts) != len(self.weights):
            raise ScenarioError("parts", f"must hold a law for each of {len(self.weights)} weights")
        if not 0.0 < math.fsum(self.weights) < float("inf"):
            raise ScenarioError("weights", "must not all be 0")
        check_shares("weights", [weight / math.fsum(self.weights) for weight in self.weights])
        if not math.fsum(share * mean for share, mean, _ in self._given) > 0.0:
            raise ScenarioError("parts", "must not all have mean 0")
        return self

    @cached_property
    def _given(self) -> list[Part]:
        """The parts with their means as given. Raises `ScenarioError`."""
        total = math.fsum(self.weights)
        made = [_made(part, f"parts.{index}") for index, part in enumerate(self.parts)]
        return [Part(weight / total, *part) for weight, part in zip(self.weights, made, strict=True)]

    @cached_property
    def made(self) -> list[Part]:
        """The parts."""
        mean = math.fsum(part.share * part.mean for part in self._given)
        return [part._replace(mean=part.mean / mean) for part in self._given]

    @field_serializer("parts")
    def _written(self, parts: list[Any]) -> list[dict[str, Any]]:
        return [part.law.model_dump(exclude_none=True) | {"mean": part.mean} for part in self._given]

    def numbers(self) -> MixtureNumbers:
        """See `Law.numbers`."""
        return self._numbers

    @cached_property
    def _numbers(self) -> MixtureNumbers:
        import numpy as np

        from emulator.model.laws.drawing import bounds_of

        bounds, means = bounds_of([part.share for part in self.made]), np.array([part.mean for part in self.made])
        return MixtureNumbers(bounds, means, tuple(part.law.numbers() for part in self.made))

    def is_in_order(self) -> bool:
        """See `Law.is_in_order`."""
        return any(part.law.is_in_order() for part in self.made)

    def variance(self) -> float:
        """See `Law.variance`."""
        squares = (part.share * part.mean**2 * (1.0 + part.law.variance()) for part in self.made if part.share > 0.0)
        return sum(squares) - 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        total = np.zeros_like(work)
        for part in self.made:
            total += part.share * (part.law.cdf(work / part.mean) if part.mean > 0.0 else np.ones_like(work))
        return total

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Mixture:
        """See `Law.sample`."""
        names = generator.choice([*SINGLE_LAWS], size=int(generator.integers(1, 5)), replace=False)
        laws = [SINGLE_LAWS[str(name)].sample(generator) for name in names]
        means = generator.uniform(0.1, 5.0, len(laws)).tolist()
        parts = [law.model_dump(exclude_none=True) | {"mean": mean} for law, mean in zip(laws, means, strict=True)]
        return cls(weights=generator.uniform(0.1, 3.0, len(laws)).tolist(), parts=parts)


def _made(part: Any, key: str) -> tuple[float, Law]:
    """Return the mean and the law of a part as it is written. Raises `ScenarioError`."""
    keys = {"law": part} if isinstance(part, str) else part
    if not isinstance(keys, dict):
        raise ScenarioError(key, f"must be a law's name or a mapping with law, got {show(part)}")
    name, mean = keys.get("law"), keys.get("mean", 1.0)
    if name not in SINGLE_LAWS:
        where = f"{key}.law" if "law" in keys and isinstance(part, dict) else key
        told = f", got {show(name)}" if "law" in keys else ""
        raise ScenarioError(where, f"must be a law that is no mixture and no class: {', '.join(SINGLE_LAWS)}{told}")
    if not isinstance(mean, int | float) or isinstance(mean, bool) or not 0.0 <= mean < float("inf"):
        raise ScenarioError(f"{key}.mean", f"must be a number >= 0, got {show(mean)}")
    rest = {name: value for name, value in keys.items() if name not in ("law", "mean")}
    try:
        return float(mean), checked(SINGLE_LAWS[name], rest, untold="law")
    except ScenarioError as error:
        raise ScenarioError(f"{key}.{error.key}".rstrip("."), error.message) from None
