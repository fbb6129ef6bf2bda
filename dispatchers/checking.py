"""Does a dispatcher keep the contract? What it declares, where it fits, and how it answers random views."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NoReturn

import numpy as np

from dispatchers.choice import Answer, ask, checked_choice
from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher, RecurrentDispatcher, hidden_width, name_of
from dispatchers.errors import DispatcherError, describe_value
from dispatchers.information import KINDS, declared, text_of
from dispatchers.view import Floats, View, an_epoch_later, random_view, select_rows

EPOCHS = 3
"""How many decisions one after the other a recurrent rule is tried for."""

MOST_HIDDEN = 10_000
"""Numbers that a scheduler carries."""


def check_declarations(dispatcher: Dispatcher, name: str | None = None) -> None:
    """Raise `DispatcherError` if an attribute of the contract holds something else than the contract says."""
    name = name or name_of(dispatcher)

    def refuse(attribute: str, allowed: str) -> NoReturn:
        got = describe_value(getattr(dispatcher, attribute))
        raise DispatcherError(f"{name}: the attribute {attribute} must be {allowed}, got {got}")

    if isinstance(dispatcher, PerJobDispatcher) and isinstance(dispatcher, RecurrentDispatcher):
        raise DispatcherError(f"{name}: must be a PerJobDispatcher or a RecurrentDispatcher, not both")
    if isinstance(dispatcher, PerJobDispatcher) and not isinstance(dispatcher.choose, Hashable):
        refuse("choose", "a static method")
    if not isinstance(dispatcher.name, str):
        refuse("name", "text")
    for attribute, allowed in (("draws", ("job", "epoch")), ("observes", ("accessible", "all"))):
        value = getattr(dispatcher, attribute, allowed[0])
        if not isinstance(value, str) or value not in allowed:
            refuse(attribute, " or ".join(allowed))
    kinds: Any = dispatcher.information
    if not isinstance(kinds, list | tuple | set | frozenset) or not all(
        isinstance(kind, str) and kind in KINDS for kind in kinds
    ):
        refuse("information", f"a tuple of names out of {', '.join(KINDS)}")
    for attribute in ("buffer", "nodes"):
        value = getattr(dispatcher, attribute)
        if value is not None and not (_is_whole(value) and 1 <= value < 2**31):
            refuse(attribute, "a whole number >= 1 or None")
    if not isinstance(dispatcher.graph_hash, str | None):
        refuse("graph_hash", "text or None")
    hidden = dispatcher.hidden if isinstance(dispatcher, RecurrentDispatcher) else 1
    if not _is_whole(hidden) or not 1 <= hidden <= MOST_HIDDEN:
        refuse("hidden", f"a whole number from 1 to {MOST_HIDDEN}")
    files: Any = dispatcher.files
    if not isinstance(files, list | tuple) or not all(isinstance(file, str | os.PathLike) for file in files):
        refuse("files", "a list of names of files")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_fit(
    dispatcher: Dispatcher,
    buffer: int,
    nodes: int | None = None,
    name: str | None = None,
    *,
    graph_hash: Callable[[], str] | None = None,
) -> None:
    """Raise `DispatcherError` if a dispatcher is made for another buffer, number of nodes or graph, as far as given.

    `graph_hash`, for which the graph has to be built, is called only if the dispatcher is made for a certain one.
    """
    name = name or name_of(dispatcher)
    if dispatcher.buffer not in (None, buffer):
        raise DispatcherError(f"{name}: was made for buffer {dispatcher.buffer}, the scenario has buffer {buffer}")
    if nodes is not None and dispatcher.nodes not in (None, nodes):
        raise DispatcherError(f"{name}: was made for {dispatcher.nodes} nodes, the scenario has {nodes}")
    if graph_hash is not None and dispatcher.graph_hash is not None and dispatcher.graph_hash != graph_hash():
        raise DispatcherError(f"{name}: was made for another graph than the scenario's")


def check_dispatcher(
    dispatcher: Dispatcher,
    *,
    buffer: int | None = None,
    degrees: Sequence[int] = (1, 2, 3, 5),
    rows: int = 64,
    seed: int = 0,
) -> None:
    """Raise `DispatcherError` unless a dispatcher keeps the contract on random views.

    Answers must have the right form, be the same to the last bit when asked again, alone or in other company, and
    leave the view as it is. A recurrent rule is asked for several epochs, each time with the hidden states that it
    returned before. A per-job rule must choose an accessible column for each of many jobs, and the same when asked
    again. No rule may read information that it does not declare. `degrees` counts accessible servers.
    """
    if not isinstance(dispatcher, Dispatcher):
        raise DispatcherError(f"{type(dispatcher).__name__}: must be a subclass of Dispatcher")
    check_declarations(dispatcher)
    if buffer is None:
        buffer = dispatcher.buffer or 5
    check_fit(dispatcher, buffer)
    rows = min(rows, dispatcher.nodes or rows)
    hidden = hidden_width(dispatcher)
    generator = np.random.default_rng(seed)
    view = random_view(generator, rows=rows, degrees=degrees, buffer=buffer, hidden=hidden)
    answer = _check_answers(dispatcher, view, generator)
    if isinstance(dispatcher, PerJobDispatcher):
        for row in range(min(rows, 16)):
            _check_choices(dispatcher, view, answer.numbers[row], row, generator)
    for _ in range(EPOCHS - 1 if hidden else 0):
        view = an_epoch_later(generator, view, answer.hidden)
        answer = _check_answers(dispatcher, view, generator)


def _check_answers(dispatcher: Dispatcher, view: View, generator: np.random.Generator) -> Answer:
    """Return the answer to a view, after comparing it with those to the same rows asked in other ways."""
    whole = ask(dispatcher, view)
    company = generator.permutation(view.rows)
    asked = [("asked again", slice(None)), ("rows reordered", company)]
    asked += [(f"row {row} asked alone", [row]) for row in range(min(view.rows, 16))]
    for how, rows in asked:
        answer = ask(dispatcher, select_rows(view, rows))
        if not all(map(np.array_equal, whole.of(rows), answer)):
            raise DispatcherError(
                f"{name_of(dispatcher)}: {how}, it answered something else, though each row must be answered by "
                "itself, and always with the same bits"
            )
    return whole


def _check_choices(
    dispatcher: PerJobDispatcher, view: View, plan: Floats, row: int, generator: np.random.Generator
) -> None:
    """Let one scheduler choose for a number of jobs, each time twice; undeclared own sends must not matter to it."""
    name, choose = name_of(dispatcher), checked_choice(dispatcher)
    count = int(view.degrees[row])
    plan, order = _locked(plan[:count]), _locked(view.order[row, :count])
    sent = np.zeros(count, dtype=np.int64)
    for total in range(30):
        job = JobView(plan, order, _locked(sent), total, generator.random(), total * 0.1)
        column, again = choose(job), choose(job)
        if column != again:
            raise DispatcherError(f"{name}: choose returned {column} and then {again} for the same job")
        if "own sends" not in declared(dispatcher):
            others = generator.integers(0, 9, count)
            if choose(job._replace(sent=_locked(others), total_sent=int(others.sum()))) != column:
                raise DispatcherError(
                    f"{name}: choose depends on job.sent or job.total_sent, so its information must include own sends, "
                    f"got {text_of(declared(dispatcher))}"
                )
        sent[column] += 1


def _locked(array: Any) -> Any:
    """Return a copy in one piece that cannot be written."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy
