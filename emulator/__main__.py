"""`python -m emulator`, and the console script."""

import os
import sys

from emulator import interruption

if __name__ != "__mp_main__":  # as which the processes that a run starts import this
    interruption.end_at_once()

BAD_INPUT = 2


def shadow() -> str | None:
    """Return the file in the current folder that Python would take for a package of this software, if there is one.

    `python -m` looks there first. What else stands there is put behind the installed packages, so that a `queue.py` of
    somebody's is not taken for Python's own.
    """
    here = os.path.realpath(os.getcwd())
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if not sys.path or here == ours or os.path.realpath(sys.path[0]) != here:
        return None
    for name in ("dispatchers", "policies"):
        for file in (f"{name}.py", os.path.join(name, "__init__.py")):
            if os.path.isfile(os.path.join(here, file)):
                return os.path.join(here, file)
    sys.path.append(sys.path.pop(0))
    return None


def main() -> int:
    """Run the command line and return its exit status."""
    from emulator.command_line import main as run

    status = run()
    interruption.ignore()
    return status


if __name__ == "__main__":
    file = shadow()
    if file is None:
        sys.exit(main())
    print(
        f"{file}: hides a package of this software from python -m; run load-balancing-emulator, which it does not harm",
        file=sys.stderr,
    )
    sys.exit(BAD_INPUT)
