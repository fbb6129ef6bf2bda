"""`python -m policies`, and how the other commands of policies begin."""

import os
import sys


def run(module: str) -> int:
    """Run the `main` of a module, of whose command this is the beginning, and return its exit status."""
    # The current folder may have something else called emulator, which is told of, and not run.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    from emulator.machine import starting

    del sys.path[0]
    starting.start("dispatchers", "emulator")
    return starting.run(module)


if __name__ == "__main__":
    sys.exit(run("policies.command_line"))
