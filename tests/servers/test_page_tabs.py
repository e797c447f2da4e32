"""The operator's page in several tabs of a real browser, which share six connections: none keeps a stop waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import robotkit as rk
from servers.reads import Reads
from servers.routes import cameras, health
from tests.serving import served
from tests.support.waiting import wait_until

CONNECTIONS = 6
PATIENT = """
const later = window.setTimeout;
window.setTimeout = (call, ms) => ms === 3000 ? 0 : later(call, ms);
"""
"""No read of the page comes to an end by its own time-out."""


class _Reads:
    """What the page reads, and how many of those reads hang."""

    def __init__(self) -> None:
        self.hanging = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self._lock = threading.Lock()

    def hanging_as(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, while it may end."""

        def call(*arguments: Any) -> Any:
            with self._lock:
                self.hanging += 1
            self.may_end.wait(20.0)
            with self._lock:
                self.hanging -= 1
            return work(*arguments)

        return call


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Reads]:
    reads = _Reads()
    yield reads
    reads.may_end.set()


def _words(page: Any) -> str:
    return str(page.execute_script("return document.getElementById('words').textContent"))


def test_u9_a_stop_waits_for_no_read_of_this_tab_or_another(
    browser: Any, reads: _Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = rk.make_workcell("fake", clock="real")
    for name in ("get_state", "spec"):
        monkeypatch.setattr(rk.Workcell, name, reads.hanging_as(getattr(rk.Workcell, name)))
    monkeypatch.setattr(Reads, "cell", lambda self: asyncio.to_thread(self._cell.get_state))
    monkeypatch.setattr(health, "_health", reads.hanging_as(health._health))
    monkeypatch.setattr(cameras, "_image", lambda *which: rk.Workcell.get_state(which[0]))
    with served(cell) as url:
        try:
            for _ in range(3):
                browser.switch_to.new_window("window")
                # Only a stop ends a read then, as far as the page has a say in it.
                browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PATIENT})
                browser.get(url)
            reads.may_end.clear()
            wait_until(lambda: reads.hanging == CONNECTIONS, 10.0)
            browser.execute_script("document.getElementById('stop').click()")
            wait_until(lambda: _words(browser).startswith("Stop confirmed"), 10.0)
            assert cell.robot.get_state().mode == "stopped"
        finally:
            reads.may_end.set()
            for handle in browser.window_handles[1:]:
                browser.switch_to.window(handle)
                browser.close()
            browser.switch_to.window(browser.window_handles[0])
