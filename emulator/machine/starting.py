"""How a command that `python -m` runs begins: it imports nothing slow, and what it needs is not hidden from it."""

import _signal  # type: ignore[import-not-found]  # built in: no signal.py of somebody's is taken for it
import os
import sys
from importlib import import_module

BAD_INPUT = 2


def run(module: str) -> int:
    """Run the `main` of a module and return its exit status; a signal may come at any moment."""
    _end_at_once()
    from emulator.machine import interruption

    interruption.end_at_once()
    try:
        return import_module(module).main()
    finally:
        interruption.ignore()


def _end_at_once() -> None:
    """Do with signals what `interruption.end_at_once` does, until that is imported."""

    def end(*_: object) -> None:
        os.write(2, b"interrupted: nothing was written\n")
        os._exit(130)

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, end)


def start(*packages: str, advice: str = "rename it, or run the command elsewhere") -> None:
    """Begin a command that `python -m` runs; end it with one line if the current folder hides one of these packages.

    `python -m` looks for modules in the current folder first. That folder is put last here, so that a `queue.py` of
    somebody's is not taken for Python's own.
    """
    _end_at_once()
    _put_current_folder_last(packages, advice)
    from emulator.machine import interruption  # not earlier, for it imports a module called signal

    interruption.end_at_once()


def _put_current_folder_last(packages: tuple[str, ...], advice: str) -> None:
    here = os.path.realpath(os.getcwd())
    ours = os.path.abspath(os.path.join(os.path.realpath(__file__), *3 * (os.pardir,)))
    if not sys.path or here == ours or os.path.realpath(sys.path[0]) != here:
        return
    for name in packages:
        for file in (f"{name}.py", os.path.join(name, "__init__.py")):
            if os.path.isfile(os.path.join(here, file)):
                told = f"{os.path.join(here, file)}: hides a package of this software from python -m"
                print(f"{told}; {advice}", file=sys.stderr)
                sys.exit(BAD_INPUT)
    sys.path.append(sys.path.pop(0))
