"""Arrivals of a trace: those that somebody has recorded, replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.machine.files import lasting_file
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.text import show, text_of

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.arrivals.records import Records

UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6}
"""Units of time, in ms."""

_FORM = WithJsonSchema(
    {"anyOf": [{"type": "string", "minLength": 1}, {"type": "object", "additionalProperties": {"type": "number"}}]}
)

ASSIGNED_LIMIT = 2**28
"""Records of an episode that are shared out at random or by a column."""

Positive = Annotated[float, Field(gt=0)]


def _linear_form(value: Any) -> Any:
    if isinstance(value, str) and value:
        return {value: 1.0}
    if not isinstance(value, dict) or not value:
        raise ScenarioError("", f"must be a column or a mapping of columns to factors, got {show(value)}")
    return value


class TraceReplay(ArrivalProcess):
    """Arrivals of a trace, replayed: at its end it begins anew."""

    kind: Literal["trace"] = "trace"
    path: Annotated[str, Field(min_length=1)]
    """The file: CSV, JSON lines or Parquet, gzipped or not."""
    time: Annotated[str, Field(min_length=1)]
    """The column that says when: dates, or numbers of the `unit`."""
    unit: Literal["ns", "us", "ms", "s", "min", "h"] | None = None
    """Of times that are numbers; without one, `rate` must say how fast it goes."""
    work: Annotated[dict[str, float], BeforeValidator(_linear_form), _FORM] | None = None
    """Columns that say how much work a job is, with their factors, or one column; the sum is divided by its mean. If
    not given, the law of work says it."""
    rate: Positive | None = None
    """Arrivals per ms of the mean scheduler, to which time is scaled; with speed, to which `rotate` thins."""
    speed: Positive | None = None
    """How much faster than recorded; 1 if there is no rate either."""
    assign: Literal["round_robin", "random", "column", "rotate"] = "round_robin"
    """Which scheduler meets what: each record one of them, in turn, at random or by the hash of a column, or all of
    them everything, each shifted by an amount of its own around the trace."""
    column: Annotated[str, Field(min_length=1)] | None = None
    """The column by which records are shared out, beside assign: column."""
    spread: Annotated[float, Field(ge=0)] = 0.0
    """Each time is put later by up to as much, ms, where the file's are rounded; before `speed` or `rate`."""

    @model_validator(mode="after")
    def _check(self) -> TraceReplay:
        if self.rate is not None and self.speed is not None and self.assign != "rotate":
            raise ScenarioError("speed", "must not stand beside rate, for both scale time, unless assign is rotate")
        if (self.column is None) == (self.assign == "column"):
            told = "is missing: which column's hash says who meets a record"
            raise ScenarioError("column", told if self.column is None else "must stand beside assign: column")
        if self.weights is not None and self.assign in ("round_robin", "column"):
            raise ScenarioError("weights", f"must stand beside assign: random or rotate, got {self.assign}")
        return self

    def files(self) -> dict[str, str]:
        """See `ArrivalProcess.files`."""
        return super().files() | {"records of the trace": self.path}

    @property
    def brings_work(self) -> bool:
        """See `ArrivalProcess.brings_work`."""
        return self.work is not None

    def records(self) -> Records:
        """Read the file. Raises `InputError`."""
        from emulator.model.arrivals.records import read_records

        ms = None if self.unit is None else UNITS[self.unit]
        form = tuple((self.work or {}).items())
        records = read_records(self.path, self.time, ms, form, self.column, is_scaled=self.rate is not None)
        return records._replace(cycle=max(records.cycle, float(records.times[-1]) + self.spread))

    def recorded_rate(self, schedulers: int, largest_weight: float) -> float:
        """Return the records per ms as they are replayed, all together. Raises `InputError`."""
        records = self.records()
        if self.speed is not None or self.rate is None:
            return len(records.times) / records.cycle * (self.speed or 1.0)
        return self.rate * (largest_weight if self.assign == "rotate" else schedulers)

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        if self.rate is not None:
            return self.rate
        largest = float(self.weights_of(schedulers, 0).max())
        return self.recorded_rate(schedulers, largest) / (largest if self.assign == "rotate" else schedulers)

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`; bursts of the trace are not looked at."""
        return self.expected_rate(schedulers)

    def check(self, schedulers: int, horizon: float) -> None:
        """See `ArrivalProcess.check`."""
        super().check(schedulers, horizon)
        largest = float(self.weights_of(schedulers, 0).max())
        try:
            self.records()
            recorded = self.recorded_rate(schedulers, largest)
        except ScenarioError:
            raise
        except InputError as error:
            raise ScenarioError("path", str(error)) from None
        if self.rate is not None and self.speed is not None and largest * self.rate > recorded * (1.0 + 1e-12):
            told = f"must be at most {recorded / largest:.6g}, which is all records for the busiest scheduler"
            raise ScenarioError("rate", f"{told}, at speed {text_of(self.speed)}; got {text_of(self.rate)}")
        count = recorded * horizon
        if self.assign in ("random", "column") and count > ASSIGNED_LIMIT:
            told = f"{self.assign} must share out at most {ASSIGNED_LIMIT:,} records up to the horizon, got {count:.3g}"
            raise ScenarioError("assign", f"{told}; round_robin and rotate can have more")

    def dispersion(self) -> None:
        """See `ArrivalProcess.dispersion`."""

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        from emulator.model.arrivals.replay import assigned, rotating, scaled

        weights, largest = setting.weights, float(setting.weights.max())
        rate = self.recorded_rate(len(weights), largest)
        records = scaled(self.records(), rate, self.spread, setting)
        if self.assign != "rotate":
            return assigned(records, setting, at_random=self.assign == "random")
        share = 1.0 / largest if self.rate is None or self.speed is None else self.rate / rate
        return rotating(records, rate, weights * share, setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> TraceReplay:
        """See `ArrivalProcess.sample`: a file of its own in the folder for such, which lasts as long as the process."""
        count = int(generator.integers(2, 60))
        times = generator.integers(0, 40, count).cumsum() // 4
        times[-1] += 1
        rows = zip(times.tolist(), generator.integers(1, 9, count).tolist(), strict=True)
        text = "\n".join(["when,size", *(f"{time},{size}" for time, size in rows), ""])
        assign: Any = generator.choice(["round_robin", "random", "column", "rotate"]).item()
        return cls(
            path=lasting_file(text, "trace.csv"),
            time="when",
            unit="ms",
            work={"size": 1.0} if generator.random() < 0.5 else None,
            rate=float(generator.uniform(0.2, 1.5)),
            assign=assign,
            column="size" if assign == "column" else None,
            spread=float(generator.choice([0.0, 1.0])),
        )
