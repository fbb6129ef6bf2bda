"""Does a dispatcher keep the contract? The cheap check of every answer, and the thorough one on random views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dispatchers.contract import Dispatcher, DispatcherError, Floats, JobView, PerJobDispatcher, View, name_of

TOLERANCE = 1e-9
"""How far from 1 the probabilities of a row may sum."""


def validate(answer: Any, view: View, name: str) -> None:
    """Check probabilities: float64, rows x columns, in [0, 1], 0 in padded columns, rows summing to 1."""
    _check_array(answer, view.accessible.shape, "route", view, name)
    _refuse_row((answer < 0).any(axis=1), "are negative: {row}", answer, view, name)
    padded = np.where(view.accessible, 0.0, answer)
    _refuse_row(padded.any(axis=1), "lead to padded columns: {row}", answer, view, name)
    sums = answer.sum(axis=1)
    _refuse_row(np.abs(sums - 1.0) > TOLERANCE, "sum to {sum:.12g}, must be 1", answer, view, name)


def validate_plan(plan: Any, view: View, name: str) -> Floats:
    """Check a plan, float64, rows x columns x fields and finite, and return it."""
    shape = view.accessible.shape
    fields = plan.shape[2] if isinstance(plan, np.ndarray) and plan.ndim == 3 else "fields"
    _check_array(plan, (*shape, fields), "plan", view, name)
    return plan


def check_buffer(dispatcher: Dispatcher, buffer: int, name: str | None = None) -> None:
    """Raise `DispatcherError` if a dispatcher is made for another buffer."""
    if dispatcher.buffer is not None and dispatcher.buffer != buffer:
        raise DispatcherError(
            f"{name or name_of(dispatcher)}: was made for buffer {dispatcher.buffer}, the scenario has buffer {buffer}"
        )


def _check_array(answer: Any, shape: tuple[Any, ...], method: str, view: View, name: str) -> None:
    wanted = " x ".join(map(str, shape))
    if not isinstance(answer, np.ndarray):
        raise DispatcherError(f"{name}: {method} must return a float64 array, got {type(answer).__name__}")
    if answer.shape != shape or answer.dtype != np.float64:
        got = " x ".join(map(str, answer.shape))
        raise DispatcherError(f"{name}: {method} must return float64 {wanted}, got {answer.dtype} {got}")
    finite = np.isfinite(answer).reshape(len(answer), -1).all(axis=1)
    _refuse_row(~finite, "are not finite: {row}", answer, view, name)


def _refuse_row(wrong: Any, why: str, answer: Floats, view: View, name: str) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    lengths = view.queue_lengths[row, view.accessible[row]].tolist()
    values = np.array2string(answer[row], precision=6, threshold=20).replace("\n", "")
    text = why.format(row=values, sum=float(answer[row].sum()))
    what = "probabilities" if answer.ndim == 2 else "planned numbers"
    raise DispatcherError(f"{name}: {what} {text} (queue lengths {lengths})")


def random_view(
    generator: np.random.Generator,
    *,
    rows: int = 32,
    degrees: Sequence[int] = (1, 2, 3, 5),
    buffer: int = 5,
    delta_t: float = 5.0,
    everything: bool = True,
) -> View:
    """Return a view of random knowledge, in which each of `degrees` (accessible servers) occurs.

    With `everything` the distribution of all queues is known as well.
    """
    width = max(degrees)
    counts = np.array(degrees)[generator.permutation(np.arange(rows) % len(degrees))]
    accessible = np.arange(width) < counts[:, None]
    shares = generator.dirichlet(np.ones(buffer + 1))
    keys = np.where(accessible, generator.random((rows, width)), 2.0 + np.arange(width))
    return View(
        queue_lengths=np.where(accessible, generator.integers(0, buffer + 1, (rows, width)), 0),
        service_rates=np.where(accessible, generator.choice([0.5, 1.0, 2.0, 3.0], (rows, width)), 1.0),
        accessible=accessible,
        sharing=np.where(accessible, generator.integers(1, 7, (rows, width)), 1),
        buffer=buffer,
        delta_t=delta_t,
        coins=generator.random(rows),
        order=np.argsort(keys, axis=1),
        age=np.where(accessible, generator.choice([0.0, 1.5, np.inf], (rows, width)), 0.0),
        schedulers=generator.permutation(rows),
        distribution=shares if everything else None,
    )


def select_rows(view: View, rows: Any) -> View:
    """Return a view of some rows, in the order given."""
    return View(
        queue_lengths=view.queue_lengths[rows],
        service_rates=view.service_rates[rows],
        accessible=view.accessible[rows],
        sharing=view.sharing[rows],
        buffer=view.buffer,
        delta_t=view.delta_t,
        coins=view.coins[rows],
        order=view.order[rows],
        age=view.age[rows],
        schedulers=view.schedulers[rows],
        distribution=view.distribution_if_known,
    )


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
    leave the view as it is. A per-job rule must choose an accessible column for each of many jobs, and the same when
    asked again. `degrees` counts accessible servers.
    """
    name = name_of(dispatcher)
    if not isinstance(dispatcher, Dispatcher):
        raise DispatcherError(f"{name}: must be a subclass of Dispatcher")
    if dispatcher.draws not in ("job", "epoch"):
        raise DispatcherError(f"{name}: draws must be job or epoch, got {dispatcher.draws!r}")
    if dispatcher.observes not in ("accessible", "all"):
        raise DispatcherError(f"{name}: observes must be accessible or all, got {dispatcher.observes!r}")
    if buffer is None:
        buffer = dispatcher.buffer or 5
    check_buffer(dispatcher, buffer)
    generator = np.random.default_rng(seed)
    view = random_view(generator, rows=rows, degrees=degrees, buffer=buffer, everything=dispatcher.observes == "all")
    whole = _ask(dispatcher, view, name)
    company = generator.permutation(rows)
    _compare(whole, _ask(dispatcher, view, name), "asked again", view, name)
    _compare(whole[company], _ask(dispatcher, select_rows(view, company), name), "rows reordered", view, name)
    for row in range(min(rows, 16)):
        alone = _ask(dispatcher, select_rows(view, [row]), name)
        _compare(whole[row : row + 1], alone, f"row {row} asked alone", view, name)
    if isinstance(dispatcher, PerJobDispatcher):
        for row in range(min(rows, 16)):
            _check_choices(dispatcher, view, whole[row], row, generator, name)


