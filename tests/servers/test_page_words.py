"""The operator's page in a real browser: what it tells, whom it lets in, and that it loads nothing foreign."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings
from servers.routes.dashboard import dashboard
from tests.serving import served
from tests.support.operators_page import ALARM, TOUCH_HEIGHT, StopCounter, click, is_on_screen, key, opened, shows, text
from tests.support.waiting import wait_until

TOKEN = "correct horse battery"


def test_u9_a_name_can_be_typed_and_is_the_author(page: Any, stops: StopCounter, cell: rk.Workcell) -> None:
    page.find_element("id", "name").send_keys("Jürgen Groß")
    assert stops.count == 0
    key(page, "Escape", "keyDown")
    shows(page, "words", "Stopped by Jürgen Groß (operator's page)")
    assert cell.robot.get_state().stop.author == "Jürgen Groß (operator's page)"


def test_u9_errors_go_when_their_cause_goes(page: Any, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> None:
    shows(page, "badge", "holding")
    broken = threading.Event()
    get_state = cell.robot.get_state

    def measure() -> rk.RobotState:
        if broken.is_set():
            raise rk.StaleState("the arm fell silent")
        return get_state()

    monkeypatch.setattr(cell.robot, "get_state", measure)
    broken.set()
    shows(page, "messages", "the arm fell silent")
    shows(page, "badge", "fault")
    broken.clear()
    cell.robot.recover()  # the monitor stopped the arm
    wait_until(lambda: text(page, "messages") == "", 20.0)
    shows(page, "badge", "holding")


def test_u9_a_clock_that_is_set_back_leaves_no_old_words_about_a_stop(page: Any, cell: rk.Workcell) -> None:
    click(page, "stop")
    shows(page, "words", "Stop confirmed at")
    page.execute_script("const now = Date.now; Date.now = () => now() - 3 * 3600 * 1000")
    cell.robot.recover()
    wait_until(lambda: text(page, "words") == "", 20.0)
    shows(page, "badge", "holding")


def test_u9_whoever_commands_is_called_by_name(page: Any, cell: rk.Workcell) -> None:
    url = page.current_url
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        headers = {"X-Robotkit-Client": "0123456789abcdef", "X-Robotkit-Name": "anna@lab3 train.py"}
        http.post("/v1/step", json={}, headers=headers).raise_for_status()
        shows(page, "who", "controlled by anna@lab3 train.py since ")
        assert "0123456789abcdef" not in page.page_source


@pytest.mark.parametrize("screen", ["desktop", "phone"])
def test_u9_with_a_token_there_is_a_form_to_log_in(
    browser: Any, screen: str, cell: rk.Workcell, stops: StopCounter
) -> None:
    with served(cell, ServerSettings(token=TOKEN)) as url:
        page = opened(browser, url, screen)
        wait_until(lambda: page.find_element("id", "login").is_displayed(), 20.0)
        assert is_on_screen(page, "stop", TOUCH_HEIGHT)
        for wrong in ("wrong token", "schlüssel"):
            page.find_element("id", "token").send_keys(wrong + "\n")
            shows(page, "messages", "not one of the server's")
            wait_until(lambda: page.find_element("id", "login").is_displayed())
        click(page, "stop")
        shows(page, "words", ALARM)
        assert stops.count == 0
        page.find_element("id", "token").send_keys(TOKEN + "\n")
        shows(page, "words", "Stop")
        shows(page, "badge", "stopped")
        assert not page.find_element("id", "login").is_displayed()
        assert TOKEN not in page.current_url
        page.refresh()
        shows(page, "badge", "stopped")
        page.execute_script("document.getElementById('logout').click()")
        wait_until(lambda: page.find_element("id", "login").is_displayed(), 20.0)
        page.get(f"{url}/?token={TOKEN}")
        shows(page, "badge", "stopped")
        assert page.current_url == f"{url}/"
        page.execute_script("sessionStorage.clear()")
        page.get("about:blank")


def test_u9_nothing_foreign_and_nothing_refused_by_the_policy(page: Any) -> None:
    page.get_log("browser")
    page.refresh()
    shows(page, "badge", "holding")
    wait_until(lambda: page.execute_script("return [...document.images].some(image => image.naturalWidth > 0)"), 20.0)
    loaded = page.execute_script(
        "return performance.getEntriesByType('resource').map(entry => new URL(entry.name).host)"
    )
    assert set(loaded) <= {page.current_url.split("/")[2]}
    assert [entry["message"] for entry in page.get_log("browser") if "favicon" not in entry["message"]] == []
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.x = 1'; document.body.append(s)"
    )
    assert page.execute_script("return window.x") is None


def test_the_policy_allows_the_pages_own_script_alone() -> None:
    policy = asyncio.run(dashboard()).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
