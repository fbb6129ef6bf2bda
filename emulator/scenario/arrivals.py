"""The section `arrivals` of a scenario: a process by its kind, or, without one, rates that are high and low."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Discriminator, SerializeAsAny, Tag, model_validator

from emulator.keys import ScenarioError, Section, checked
from emulator.model.arrivals import ARRIVALS, ArrivalProcess, Closed, Renewal, Sessions
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import LAWS
from emulator.scenario.network import DrawnTime
from emulator.scenario.plugins import PluggedLaw
from emulator.text import show

DEFAULT = next(iter(ARRIVALS))
"""The kind of a section that names none."""


class Gap(PluggedLaw):
    """The law of the gaps, of mean 1: its name, or a mapping with its keys."""

    short: ClassVar[dict[str, Any]] = {"enum": list(LAWS)}
    """What may stand for the mapping, as JSON Schema."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in LAWS:
                raise ScenarioError("", f"must be one of {', '.join(LAWS)}, or a mapping with law, got {show(value)}")
            try:
                checked(LAWS[value], {}, untold="law")
            except ScenarioError as error:
                raise ScenarioError("", f"must be a mapping, {{law: {value}, ...}}: {error}") from None
            return {"law": value}
        if not isinstance(value, dict | cls):
            raise ScenarioError("", f"must be the name of a law or a mapping with law, got {show(value)}")
        if isinstance(value, dict) and "mean" in value and "class" not in value:
            raise ScenarioError("mean", "must not be given: it is 1 / rate")
        return value


class Think(DrawnTime):
    """How long clients think: by a law, ms."""

    may_be_none = False


class RenewalKeys(Renewal):
    """Independent gaps of one law, the first of which begins at time 0."""

    gap: Gap = Gap.model_validate("exponential")  # type: ignore[assignment]
    """The law of the gaps; exponential if not given."""


class ClosedKeys(Closed):
    """Clients think, send a job, and think again once it has ended, whatever has become of it."""

    think: Think  # type: ignore[assignment]
    """How long a client thinks, ms: a number, or a law with its mean; a scheduler's weight divides it."""


class SessionsKeys(Sessions):
    """A client's first job comes with it; once a job has ended it leaves, or thinks and sends another one."""

    think: Think  # type: ignore[assignment]
    """How long a client thinks between the end of a job and the next one, ms: a number, or a law with its mean."""


def made_of(process: ArrivalProcess) -> ArrivalProcess:
    """Return a process whose laws are made, given it as a scenario has it."""
    laws = {key: law for key, law in process if isinstance(law, PluggedLaw)}
    if not laws:
        return process
    made = {key: law.duration() if isinstance(law, DrawnTime) else law.made() for key, law in laws.items()}
    return ARRIVALS[process.kind](**{**dict(process), **made})


KINDS: dict[str, type[ArrivalProcess]] = ARRIVALS | {
    "renewal": RenewalKeys,
    "closed": ClosedKeys,
    "sessions": SessionsKeys,
}
"""The processes as a scenario has them, by their kind."""


def _kind_of(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("kind", DEFAULT))
    return str(getattr(value, "kind", DEFAULT))


if TYPE_CHECKING:
    AnyArrivals = ArrivalProcess
else:
    AnyKind = reduce(or_, (Annotated[process, Tag(kind)] for kind, process in KINDS.items()))
    AnyArrivals = Annotated[AnyKind, Discriminator(_kind_of), SerializeAsAny()]

SECTIONS: dict[tuple[str, ...], type[Section]] = {
    **{("arrivals", kind): process for kind, process in KINDS.items()},
    **{("arrivals", kind, "weights"): Weights for kind in KINDS},
    **{("arrivals", kind, "batch"): Batch for kind in KINDS},
    ("arrivals", "renewal", "gap"): Gap,
    ("arrivals", "closed", "think"): Think,
    ("arrivals", "sessions", "think"): Think,
}
"""Every mapping of fixed keys by where it stands, the kind being the second part."""
