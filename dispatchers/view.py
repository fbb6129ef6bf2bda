"""The view: all that a scheduler knows when it decides.

A new field is one attribute of `View`, and where an engine has it from (`emulator.engines.observations`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from dispatchers.errors import DispatcherError
from dispatchers.information import text_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

Draws = Literal["job", "epoch"]
"""How often something is drawn: for each job, or once per scheduler and epoch."""

BY_SERVER, BY_SCHEDULER, CARRIED = "rows x columns", "rows", "rows x hidden"
"""Shapes of fields with a row for each scheduler: one per accessible server, one in all, one per number carried."""

FIELDS: dict[str, Field[Any]] = {}
"""The fields of a view by name, in the order in which they are defined."""

T = TypeVar("T")


class Sizes(NamedTuple):
    """What random values of a field are drawn for."""

    accessible: Booleans
    buffer: int
    delta_t: float
    hidden: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.accessible.shape
        return rows, columns


class Reader(NamedTuple):
    """Who reads a view: the name of a rule, and the kinds of information that it declares."""

    name: str
    information: frozenset[str]


@dataclass(eq=False)
class Field(Generic[T]):
    """One thing that a view holds; as an attribute of a view it is the value, which a rule may read if it declares it.

    `whose` says who shares a value: "decision" (one scheduler and epoch alone), "scheduler" (schedulers that observe
    the same) or "all". A padded column holds `padding`, its own number if that is None. `lasts` is true for what never
    changes in a system. `information` is the kind that a rule has to declare, None for what every scheduler knows.
    `random` draws values for `random_view`. A field with `column_0_of` is column 0 of another one.
    """

    meaning: str
    shape: str
    dtype: type
    whose: Literal["decision", "scheduler", "all"] = "scheduler"
    padding: float | None = 0
    lasts: bool = False
    information: str | None = None
    column_0_of: str | None = None
    random: Callable[[np.random.Generator, Sizes], Any] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.__doc__ = name, self.meaning
        FIELDS[name] = self

    @overload
    def __get__(self, view: None, owner: type) -> Field[T]: ...
    @overload
    def __get__(self, view: View, owner: type) -> T: ...
    def __get__(self, view: View | None, owner: type) -> Any:
        """Return a view's value, and note that it was read."""
        return self if view is None else view._read(self)

    def padded(self, values: Any, accessible: Booleans) -> NDArray[Any]:
        """Return values (rows x columns) of the field's type, with its padding where nothing is accessible."""
        padding = np.arange(accessible.shape[1]) if self.padding is None else self.padding
        return np.where(accessible, values, padding).astype(self.dtype, copy=False)


