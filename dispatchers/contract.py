"""The contract between an engine and a dispatcher: what a scheduler knows, and how it answers.

A dispatcher is written once and asked in two ways. `Dispatcher.route` gives probabilities over the accessible
servers when an epoch's messages have arrived; they hold until the next messages. `PerJobDispatcher.choose` picks
a server for every single job and may remember what this scheduler has itself done since the last messages.
`RecurrentDispatcher.advance` answers as `route` does, and also says what the scheduler carries to its next decision.

All see only a `View`: what messages told this scheduler, and what it was told when it was set up (which servers it
can access, how many others can, the buffer, `delta_t`). Rows are schedulers, columns are accessible servers, the own
server in column 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatchers.errors import DispatcherError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


Draws = Literal["job", "epoch"]
"""How often something is drawn: for each job, or once per scheduler and epoch."""

OWN_TO_A_ROW = ("coins", "order", "age", "schedulers")
"""What a view holds that belongs to one scheduler and epoch alone."""


class View:
    """What `rows` schedulers know when they decide.

    Always available, and all that most rules need:

    - `queue_lengths` (int64, rows x columns): jobs in each accessible server, as last received; 0 in padded columns.
    - `own_lengths` (int64, rows): its column 0, for rules that look at nothing else: fewer observations differ then.
    - `service_rates` (float64, rows x columns): jobs per ms, as last received; 1 in padded columns.
    - `accessible` (bool, rows x columns): False in padded columns, which no job may go to.
    - `sharing` (int64, rows x columns): how many schedulers can access that server; 1 in padded columns.
    - `hidden` (float64, rows x hidden): what the scheduler carries from its last decision, zeros before the first of an
      episode; no columns for rules that carry nothing.
    - `buffer` (int): jobs a server holds, the one in service included.
    - `delta_t` (float, ms): time between broadcasts.

    Different for each scheduler and epoch, so an answer that used one of them is never reused for another row:

    - `coins` (float64, rows): the decision coin, uniform on [0, 1).
    - `order` (int64, rows x columns): the accessible columns in an order drawn once per scheduler and epoch, then
      the padded ones.
    - `age` (float64, rows x columns, ms): how old the knowledge of each server is; infinite if none came yet. In every
      run of a scenario it is 0 today, as messages arrive at once.
    - `schedulers` (int64, rows): the index of each scheduler.

    `distribution` (float64, buffer + 1) is the empirical distribution of all queue lengths and reaches only
    dispatchers that declare `observes = "all"`; it costs global messages.

    All arrays are read-only. `read` notes what was looked at: two rows that differ in nothing that a rule looks at get
    the same answer, so it is asked once for both. The engine may pass what belongs to a row as a function that makes it
    when it is read.
    """

    def __init__(
        self,
        *,
        queue_lengths: Integers,
        service_rates: Floats,
        accessible: Booleans,
        sharing: Integers,
        buffer: int,
        delta_t: float,
        coins: Floats | Callable[[], Floats],
        order: Integers | Callable[[], Integers],
        age: Floats | Callable[[], Floats],
        schedulers: Integers | Callable[[], Integers],
        hidden: Floats | Callable[[], Floats] | None = None,
        distribution: Floats | None = None,
    ):
        self.accessible = _read_only(accessible)
        self.buffer = buffer
        self.delta_t = delta_t
        self.read: set[str] = set()
        """The names of what was read so far: an answer depends on nothing else but `accessible`."""
        self._known = {
            "queue_lengths": queue_lengths,
            "service_rates": service_rates,
            "sharing": sharing,
            "coins": coins,
            "order": order,
            "age": age,
            "schedulers": schedulers,
            "hidden": np.zeros((len(accessible), 0)) if hidden is None else hidden,
        }
        self._distribution = None if distribution is None else _read_only(distribution)

    def _read(self, name: str) -> Any:
        self.read.add(name)
        value: Any = self._known[name]
        return _read_only(value() if callable(value) else value)

    @property
    def reusable(self) -> bool:
        """True while nothing was read that belongs to one scheduler and epoch alone."""
        return self.read.isdisjoint(OWN_TO_A_ROW)

    @property
    def rows(self) -> int:
        """How many schedulers ask."""
        return len(self.accessible)

    @property
    def queue_lengths(self) -> Integers:
        """Jobs in each accessible server, as last received; 0 in padded columns."""
        return self._read("queue_lengths")

    @property
    def own_lengths(self) -> Integers:
        """Jobs in each scheduler's own server, as last received (one number per row)."""
        self.read.add("own_lengths")
        return _read_only(self._known["queue_lengths"])[:, 0]

    @property
    def service_rates(self) -> Floats:
        """Jobs per ms that each accessible server serves, as last received; 1 in padded columns."""
        return self._read("service_rates")

    @property
    def sharing(self) -> Integers:
        """How many schedulers can access each accessible server; 1 in padded columns."""
        return self._read("sharing")

    @property
    def coins(self) -> Floats:
        """The decision coin of each scheduler, uniform on [0, 1), drawn once per epoch."""
        return self._read("coins")

    @property
    def order(self) -> Integers:
        """The accessible columns in an order drawn once per scheduler and epoch, then the padded ones."""
        return self._read("order")

    @property
    def age(self) -> Floats:
        """Milliseconds since each accessible server sent what is known of it; infinite if nothing came yet."""
        return self._read("age")

    @property
    def schedulers(self) -> Integers:
        """The index of each scheduler."""
        return self._read("schedulers")

    @property
    def hidden(self) -> Floats:
        """The numbers that each scheduler carries from its last decision; zeros before the first of an episode."""
        return self._read("hidden")

    @property
    def distribution(self) -> Floats:
        """The share of all servers with each queue length 0..buffer; needs `observes = "all"`."""
        if self._distribution is None:
            raise DispatcherError('view.distribution is only known to a dispatcher that declares observes = "all"')
        return self._distribution

    @property
    def distribution_if_known(self) -> Floats | None:
        """The distribution, or None where global state is not observed."""
        return self._distribution

    @property
    def degrees(self) -> Integers:
        """How many servers each scheduler can access, its own included."""
        return self.accessible.sum(axis=1)

    def own(self) -> Floats:
        """Probabilities that keep every job at the own server."""
        answer = np.zeros(self.accessible.shape)
        answer[:, 0] = 1.0
        return answer

    def uniform(self) -> Floats:
        """Probabilities uniform over the accessible servers, the own one included."""
        return self.accessible / self.degrees[:, None]

    def any_neighbour(self) -> Floats:
        """Probabilities uniform over the accessible servers except the own; a scheduler without any keeps its jobs."""
        neighbours = self.degrees[:, None] - 1
        answer = np.where(self.accessible, 1.0, 0.0) / np.maximum(neighbours, 1)
        answer[:, 0] = neighbours[:, 0] == 0
        return answer

    def offload(self, probability: Floats, draws: Draws = "job") -> Floats:
        """Send a job with `probability` (one per row) to a uniformly random neighbour, else keep it (section 1.2.3).

        The action, to offload or not, is drawn anew for each job, or by the decision coin for all jobs of the epoch.
        """
        share = np.asarray(probability, dtype=np.float64).reshape(-1, 1)
        if draws == "epoch":
            share = (self.coins[:, None] < share).astype(np.float64)
        return (1.0 - share) * self.own() + share * self.any_neighbour()

    def least(self, cost: Floats | Integers) -> Floats:
        """Probabilities uniform over the accessible servers of least `cost` (rows x columns)."""
        cost = np.where(self.accessible, cost, np.inf)
        chosen = cost == cost.min(axis=1, keepdims=True)
        return chosen / chosen.sum(axis=1, keepdims=True)


