"""``python -m anlage``: the command line."""

import sys

from anlage.cli import main

if __name__ == "__main__":
    sys.exit(main())