class View:
    """What `rows` schedulers know when they decide: one row per scheduler, one column per accessible server.

    The own server stands in column 0 where schedulers have one (`has_own`); where they have none, what needs it is
    refused. Schedulers with fewer servers than others have padded columns at the end. All arrays are read-only. `read`
    notes what was looked at: rows that differ in nothing that a rule looks at get the same answer, so it is asked once
    for all of them.
    """

    queue_lengths = Field[Integers](
        "Jobs in each accessible server, as last received.",
        BY_SERVER,
        np.int64,
        information="broadcast",
        random=lambda generator, sizes: generator.integers(0, sizes.buffer + 1, sizes.shape),
    )
    own_lengths = Field[Integers](
        "Jobs in the own server, as last received: column 0 of `queue_lengths`.",
        BY_SCHEDULER,
        np.int64,
        information="broadcast",
        column_0_of="queue_lengths",
    )
    service_rates = Field[Floats](
        "Jobs per ms that each accessible server serves, as last received.",
        BY_SERVER,
        np.float64,
        padding=1,
        lasts=True,
        information="broadcast",
        random=lambda generator, sizes: generator.choice([0.5, 1.0, 2.0, 3.0], sizes.shape),
    )
    accessible = Field[Booleans](
        "False in padded columns, which no job may go to.",
        BY_SERVER,
        np.bool_,
        lasts=True,
        random=lambda generator, sizes: sizes.accessible,
    )
    sharing = Field[Integers](
        "How many schedulers can access each accessible server.",
        BY_SERVER,
        np.int64,
        padding=1,
        lasts=True,
        random=lambda generator, sizes: generator.integers(1, 7, sizes.shape),
    )
    buffer = Field[int](
        "Jobs that a server holds, the one in service included.",
        "",
        int,
        whose="all",
        lasts=True,
        random=lambda generator, sizes: sizes.buffer,
    )
    delta_t = Field[float](
        "Time between broadcasts, ms.",
        "",
        float,
        whose="all",
        lasts=True,
        random=lambda generator, sizes: sizes.delta_t,
    )
    coins = Field[Floats](
        "The decision coin, uniform on [0, 1): for ties and actions that hold for the epoch.",
        BY_SCHEDULER,
        np.float64,
        whose="decision",
        random=lambda generator, sizes: generator.random(sizes.shape[0]),
    )
    order = Field[Integers](
        "The accessible columns in an order drawn once per scheduler and epoch, then the padded ones.",
        BY_SERVER,
        np.int64,
        whose="decision",
        padding=None,
        random=lambda generator, sizes: np.argsort(
            np.where(sizes.accessible, generator.random(sizes.shape), 2.0 + np.arange(sizes.shape[1])), axis=1
        ),
    )
    age = Field[Floats](
        "Time since what is known of each accessible server was so, ms; all know that queues are empty at time 0.",
        BY_SERVER,
        np.float64,
        whose="decision",
        information="broadcast",
        random=lambda generator, sizes: generator.choice([0.0, 1.5, 7.25], sizes.shape),
    )
    schedulers = Field[Integers](
        "The index of each scheduler.",
        BY_SCHEDULER,
        np.int64,
        lasts=True,
        random=lambda generator, sizes: generator.permutation(sizes.shape[0]),
    )
    hidden = Field[Floats](
        "The numbers that a recurrent rule carries from its last decision; zeros before the first of an episode.",
        CARRIED,
        np.float64,
        random=lambda generator, sizes: np.zeros((sizes.shape[0], sizes.hidden)),
    )
    distribution = Field[Floats](
        "The share of all servers with each queue length 0..buffer.",
        "buffer + 1",
        np.float64,
        whose="all",
        information="global",
        random=lambda generator, sizes: generator.dirichlet(np.ones(sizes.buffer + 1)),
    )

    def __init__(self, later: Callable[[str], Any] | None = None, /, *, has_own: bool = True, **told: Any):
        """Make a view of the values of its fields, by name; any other value is what `later(name)` returns when read."""
        self.has_own = has_own
        """Whether column 0 is the own server."""
        if unknown := told.keys() - FIELDS.keys():
            raise TypeError(f"a view has no {', '.join(sorted(unknown))}, its fields are {', '.join(FIELDS)}")
        self.read: set[str] = set()
        """The fields that were read and can differ between rows: an answer depends on nothing else of its row."""
        self.reader: Reader | None = None
        """The rule that is being asked, which may read what it declares; while there is none all may be read."""
        self._later = later or _nothing
        self._values = {name: _read_only(value) for name, value in told.items()}

    def _read(self, field: Field[Any]) -> Any:
        if self.reader is not None and field.information not in (None, *self.reader.information):
            name, information = self.reader
            raise DispatcherError(
                f"{name}: reads view.{field.name}, so its information must include {field.information}, "
                f"got {text_of(information)}"
            )
        if field.column_0_of is not None:
            self._need_own(f"reads view.{field.name}")
        if field.whose != "all":
            self.read.add(field.name)
        return self.value(field.name)

    def value(self, name: str) -> Any:
        """Return the value of a field, which counts as read by nobody."""
        if name not in self._values:
            whole = FIELDS[name].column_0_of
            self._values[name] = _read_only(self._later(name) if whole is None else self.value(whole)[:, 0])
        return self._values[name]

    def _need_own(self, what: str) -> None:
        if not self.has_own:
            name = f"{self.reader.name}: " if self.reader is not None else ""
            raise DispatcherError(f"{name}{what}, but schedulers have no own server here, unless topology.home says so")

    @property
    def reusable(self) -> bool:
        """True while nothing was read that belongs to one scheduler and epoch alone."""
        return self.read.isdisjoint(OF_ONE_DECISION)

    @property
    def rows(self) -> int:
        """How many schedulers ask."""
        return len(self.accessible)

    @property
    def degrees(self) -> Integers:
        """How many servers each scheduler can access, its own included."""
        return self.accessible.sum(axis=1)

    def own(self) -> Floats:
        """Probabilities that keep every job at the own server."""
        self._need_own("keeps jobs at the own server")
        answer = np.zeros(self.accessible.shape)
        answer[:, 0] = 1.0
        return answer

    def uniform(self) -> Floats:
        """Probabilities uniform over the accessible servers, the own one included."""
        return self.accessible / self.degrees[:, None]

    def any_neighbour(self) -> Floats:
        """Probabilities uniform over the accessible servers except the own; a scheduler without any keeps its jobs."""
        self._need_own("sends jobs to any but the own server")
        neighbours = self.degrees[:, None] - 1
        answer = np.where(self.accessible, 1.0, 0.0) / np.maximum(neighbours, 1)
        answer[:, 0] = neighbours[:, 0] == 0
        return answer

    def offload(self, probability: Floats, draws: Draws = "job") -> Floats:
        """Send a job with `probability` (one per row) to a uniformly random neighbour, else keep it (section 1.2.3).

        The action, to offload or not, is drawn anew for each job, or by the decision coin for all jobs of the epoch.
        """
        self._need_own("offloads from the own server")
        share = np.asarray(probability, dtype=np.float64).reshape(-1, 1)
        if draws == "epoch":
            share = (self.coins[:, None] < share).astype(np.float64)
        return (1.0 - share) * self.own() + share * self.any_neighbour()

    def least(self, cost: Floats | Integers) -> Floats:
        """Probabilities uniform over the accessible servers of least `cost` (rows x columns)."""
        cost = np.where(self.accessible, cost, np.inf)
        chosen = cost == cost.min(axis=1, keepdims=True)
        return chosen / chosen.sum(axis=1, keepdims=True)


