"""`python -m robotkit`, and the console script `robotkit`."""

import sys

from robotkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
