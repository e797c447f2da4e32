"""A pytest plugin that writes down which lines each test executes, and how long each test takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from coverage import Coverage

OUTSIDE = ""
"""Stands for a test where a line ran before the first one: on import, or while tests were collected."""
_ATTEMPTS = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the campaign says."""
    parser.addoption("--lines-to", type=Path, help="JSON file for the lines that each test executes")
    parser.addoption("--lines-of", action="append", default=[], help="a file whose lines are written down")


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where there is a file to write to."""
    if config.option.lines_to is not None:
        config.pluginmanager.register(_Recorder(config.option.lines_to, config.option.lines_of))


class _Recorder:
    """Writes one file at the end of the tests.

    A thread's lines belong to the test during which they run. Those of a fixture that several tests share belong to
    all of these, whichever of them was the first to ask for it.
    """

    def __init__(self, file: Path, sources: Sequence[str]) -> None:
        self._file, self._root = file, Path.cwd().resolve()
        self._coverage = Coverage(data_file=None, config_file=False, include=[str(self._root / one) for one in sources])
        self._coverage.set_option("run:core", "ctrace")  # sys.monitoring knows no contexts
        self._coverage.set_option("run:disable_warnings", ["no-data-collected"])  # of tests that start processes
        self._context = OUTSIDE
        self._seconds: dict[str, float] = {}
        self._fixtures: dict[str, Sequence[str]] = {}
        self._shared: dict[str, tuple[str, str]] = {}
        self._blind: list[str] = []
        self._coverage.start()
        self._tracer = sys.gettrace()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Iterator[None]:
        """Say whose lines follow; those of a thread that it leaves behind are its own until the next one."""
        self._switch(item.nodeid)
        start_s = perf_counter()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = perf_counter() - start_s
            self._fixtures[item.nodeid] = tuple(item.fixturenames)
            if sys.gettrace() is not self._tracer:  # a test with a tracer of its own
                self._blind.append(item.nodeid)
                self._coverage.stop()
                self._coverage.start()
                self._tracer = sys.gettrace()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
        """A fixture that is made for several tests has lines of its own."""
        if fixturedef.scope == "function":
            return (yield)
        around, name = self._context, f"fixture {len(self._shared)}"
        self._shared[name] = (request.node.nodeid, fixturedef.argname)
        self._switch(name)
        try:
            return (yield)
        finally:
            self._switch(around)

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        self._switch(OUTSIDE)
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            str(Path(path).relative_to(self._root)): {
                line: sorted({test for context in contexts for test in self._tests(context)})
                for line, contexts in data.contexts_by_lineno(path).items()
            }
            for path in data.measured_files()
        }
        content = {"seconds": self._seconds, "lines": lines, "blind": self._blind}
        self._file.write_text(json.dumps(content), encoding="utf-8")

    def _tests(self, context: str) -> list[str]:
        if context not in self._shared:
            return [context]
        node, name = self._shared[context]
        return [test for test, names in self._fixtures.items() if name in names and test.startswith(node)]

    def _switch(self, context: str) -> None:
        """Name the context of what follows, once no thread adds a line while the lines before are put aside."""
        for attempt in range(_ATTEMPTS):
            try:
                self._coverage.switch_context(context)
                break
            except RuntimeError:  # "Set changed size during iteration"
                if attempt == _ATTEMPTS - 1:
                    raise
        self._context = context
