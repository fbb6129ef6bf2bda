"""`python -m policies`."""

import sys

from emulator.starting import run, start

if __name__ == "__main__":
    start("dispatchers")
    sys.exit(run("policies.command_line"))
