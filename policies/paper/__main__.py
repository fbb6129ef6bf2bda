"""`python -m policies.paper`."""

import sys

from policies.paper.command_line import main

if __name__ == "__main__":
    sys.exit(main())
