"""`python -m autowipe`: the same as the command `autowipe`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
