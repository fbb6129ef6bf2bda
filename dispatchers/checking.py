"""Does a dispatcher keep the contract? What it declares, where it fits, and how it answers random views."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import numpy as np

from dispatchers.choice import Answer, ask, ask_of_each, checked_choice, says_of_each
from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher, RecurrentDispatcher, hidden_width, name_of
from dispatchers.errors import DispatcherError, describe_value
from dispatchers.information import KINDS, declared, text_of
from dispatchers.view import BY_SERVER, FIELDS, Floats, View, an_epoch_later, random_view, select_rows

EPOCHS = 3
"""How many decisions one after the other a recurrent rule is tried for."""

MOST_HIDDEN = 10_000
"""Numbers that a scheduler carries."""


def check_declarations(dispatcher: Dispatcher, name: str | None = None) -> None:
    """Raise `DispatcherError` if an attribute of the contract holds something else than the contract says."""
    name = name or name_of(dispatcher)
    per_job, recurrent = isinstance(dispatcher, PerJobDispatcher), isinstance(dispatcher, RecurrentDispatcher)
    if per_job and recurrent:
        raise DispatcherError(f"{name}: must be a PerJobDispatcher or a RecurrentDispatcher, not both")
    rule: Any = dispatcher
    kinds, files = rule.information, rule.files
    all_known = isinstance(kinds, list | tuple | set | frozenset) and all(_is_in(KINDS, kind) for kind in kinds)
    all_names = isinstance(files, list | tuple) and all(isinstance(file, str | os.PathLike) for file in files)
    for attribute, is_right, allowed in (
        ("choose", not per_job or isinstance(rule.choose, Hashable), "a static method"),
        ("name", isinstance(rule.name, str), "text"),
        ("draws", _is_in(("job", "epoch"), rule.draws), "job or epoch"),
        ("observes", _is_in(("accessible", "all"), getattr(rule, "observes", "all")), "accessible or all"),
        ("information", all_known, f"a tuple of names out of {', '.join(KINDS)}"),
        ("buffer", rule.buffer is None or _is_whole(rule.buffer, 2**31 - 1), "a whole number >= 1 or None"),
        ("nodes", rule.nodes is None or _is_whole(rule.nodes, 2**31 - 1), "a whole number >= 1 or None"),
        ("graph_hash", isinstance(rule.graph_hash, str | None), "text or None"),
        ("plans_one_by_one", isinstance(getattr(rule, "plans_one_by_one", False), bool), "true or false"),
        ("hidden", not recurrent or _is_whole(rule.hidden, MOST_HIDDEN), f"a whole number from 1 to {MOST_HIDDEN}"),
        ("files", all_names, "a list of names of files"),
    ):
        if not is_right:
            got = describe_value(getattr(rule, attribute))
            raise DispatcherError(f"{name}: the attribute {attribute} must be {allowed}, got {got}")


def _is_in(allowed: Collection[str], value: Any) -> bool:
    return isinstance(value, str) and value in allowed


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(1 <= value <= most)


def check_fit(
    dispatcher: Dispatcher,
    buffer: int,
    nodes: int | None = None,
    name: str | None = None,
    *,
    graph_hash: Callable[[], str] | None = None,
) -> None:
    """Raise `DispatcherError` if a dispatcher is made for another buffer, number of nodes or, if given, graph."""
    name = name or name_of(dispatcher)
    if dispatcher.buffer not in (None, buffer):
        raise DispatcherError(f"{name}: was made for buffer {dispatcher.buffer}, the scenario has buffer {buffer}")
    if nodes is not None and dispatcher.nodes not in (None, nodes):
        raise DispatcherError(f"{name}: was made for {dispatcher.nodes} nodes, the scenario has {nodes}")
    if graph_hash is not None and dispatcher.graph_hash is not None and dispatcher.graph_hash != graph_hash():
        raise DispatcherError(f"{name}: was made for another graph than the scenario's")


def check_without_own(dispatcher: Dispatcher, buffer: int) -> None:
    """Raise `DispatcherError` if a dispatcher names the own server, by asking it where schedulers have none."""
    generator, hidden = np.random.default_rng(0), hidden_width(dispatcher)
    rows = min(32, dispatcher.nodes or 32)
    ask(dispatcher, random_view(generator, rows=rows, buffer=buffer, hidden=hidden, has_own=False))


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
    if says_of_each(dispatcher):
        _check_each(dispatcher, view)
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


def _check_each(dispatcher: Dispatcher, view: View) -> None:
    """Compare what is said of each server with what is said of it among others that are like it."""
    whole, accessible = ask_of_each(dispatcher, view), view.value("accessible")
    for column in range(accessible.shape[1]):

        def twice(name: str, column: int = column) -> Any:
            value = view.value(name)
            return value[:, [column, column]] if FIELDS[name].shape == BY_SERVER else value

        said = ask_of_each(dispatcher, View(twice, has_own=view.has_own))[:, min(column, 1)]
        there = accessible[:, column]
        if not np.array_equal(said[there], whole[there, column]):
            what = "plan, with plans_one_by_one," if isinstance(dispatcher, PerJobDispatcher) else "cost"
            raise DispatcherError(f"{name_of(dispatcher)}: {what} must depend on what is known of that server alone")


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
