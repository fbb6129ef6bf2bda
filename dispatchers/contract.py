"""The contract between an engine and a dispatcher: how a rule, which declares what it reads, answers a `View`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from dispatchers.errors import DispatcherError
from dispatchers.view import Draws as Draws
from dispatchers.view import Floats, Integers, View


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

    information: Collection[str] = ("broadcast",)
    """What the rule may know, a tuple of names out of `dispatchers.information.KINDS`.

    Reading anything else is refused. Engines send what is declared: `"global"` costs messages to and from a monitor.
    """

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


class LeastCostDispatcher(Dispatcher):
    """A rule that sends jobs to a server of least cost, ties broken uniformly.

    Engines make a table of costs, for each length that can be known of a server, and need not ask again.
    """

    def cost(self, view: View) -> Floats | Integers:
        """Return the cost of each server, rows x columns: a function of what is known of that server alone."""
        raise DispatcherError(f"{type(self).__name__} must define cost(self, view)")

    def route(self, view: View) -> Floats:
        """See `Dispatcher.route`."""
        return view.least(self.cost(view))


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

    information: Collection[str] = ("broadcast", "own sends")

    plans_one_by_one: ClassVar[bool] = False
    """Whether what `plan` says of a server depends on what is known of that server alone, and on whether it is column 0
    of a scheduler that has an own one. Engines then make a table of it, and need not ask again."""

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
