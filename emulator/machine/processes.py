"""Work in several processes, each of which may die, or be ended, at any moment."""

from __future__ import annotations

import ast
import multiprocessing
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from traceback import walk_stack
from typing import Any, Generic, NamedTuple, TypeVar

from emulator.errors import InputError
from emulator.machine import interruption

Task = TypeVar("Task", bound=Hashable)

Report = Callable[[float], None]
"""Is told how much has been done since it was last called."""

Work = Callable[[Any, Report], Any]
"""Does a task and returns its outcome; a `Fatal` one ends everything."""

AHEAD = 4
"""Tasks that a process has at hand, so that it need not wait for the next; there may be a million of them."""

PROGRESS_INTERVAL = 0.1
"""Seconds between a process's reports."""


class Fatal(NamedTuple):
    """An error that ends the run."""

    error: Exception


def check_main_module() -> None:
    """Raise `InputError` if a process started from here would run the main script, and so this call, once more.

    Python does so unless the script has no file, as in a notebook, or is called `__main__.py`.
    """
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or Path(file).name == "__main__.py":
        return
    for frame, line in walk_stack(sys._getframe()):
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
            if not _is_guarded(Path(file), line):
                told = 'several workers need this call below `if __name__ == "__main__":`'
                raise InputError(f"{file}:{line}: {told}, for each of them imports the script; or give workers=1")
            return


def _is_guarded(file: Path, line: int) -> bool:
    """Return whether a line of a script stands below `if __name__ == "__main__":`."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True  # no script of Python's, so it cannot be told
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and node.body[0].lineno <= line <= (node.body[-1].end_lineno or line):
            test = ast.unparse(node.test)
            if "__name__" in test and "'__main__'" in test:
                return True
    return False


def run_in_processes(
    prepare: Callable[[], Work], waiting: Iterator[Task], processes: int, advance: Report, *, ahead: int = AHEAD
) -> Generator[tuple[Task, Any]]:
    """Yield each task with its outcome as it is done, in any order; a `RuntimeError` if it ended two processes.

    `prepare`, tasks and outcomes are sent from process to process; each calls `prepare` once for what does its tasks.
    """
    unlucky: Counter[Task] = Counter()
    again: deque[Task] = deque()

    def next_task() -> Task | None:
        return again.popleft() if again else next(waiting, None)

    workers: list[_Worker[Task]] = []
    try:
        for _ in range(processes):
            with interruption.deferred():
                workers.append(_Worker(prepare))
        while True:
            for worker in workers:
                worker.give(next_task, ahead)
            busy = {worker.connection: worker for worker in workers if worker.tasks}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    worker.stop()
                    with interruption.deferred():
                        workers[workers.index(worker)] = _Worker(prepare)
                    task = worker.tasks[0]
                    unlucky[task] += 1
                    if unlucky[task] > 1:  # it is the task that ends processes
                        worker.tasks.popleft()
                        yield task, RuntimeError(f"its process died twice, with status {worker.process.exitcode}")
                    again.extend(worker.tasks)
                    continue
                if isinstance(answer, float):
                    advance(answer)
                elif isinstance(answer, Fatal):
                    raise answer.error
                else:
                    yield worker.tasks.popleft(), answer
    finally:
        for worker in workers:
            worker.stop()


class _Worker(Generic[Task]):
    """A process and the pipe to it. Nothing else is shared, so it may die, or be ended, at any moment."""

    def __init__(self, prepare: Callable[[], Work]):
        context = multiprocessing.get_context("spawn")  # threads of this process must not be forked
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
        with _own_modules():
            resource_tracker.ensure_running()  # else `start` does, and lets signals through
            with interruption.not_for_children():
                self.process.start()
        theirs.close()
        self.tasks: deque[Task] = deque()
        """What it was given and has not answered, the one it works on first."""

    def give(self, next_task: Callable[[], Task | None], ahead: int) -> None:
        """Give it as many tasks as it should have at hand."""
        while len(self.tasks) < ahead and (task := next_task()) is not None:
            self.tasks.append(task)
            with suppress(OSError):  # it has died, which the next `wait` tells
                self.connection.send(task)

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextmanager
def _own_modules() -> Iterator[None]:
    """Let processes that are started in a block import what this one does.

    They would take the current folder's `random.py` for Python's, and look for a script that came from standard input.
    """
    main = vars(sys.modules["__main__"])
    file = main.get("__file__") or ""
    with _set_to(main, "__file__", file if os.path.exists(file) else None), _set_to(os.environ, "PYTHONSAFEPATH", "1"):
        yield


@contextmanager
def _set_to(names: MutableMapping[str, Any], name: str, value: str | None) -> Iterator[None]:
    """Let a name have another value in a block."""
    before = {name: names[name]} if name in names else {}
    names[name] = value
    try:
        yield
    finally:
        del names[name]
        names.update(before)


def _serve(connection: Connection, prepare: Callable[[], Work]) -> None:
    """Do the tasks that come through a pipe, in a process of its own, until the pipe is closed.

    What is sent back is a number, how much has been done, or else the outcome of a task.
    """
    interruption.leave_to_parent()
    work = prepare()
    with suppress(EOFError, OSError):  # the first process has gone
        while True:
            connection.send(_outcome(work, connection.recv(), connection))


def _outcome(work: Work, task: Any, connection: Connection) -> Any:
    unsaid, last = 0.0, time.monotonic()

    def report(done: float) -> None:
        nonlocal unsaid, last
        unsaid += done
        if time.monotonic() - last > PROGRESS_INTERVAL:
            connection.send(unsaid)
            unsaid, last = 0.0, time.monotonic()

    outcome = work(task, report)
    connection.send(unsaid)
    return outcome