def _read_only(array: Any) -> Any:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


class Dispatcher:
    """A rule that turns what a scheduler knows into probabilities over its accessible servers.

    Subclass it and write `route`. Options of a scenario (`threshold: 2`) are passed to `__init__` by name.
    """

    name: ClassVar[str] = ""
    """What its error messages call it, and built-in ones everywhere; the class name if left empty.

    Tables and traces call a class of yours by its `label:` in the scenario, else by the class name.
    """

    draws: Draws = "job"
    """Whether a server is drawn anew for each job, with the job's coin, or once per epoch, with the decision coin."""

    observes: Literal["accessible", "all"] = "accessible"
    """`"all"` asks for the distribution of all queue lengths as well, and for the global messages it takes."""

    buffer: int | None = None
    """The only buffer this dispatcher can be used with, where there is such a limit."""

    nodes: int | None = None
    """The only number of nodes this dispatcher can be used with, where there is such a limit."""

    graph_hash: str | None = None
    """`Topology.graph_hash` of the only graph this dispatcher can be used on, where there is such a limit."""

    files: Sequence[str | Path] = ()
    """Files whose content the rule depends on, other than its code; if one of them changes, so do the results."""

    file_options: ClassVar[tuple[str, ...]] = ()
    """Options that are names of files, which `__init__` gets as paths: looked for beside the scenario, then among the
    policies that come with this software."""

    def route(self, view: View) -> Floats:
        """Return the probability of each accessible server: float64, rows x columns, rows summing to 1.

        Padded columns get 0. The answer is a pure function of the row: the same row gives the same bits whatever
        stands in other rows, and whenever it is asked.
        """
        raise DispatcherError(f"{type(self).__name__} must define route(self, view)")


