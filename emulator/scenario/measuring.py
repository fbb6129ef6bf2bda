"""The keys of a scenario that say how well something is to be known, and what servers take: `precision`, `power`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from emulator.keys import ScenarioError, Section
from emulator.model.measuring import Power
from emulator.text import show

Watts = Annotated[float, Field(ge=0)]


class Precision(Section):
    """How well a measure is to be known: a number is the half width for drops_per_queue."""

    short: ClassVar[dict[str, Any]] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    """What may stand for the mapping, as JSON Schema."""

    of: Annotated[str, Field(min_length=1)] = "drops_per_queue"
    """The measure, by its name or its short name, such as p99_sojourn_time or p99."""
    half_width: Annotated[float, Field(gt=0, lt=1)]
    """Half of the 95 % interval, as a share of the measure."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, list | dict | cls):
            return value
        if isinstance(value, bool | str) or not isinstance(value, int | float) or not 0 < value < 1:
            allowed = "must be a number between 0 and 1, or a mapping with of and half_width"
            raise ScenarioError("", f"{allowed}, got {show(value)}")
        return {"half_width": float(value)}


class PowerKeys(Section):
    """What a server takes."""

    busy: Watts
    """What a server takes while it serves, W."""
    idle: Watts
    """What a server takes while it is up and has nothing to do, W."""
    down: Watts = 0.0
    """What a server takes while it is down, W."""

    def power(self) -> Power:
        """Return the same for the system."""
        return Power(self.busy, self.idle, self.down)
