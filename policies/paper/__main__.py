"""`python -m policies.paper`."""

import sys

from emulator.starting import run, start

if __name__ == "__main__":
    start("dispatchers")
    sys.exit(run("policies.paper.command_line"))
