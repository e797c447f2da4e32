"""`python -m tests [options of pytest]`: all tests, as `make test` runs them."""

import sys

from tests.groups import pytest_commands, run

if __name__ == "__main__":
    sys.exit(run(pytest_commands(sys.argv[1:])))
