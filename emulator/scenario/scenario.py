"""One resolved scenario, the only description of its keys: messages, sweeps and the JSON Schema follow from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section, Seed, checked
from emulator.model.arrivals.switched import Switched
from emulator.model.laws import LAWS, Law
from emulator.model.network import SAMPLE_LIMIT
from emulator.model.topologies import TOPOLOGIES
from emulator.model.topologies.file import FileLatency
from emulator.model.topologies.kind import TopologyKind, check_size
from emulator.scenario import arrivals as arrival_keys
from emulator.scenario.arrivals import AnyArrivals, RenewalKeys
from emulator.scenario.dispatchers import DispatcherSpec
from emulator.scenario.measuring import PowerKeys, Precision
from emulator.scenario.network import (
    Decide,
    Dispatch,
    Jitter,
    LatencyKeys,
    LossKeys,
    Messages,
    Period,
    When,
    network_of,
)
from emulator.scenario.plot import Plot, Reference
from emulator.scenario.plugins import PluggedLaw, PluggedTopology, Plugin
from emulator.scenario.servers import (
    Backoff,
    ClassKeys,
    ClassWork,
    FailureKeys,
    Order,
    PatienceKeys,
    RetryKeys,
    ServerKeys,
    UpOrDown,
    check_servers,
    station_of,
)
from emulator.scenario.training import Training
from emulator.text import show, text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emulator.model.measuring import Measuring
    from emulator.model.network import Network
    from emulator.model.station import Station
    from emulator.model.system import System
    from emulator.model.topology import AnyTopology as BuiltTopology

EPOCH_LIMIT = 10_000_000
"""Epochs of an episode."""

EPOCH_JOB_LIMIT = 1_000_000_000
"""Expected jobs of all schedulers in one epoch, which an engine holds in memory at once."""

AnySection = TypeVar("AnySection", bound=Section)
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


def _plugged(plugin: type[Plugin]) -> WrapValidator:
    """Let a key take what plugins are made of, beside what is built in."""

    def either(value: Any, built_in: Callable[[Any], Any]) -> Any:
        return plugin.model_validate(value) if plugin.takes(value) else built_in(value)

    return WrapValidator(either)


if TYPE_CHECKING:
    AnyTopology = TopologyKind | PluggedTopology
    AnyLaw = str | PluggedLaw
else:
    BuiltInTopology = Annotated[reduce(or_, TOPOLOGIES.values()), Field(discriminator="kind")]
    AnyTopology = Annotated[BuiltInTopology, _plugged(PluggedTopology), SerializeAsAny()]
    AnyLaw = Annotated[Literal[tuple(LAWS)], _plugged(PluggedLaw), SerializeAsAny()]


class Service(Section):
    """How fast the servers are, and the law of a job's work, which has mean 1."""

    rate: Positive | None = None
    """Service rate of every server, jobs per ms; 1 if there are no rates either."""
    rates: Annotated[list[Positive], Field(min_length=1)] | None = None
    """Service rates, jobs per ms, shared out as `assignment` says."""
    assignment: Literal["random", "given"] | None = None
    """random: each server draws one of the rates, all equally likely; given: one rate for each server."""
    work: AnyLaw = "exponential"
    """The law of a job's work."""
    scv: Annotated[float, Field(gt=1, le=1_000_000)] | None = None
    """Squared coefficient of variation of hyperexponential work."""
    speeds: Annotated[list[Positive], Field(min_length=1)] | None = None
    """Factors of the service rate with 1, 2 ... jobs present; the last one holds for more."""

    @model_validator(mode="before")
    @classmethod
    def _default_rate(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("rate") is None and data.get("rates") is None:
            return {**data, "rate": 1.0}
        return data

    @model_validator(mode="after")
    def _check(self) -> Service:
        if self.rate is not None and self.rates is not None:
            raise ScenarioError("rates", "must not stand beside rate: the servers have one rate in common or several")
        if self.rates is not None and self.assignment is None:
            raise ScenarioError("assignment", "is missing; beside rates it must be random or given")
        if self.rates is None and self.assignment is not None:
            raise ScenarioError("assignment", "must stand beside rates, but there are none")
        if self.work == "hyperexponential" and self.scv is None:
            raise ScenarioError("scv", "is missing; with work: hyperexponential it must be > 1")
        if self.work != "hyperexponential" and self.scv is not None:
            got = self.work if isinstance(self.work, str) else "a mapping, which holds its own keys"
            raise ScenarioError("scv", f"must stand beside work: hyperexponential, got {got}")
        if isinstance(self.work, str):
            self._check_name(self.work)
        elif isinstance(self.work, PluggedLaw) and self.work.name in LAWS and "mean" in self.work.options:
            raise ScenarioError("work.mean", "must not be given: work has mean 1, and rate says how fast it is done")
        return self

    def _check_name(self, name: str) -> None:
        """Check that a law, whose name stands alone, needs no keys of its own."""
        try:
            checked(LAWS[name], {} if self.scv is None else {"scv": self.scv}, untold="law")
        except ScenarioError as error:
            if self.scv is not None:
                raise
            raise ScenarioError("work", f"must be a mapping, {{law: {name}, ...}}: {error}") from None

    def law(self) -> Law:
        """Return the law of work. Raises `ScenarioError`."""
        if isinstance(self.work, PluggedLaw):
            return self.work.made()
        return LAWS[self.work].model_validate({} if self.scv is None else {"scv": self.scv})

    def rates_of(self, servers: int, seed: int) -> NDArray[np.float64]:
        """Return the service rate of each of so many servers, jobs per ms."""
        import numpy as np

        from emulator.randomness import SERVICE, random_words

        if self.rates is None:
            return np.full(servers, self.rate)
        rates = np.array(self.rates)
        if self.assignment == "given":
            return rates
        halves = random_words(seed, SERVICE, servers) >> np.uint64(32)
        choices = (halves * np.uint64(len(rates))) >> np.uint64(32)  # each equally likely to within 2**-32
        return rates[choices.astype(np.int64)]


class Trace(Section):
    """Of how many replications, counted from the first, traces are written."""

    jobs: Count = 0
    """Replications whose jobs are traced."""
    epochs: Count = 0
    """Replications whose queues and decisions are traced epoch by epoch."""
    messages: Count = 0
    """Replications whose messages are traced."""
    nodes: Count = 0
    """Replications of which each server and scheduler is told."""


class Sizes(NamedTuple):
    """What has to be known of a topology for a scenario to be checked."""

    schedulers: int
    servers: int
    has_lengths: bool
    """Whether its edges have lengths."""

    @classmethod
    def of(cls, topology: BuiltTopology) -> Sizes:
        """Return those of a topology."""
        return cls(topology.schedulers, topology.servers, topology.access.lengths is not None)


def _folder_name(text: str) -> str:
    if not re.fullmatch(r"\w([\w .+-]{0,98}[\w+-])?", text):
        allowed = "up to 100 letters, digits, blanks and . _ + -, beginning with a letter or digit"
        raise ScenarioError("", f"must do as the name of a folder ({allowed}), got {show(text)}")
    return text


class Scenario(Section):
    """One experiment: a network, its load, and the dispatchers to compare."""

    name: Annotated[str, AfterValidator(_folder_name)]
    """What the results are called; by default the file's name without its ending. `extends` leaves it out."""
    folder: Annotated[str, Field(min_length=1)] = "."
    """Where relative paths and modules of dispatchers start; by default beside the file that lists them."""
    topology: AnyTopology
    """Which servers each scheduler can access: neighbours in a graph, or those of a list."""
    delta_t: Positive
    """Time between broadcasts, ms."""
    horizon: Positive = 50.0
    """Simulated time, ms."""
    buffer: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Jobs that a server holds, the one in service included."""
    arrivals: AnyArrivals = Switched()
    """How jobs arrive: by a kind, or, without one, at rates that are high and low."""
    service: Service = Service(rate=1.0)
    """Service rates and the law of work."""
    server: ServerKeys = ServerKeys()
    """How a server serves its jobs; by default one after another, in order of arrival."""
    classes: Annotated[list[ClassKeys], Field(min_length=1)] | None = None
    """Classes of jobs; all jobs are alike if not given."""
    patience: PatienceKeys | None = None
    """How long jobs are ready to wait; for ever if not given."""
    failures: FailureKeys | None = None
    """When servers fail; never if not given."""
    retries: RetryKeys | None = None
    """Which jobs that failed are tried again; none if not given."""
    messages: Messages = Messages()
    """How schedulers learn of servers; by default every server broadcasts at each epoch's start, and all arrives."""
    decide: Decide = Decide()
    """When schedulers decide: on_delivery, at each instant with a message for them, or by a clock of their own."""
    dispatch: Dispatch = Dispatch()
    """How jobs come to servers; by default at once."""
    replications: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Independent repetitions; at most as many where a precision is asked for."""
    precision: Precision | None = None
    """Stop when each 95 % interval is within this share of its middle, for drops or for another measure."""
    paired_precision: Precision | None = None
    """Stop when each paired difference's 95 % interval is within this share of the difference."""
    warmup: Annotated[float, Field(ge=0)] = 0.0
    """Jobs that are born before, and times before, are left out of what is measured, ms."""
    batches: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Into how many batches one long run is cut, whose means tell its precision; beside replications: 1."""
    measures: Literal["usual", "all"] = "usual"
    """all: also what takes more time: waiting times, time shares of queue lengths, fairness."""
    power: PowerKeys | None = None
    """What a server takes while it is busy, idle or down, W: gives the energy."""
    seed: Seed = 1
    """Seed of all randomness."""
    engine: Literal["auto", "simpy", "compiled", "ordered"] = "auto"
    """Which engine emulates; auto: the first replication SimPy and a compiled one, which must agree, then that."""
    compared_points: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Under engine auto, at how many points of a sweep SimPy emulates, too: spread over all, the first and the last
    among them; at every one if not given."""
    trace: Trace = Trace()
    """Which traces are written."""
    plot: Plot = Plot()
    """What the picture shows."""
    training: Training | None = None
    """How policies are learned on this system, by `python -m policies`; the emulator takes no notice."""
    # Last, because options may refer to all keys above.
    dispatchers: Annotated[list[DispatcherSpec], Field(min_length=1)]
    """The dispatchers; paired differences are taken to the first."""

    @field_validator("topology")
    @classmethod
    def _find_topology(cls, topology: AnyTopology, info: ValidationInfo) -> AnyTopology:
        return topology.resolved(_folder_in(info)) if isinstance(topology, PluggedTopology) else topology

    @field_validator("service")
    @classmethod
    def _find_law(cls, service: Service, info: ValidationInfo) -> Service:
        if not isinstance(service.work, PluggedLaw):
            return service
        try:
            return service.model_copy(update={"work": service.work.resolved(_folder_in(info))})
        except ScenarioError as error:
            raise ScenarioError(f"work.{error.key}".rstrip("."), error.message) from None

    @field_validator("messages", "dispatch", "arrivals", "patience", "failures", "retries")
    @classmethod
    def _find_laws(cls, section: Section | None, info: ValidationInfo) -> Section | None:
        return None if section is None else _laws_found(section, _folder_in(info))

    @field_validator("classes")
    @classmethod
    def _find_laws_of_classes(cls, classes: list[ClassKeys] | None, info: ValidationInfo) -> list[ClassKeys] | None:
        found = [_laws_found(one, _folder_in(info), f"{place}.") for place, one in enumerate(classes or [])]
        return found or None

    @field_validator("dispatchers")
    @classmethod
    def _resolve(cls, specs: list[DispatcherSpec], info: ValidationInfo) -> list[DispatcherSpec]:
        if len(info.data) < len(cls.model_fields) - 1:
            return specs  # another key is wrong, which is told
        values, folder = single_values(info.data), Path(info.data["folder"])
        resolved = []
        for index, spec in enumerate(specs):
            try:
                resolved.append(spec.resolved(values, folder))
            except ScenarioError as error:
                raise ScenarioError(f"{index}.{error.key}", error.message) from None
        return resolved

    @model_validator(mode="after")
    def _check(self) -> Scenario:
        if self.horizon > EPOCH_LIMIT * self.delta_t:
            limit = f"at most {EPOCH_LIMIT} epochs up to the horizon {text_of(self.horizon)}"
            raise ScenarioError("delta_t", f"must make {limit}, got {text_of(self.delta_t)}")
        if self.warmup >= self.horizon:
            raise ScenarioError("warmup", f"must be < horizon {text_of(self.horizon)}, got {text_of(self.warmup)}")
        if self.batches is not None and self.replications != 1:
            raise ScenarioError("batches", f"must stand beside replications: 1, got {self.replications}")
        for key in ("precision", "paired_precision"):
            if self.batches is not None and getattr(self, key) is not None:
                raise ScenarioError(key, "must not stand beside batches, which are of one run")
        if self.engine in ("compiled", "ordered") and self.trace.messages:
            allowed = "must be auto or simpy where messages are traced, for they travel in SimPy alone"
            raise ScenarioError("engine", f"{allowed}, got {self.engine}")
        if self.engine == "compiled" and not self.network().is_synchronous:
            allowed = "must be auto, simpy or ordered where schedulers do not hear and decide in step"
            raise ScenarioError("engine", f"{allowed}, got compiled")
        if self.engine == "compiled" and self.has_feedback():
            allowed = "must be auto, simpy or ordered where jobs arrive because of what has become of others"
            raise ScenarioError("engine", f"{allowed}, got compiled")
        check_servers(self.buffer, *self._station_keys())
        if self.arrivals.brings_work:
            self._check_no_law_of_work()
        if not self.topology.is_read:
            self._check_sizes(self.topology.scheduler_count(), self.topology.server_count())
        return self

    def _check_no_law_of_work(self) -> None:
        told = "must be left out, for arrivals.work says how much work jobs are"
        if self.service.work != "exponential" or self.service.scv is not None:
            raise ScenarioError("service.work", told)
        for place, one in enumerate(self.classes or ()):
            if one.work is not None:
                raise ScenarioError(f"classes.{place}.work", told)

    @model_validator(mode="after")
    def _check_in_order(self) -> Scenario:
        if self.arrivals.is_by_epoch and self.service.law().is_in_order():
            told = "must not be drawn in_order with arrivals by high and low, which number jobs anew in each epoch"
            raise ScenarioError("service.work", told)
        return self

    def plugins(self) -> dict[str, Plugin]:
        """Return the classes of users that are not dispatchers, by what results call them."""
        plugins: dict[str, Any] = {"the topology": self.topology, "the law of work": self.service.work}
        for section in ("messages", "dispatch", "arrivals", "failures", "retries"):
            plugins |= {f"the law of {section}.{key}": value for key, value in getattr(self, section) or ()}
        plugins["the law of patience"] = self.patience
        plugins |= {f"the law of class {one.name}": one.work for one in self.classes or ()}
        return {name: plugin for name, plugin in plugins.items() if isinstance(plugin, Plugin)}

    def measuring(self) -> Measuring:
        """Return what is measured."""
        from emulator.model.measuring import Measuring

        power = None if self.power is None else self.power.power()
        return Measuring(self.warmup, self.batches or 0, self.measures == "all", power)

    def network(self) -> Network:
        """Return when messages leave and how they travel, when schedulers decide, how long jobs take to servers."""
        return network_of(self.messages, self.decide, self.dispatch, self.delta_t)

    def station(self) -> Station:
        """Return how servers serve their jobs."""
        return station_of(*self._station_keys())

    def has_feedback(self) -> bool:
        """Return whether jobs arrive because of what has become of others."""
        return self.retries is not None

    def _station_keys(self) -> tuple[Any, ...]:
        return self.server, self.service.speeds, self.classes, self.patience, self.failures, self.retries

    def check_on(self, topology: Sizes) -> None:
        """Check what depends on a topology of this size. Raises `ScenarioError`."""
        self._check_sizes(topology.schedulers, topology.servers)
        if self.arrivals.is_read:
            self._check_arrivals(topology.schedulers)
        network = self.network()
        senders = topology.servers if network.kind == "broadcast" else topology.schedulers
        for key, values, count in (
            ("messages.phase", network.samples and network.samples.phase, senders),
            ("messages.period", network.samples and network.samples.period, senders),
            ("decide.phase", network.decisions and network.decisions.phase, topology.schedulers),
        ):
            if isinstance(values, tuple) and len(values) != count:
                raise ScenarioError(key, f"must hold one time for each of {count}, got {len(values)}")
        for key, clock, count in (
            ("messages.period", network.samples, senders),
            ("decide.every", network.decisions, topology.schedulers),
        ):
            if clock is not None and (instants := clock.rate(count) * self.horizon) > SAMPLE_LIMIT:
                limit = f"at most {SAMPLE_LIMIT:,} instants of all {count:,} in an episode"
                raise ScenarioError(key, f"must make {limit}, got about {instants:.3g}")
        for key, latency in (("messages.latency", network.latency), ("dispatch.latency", network.dispatch)):
            if latency.per_length and not topology.has_lengths:
                raise ScenarioError(key, "needs a topology whose edges have lengths")

    def _check_sizes(self, schedulers: int, servers: int) -> None:
        """Check what depends on how many schedulers and servers there are, which a file must be read for if given."""
        try:
            check_size(schedulers)
            check_size(servers)
        except InputError as error:
            raise ScenarioError("topology", str(error)) from None
        rates = self.service.rates
        if rates is not None and self.service.assignment == "given" and len(rates) != servers:
            each = f"{servers} {'nodes' if schedulers == servers else 'servers'}"
            raise ScenarioError("service.rates", f"must hold one rate for each of {each}, got {len(rates)}")
        if not self.arrivals.is_read:
            self._check_arrivals(schedulers)

    def _check_arrivals(self, schedulers: int) -> None:
        """Check what depends on how many schedulers there are, and on the files that arrivals name."""
        try:
            self.arrivals.check(schedulers, self.horizon)
            rate = self.arrivals.highest_rate(schedulers) * self.arrivals.batch_mean
        except ScenarioError as error:
            raise ScenarioError(f"arrivals.{error.key}", error.message) from None
        except InputError as error:
            raise ScenarioError("arrivals", str(error)) from None
        jobs = rate * min(self.delta_t, self.horizon) * schedulers
        if jobs > EPOCH_JOB_LIMIT:
            raise ScenarioError("arrivals", f"must bring at most {EPOCH_JOB_LIMIT} jobs in an epoch, got {jobs:.3g}")

    def system(self, replication: int = 0) -> System:
        """Build the topology and share out the service rates; those of a replication where each has a graph of its own.

        Raises `ScenarioError`.
        """
        from emulator.model.system import System

        try:
            topology = self.topology.build_for(self.seed, replication)
        except InputError as error:
            raise ScenarioError("topology", str(error)) from None
        except MemoryError:
            raise ScenarioError("topology", "needs more memory than there is") from None
        self.check_on(Sizes.of(topology))
        return System(
            topology=topology,
            delta_t=self.delta_t,
            horizon=self.horizon,
            buffer=self.buffer,
            service_rates=self.service.rates_of(topology.servers, self.seed),
            arrivals=self.arrivals.made() if isinstance(self.arrivals, RenewalKeys) else self.arrivals,
            work=self.service.law(),
            seed=self.seed,
            network=self.network(),
            measuring=self.measuring(),
            station=self.station(),
        )


def _laws_found(section: AnySection, folder: Path, place: str = "") -> AnySection:
    """Return a section, or a time that is drawn, with the modules of laws looked up in a folder."""
    if isinstance(section, Plugin):
        return section.resolved(folder)
    found = {}
    for key, value in section:
        if isinstance(value, Plugin):
            try:
                found[key] = value.resolved(folder)
            except ScenarioError as error:
                raise ScenarioError(f"{place}{key}.{error.key}".rstrip("."), error.message) from None
    return section.model_copy(update=found)


def _folder_in(info: ValidationInfo) -> Path:
    return Path(info.data.get("folder", "."))


def single_values(data: Mapping[str, Any]) -> dict[str, int | float | str]:
    """Return every key, dotted, that holds a number or text; folder and picture say nothing of the experiment."""
    values = {key: value for key, value in data.items() if key not in ("folder", "plot")}
    for key, section in list(values.items()):
        if isinstance(section, Section):
            values.update({f"{key}.{inner.rstrip('_')}": value for inner, value in section})
    return {key: value for key, value in values.items() if isinstance(value, int | float | str)}


SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): Scenario,
    **{("topology", kind): model for kind, model in TOPOLOGIES.items()},
    ("topology", "file", "latency"): FileLatency,
    **arrival_keys.SECTIONS,
    ("service",): Service,
    ("server",): ServerKeys,
    ("server", "order"): Order,
    ("classes",): ClassKeys,
    ("classes", "work"): ClassWork,
    ("patience",): PatienceKeys,
    ("failures",): FailureKeys,
    ("failures", "up"): UpOrDown,
    ("failures", "down"): UpOrDown,
    ("retries",): RetryKeys,
    ("retries", "backoff"): Backoff,
    ("messages",): Messages,
    ("messages", "period"): Period,
    ("messages", "latency"): LatencyKeys,
    ("messages", "jitter"): Jitter,
    ("messages", "loss"): LossKeys,
    ("messages", "when"): When,
    ("decide",): Decide,
    ("dispatch",): Dispatch,
    ("dispatch", "latency"): LatencyKeys,
    ("precision",): Precision,
    ("paired_precision",): Precision,
    ("power",): PowerKeys,
    ("trace",): Trace,
    ("plot",): Plot,
    ("training",): Training,
    ("plot", "reference"): Reference,
}
"""Every mapping of fixed keys by where it stands, the kind of a topology or of arrivals being the second part."""

KINDS: dict[str, dict[str, Any]] = {"topology": dict(TOPOLOGIES), "arrivals": dict(arrival_keys.KINDS)}
"""The mappings that are of kinds, and these."""


def dotted(section: tuple[str, ...], key: str) -> str:
    """Return a key of a section as it is written, without the kind of a topology or of arrivals."""
    return ".".join([*(section[:1] + section[2:] if section[:1] and section[0] in KINDS else section), key])