OF_ONE_DECISION = frozenset(name for name, field in FIELDS.items() if field.whose == "decision")
"""Fields of one scheduler and epoch alone: an answer that depends on one of them is never reused for another row."""


def random_view(
    generator: np.random.Generator,
    *,
    rows: int = 32,
    degrees: Sequence[int] = (1, 2, 3, 5),
    buffer: int = 5,
    delta_t: float = 5.0,
    hidden: int = 0,
    has_own: bool = True,
) -> View:
    """Return a view of random knowledge, in which each of `degrees` (accessible servers) occurs; `hidden` is zeros."""
    counts = np.array(degrees)[generator.permutation(np.arange(rows) % len(degrees))]
    sizes = Sizes(np.arange(max(degrees)) < counts[:, None], buffer, delta_t, hidden)
    told = {name: _random(field, generator, sizes) for name, field in FIELDS.items() if field.random}
    return View(has_own=has_own, **told)


def select_rows(view: View, rows: Any) -> View:
    """Return a view of some rows, in the order given."""

    def later(name: str) -> Any:
        value = view.value(name)
        return value if FIELDS[name].whose == "all" else value[rows]

    return View(later, has_own=view.has_own)


def an_epoch_later(generator: np.random.Generator, view: View, hidden: Floats) -> View:
    """Return a view of the same schedulers, which now carry `hidden`, with new random values of all that changes."""
    sizes = Sizes(view.accessible, view.buffer, view.delta_t, hidden.shape[1])
    changing = {name: field for name, field in FIELDS.items() if field.random and not field.lasts}
    told = {name: _random(field, generator, sizes) for name, field in changing.items()}
    return View(view.value, has_own=view.has_own, **told | {"hidden": hidden})


def _random(field: Field[Any], generator: np.random.Generator, sizes: Sizes) -> Any:
    assert field.random is not None
    values = field.random(generator, sizes)
    return field.padded(values, sizes.accessible) if field.shape == BY_SERVER else values


def distinct(rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first of each set of rows that are equal in every bit, and for each row the number of its set."""
    row_of_bytes = np.dtype((np.void, rows.shape[1] * rows.itemsize))  # sorts 20 times as fast as a row
    _, first, number = np.unique(
        np.ascontiguousarray(rows).view(row_of_bytes)[:, 0], return_index=True, return_inverse=True
    )
    return first, number


def _nothing(name: str) -> NoReturn:
    raise DispatcherError(f"view.{name} is not known here")


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
