"""`python -m policies.paper`."""

import sys

from policies.__main__ import run

if __name__ == "__main__":
    sys.exit(run("policies.paper.command_line"))