class RecurrentDispatcher(Dispatcher):
    """A rule that carries numbers from one decision to the next: a scheduler's hidden state.

    It knows more than the paper's memory-less class (section 1.2.2) allows; section 3 tries it as MF-RNN.
    """

    hidden: int = 0
    """How many numbers each scheduler carries, at least 1."""

    def advance(self, view: View) -> tuple[Floats, Floats]:
        """Return probabilities as `route` does, and what is carried to the next decision: float64, rows x hidden.

        `view.hidden` is what was carried to this one. A pure function of the row, of which that is a part.
        """
        raise DispatcherError(f"{type(self).__name__} must define advance(self, view)")


class JobView(NamedTuple):
    """What a per-job rule sees when one job arrives: arrays hold one value per accessible server."""

    plan: Floats
    """What `plan` returned for this scheduler (columns x fields)."""

    order: Integers
    """The accessible columns in an order drawn once per scheduler and epoch."""

    sent: Integers
    """Jobs this scheduler has sent to each server since the last messages."""

    total_sent: int
    """The sum of `sent`."""

    coin: float
    """The job's own coin, uniform on [0, 1)."""

    elapsed: float
    """Milliseconds since the scheduler decided on the last messages."""


class PerJobDispatcher(Dispatcher):
    """A rule with memory: it chooses for each job on the last messages and on what this scheduler has done since.

    The paper's policies (section 1.2.2) are memory-less, so a comparison with them should say so.
    """

    def plan(self, view: View) -> Floats:
        """Return what `choose` needs to know of the view: float64, rows x columns x fields, fixed for the epoch.

        Everything that can be worked out once, options included, belongs here. A pure function of the row.
        """
        raise DispatcherError(f"{type(self).__name__} must define plan(self, view)")

    @staticmethod
    def choose(job: JobView) -> int:
        """Return the column of the server that this job goes to.

        A static, pure function of plain numbers and arrays (loops are welcome): an engine may compile it.
        """
        raise DispatcherError("a per-job dispatcher must define the static method choose(job)")


def name_of(dispatcher: Dispatcher) -> str:
    """Return what a dispatcher is called in tables and traces."""
    name: object = dispatcher.name  # a user's own attribute may have taken its place
    return name if isinstance(name, str) and name else type(dispatcher).__name__


def hidden_width(dispatcher: Dispatcher) -> int:
    """Return how many numbers a scheduler carries from one decision to the next."""
    return dispatcher.hidden if isinstance(dispatcher, RecurrentDispatcher) else 0


def cumulate(probabilities: Floats) -> Floats:
    """Return the cumulative probabilities (rows x columns) from which `pick` chooses.

    Every column from the last possible one on gets exactly 1, so that rounding can never lead to an impossible
    server.
    """
    cumulative = np.cumsum(probabilities, axis=1)
    possible = probabilities > 0
    last = probabilities.shape[1] - 1 - possible[:, ::-1].argmax(axis=1)
    columns = np.arange(probabilities.shape[1])
    return np.where(columns >= last[:, None], 1.0, np.minimum(cumulative, 1.0))


def pick(cumulative: Any, coin: float) -> int:
    """Return the first column whose cumulative probability exceeds `coin`, a number in [0, 1).

    The only place where probabilities and a coin become a server; engines call it or compile it. It counts, because a
    loop that ends at the column is one that a processor cannot predict: 10 ns per job.
    """
    column = 0
    for bound in cumulative:
        column += coin >= bound
    return column
