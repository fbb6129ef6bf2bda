"""How a command that `python -m` runs begins: it imports nothing slow, and what it needs is not hidden from it."""

import os
import sys
from importlib import import_module

from emulator import interruption

BAD_INPUT = 2


def run(module: str) -> int:
    """Run the `main` of a module and return its exit status; a signal may come at any moment."""
    interruption.end_at_once()
    try:
        return import_module(module).main()
    finally:
        interruption.ignore()


def start(*packages: str) -> None:
    """Begin a command that `python -m` runs; end it with one line if the current folder hides one of these packages.

    `python -m` looks for modules in the current folder first. That folder is put last here, so that a `queue.py` of
    somebody's is not taken for Python's own.
    """
    interruption.end_at_once()
    here = os.path.realpath(os.getcwd())
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if not sys.path or here == ours or os.path.realpath(sys.path[0]) != here:
        return
    for name in packages:
        for file in (f"{name}.py", os.path.join(name, "__init__.py")):
            if os.path.isfile(os.path.join(here, file)):
                told = f"{os.path.join(here, file)}: hides a package of this software from python -m"
                print(f"{told}; the console script load-balancing-emulator runs here all the same", file=sys.stderr)
                sys.exit(BAD_INPUT)
    sys.path.append(sys.path.pop(0))
