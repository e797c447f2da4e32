"""Settings that all tests share."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.parts import PARTS, VENDORS, Group

# A shared machine may pause for longer than hypothesis' default deadline; a law that fails must fail again.
settings.register_profile("robotkit", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("robotkit")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--vendor` keeps native vendor libraries in processes of their own, `--part` divides the tests without them."""
    parser.addoption(
        "--vendor",
        choices=("all", *VENDORS),
        default="all",
        help="which tests to run: those without vendor libraries, with franky, or with the other drivers' libraries",
    )
    parser.addoption(
        "--part", choices=PARTS, default="", help="of the tests without vendor libraries: those of some folders"
    )


def pytest_configure() -> None:
    """Let what tests start be ended: a shell has a background job ignore SIGINT and SIGQUIT, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no test file in which no test can be one of the group's."""
    group = _group(config)
    return None if group is None or group.may_have(collection_path) else True


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Pytest's own, for tests that read the log at once: it is written in the thread that logs.

    Lines of the tests before, which wait to be written on a busy machine, are not taken for those of this one.
    """
    from robotkit.aside import ASIDE

    ASIDE.drain(60.0)
    monkeypatch.setattr(ASIDE, "enqueue", ASIDE.write)
    return caplog


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of one group.

    `make test` runs each group in a process of its own (`tests.groups`): a native library that crashes then takes
    nobody else's results with it, and the crash tells which group it belongs to.
    """
    group = _group(config)
    if group is not None:
        config.hook.pytest_deselected(items=[item for item in items if not group.has(item.nodeid)])
        items[:] = [item for item in items if group.has(item.nodeid)]


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what imports and collection have made: it lives as long as the tests."""
    gc.collect()
    gc.freeze()


def _group(config: pytest.Config) -> Group | None:
    vendor, part = config.getoption("--vendor"), config.getoption("--part")
    if vendor == "all" and part:
        raise pytest.UsageError("--part divides the tests without vendor libraries: use it with --vendor none")
    return None if vendor == "all" else Group(vendor, part)


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