def _ask(dispatcher: Dispatcher, view: View, name: str) -> Floats:
    try:
        with np.errstate(all="ignore"):  # what comes of it is told below
            if isinstance(dispatcher, PerJobDispatcher):
                return validate_plan(dispatcher.plan(view), view, name)
            answer = dispatcher.route(view)
        validate(answer, view, name)
        return answer
    except DispatcherError:
        raise
    except (Exception, SystemExit) as error:
        raise DispatcherError(f"{name}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Return one line that says what a user's code raised, and where."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _compare(expected: Floats, answer: Floats, what: str, view: View, name: str) -> None:
    if not np.array_equal(expected, answer):
        raise DispatcherError(
            f"{name}: {what}, it answered something else, though each row must be answered by itself, "
            "and always with the same bits"
        )


def _locked(array: Any) -> Any:
    """Return a copy that cannot be written."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _check_choices(
    dispatcher: PerJobDispatcher,
    view: View,
    plan: Floats,
    row: int,
    generator: np.random.Generator,
    name: str,
) -> None:
    count = int(view.degrees[row])
    order = np.ascontiguousarray(view.order[row, :count])
    plan = np.ascontiguousarray(plan[:count])
    sent = np.zeros(count, dtype=np.int64)
    for total in range(30):
        job = JobView(_locked(plan), _locked(order), _locked(sent), total, generator.random(), total * 0.1)
        try:
            column, again = dispatcher.choose(job), dispatcher.choose(job)
        except DispatcherError:
            raise
        except (Exception, SystemExit) as error:
            raise DispatcherError(f"{name}: choose raised {describe(error)}") from error
        is_column = isinstance(column, int | np.integer) and not isinstance(column, bool)
        if not is_column or not 0 <= column < count:
            raise DispatcherError(f"{name}: choose must return a column from 0 to {count - 1}, got {column!r}")
        if column != again:
            raise DispatcherError(f"{name}: choose returned {column} and then {again} for the same job")
        sent[column] += 1
