"""`python -m policies`."""

import sys

from policies.command_line import main

if __name__ == "__main__":
    sys.exit(main())
