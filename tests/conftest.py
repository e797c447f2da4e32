"""Settings that all tests share."""

import os
import signal
import sys

import pytest
from hypothesis import settings

# A shared machine may pause for longer than hypothesis' default deadline; a law that fails must fail again.
settings.register_profile("robotkit", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("robotkit")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--vendor` keeps native vendor libraries in processes of their own."""
    parser.addoption(
        "--vendor",
        choices=("all", "none", "franka", "others"),
        default="all",
        help="which tests to run: those without vendor libraries, with franky, or with the other drivers' libraries",
    )


def pytest_configure() -> None:
    """Let what tests start be interrupted: where a shell runs pytest in the background, SIGINT is ignored for both."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of one group of vendor libraries.

    `make test` runs each group in a process of its own (`tests.groups`): a native library that crashes then takes
    nobody else's results with it, and the crash tells which group it belongs to.
    """
    wanted = config.getoption("--vendor")
    if wanted == "all":
        return
    kept = [item for item in items if _vendor(item) == wanted]
    config.hook.pytest_deselected(items=[item for item in items if _vendor(item) != wanted])
    items[:] = kept


def _vendor(item: pytest.Item) -> str:
    if "franka" in item.nodeid:
        return "franka"
    return "others" if item.nodeid.startswith("tests/drivers/") else "none"


_EXIT_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the tests ended."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without unloading libraries: after playing recordings, librealsense crashes when Python unloads it.

    Every test has reported by now, and the exit status stays that of the tests.
    """
    if config.getoption("--vendor") == "others" and _EXIT_STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_EXIT_STATUS])
