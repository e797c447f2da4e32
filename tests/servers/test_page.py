"""The operator's page in a real browser: STOP is on screen, is confirmed or says that it is not, and is sent once."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

import httpx
import pytest

import robotkit as rk
from tests.serving import served, server_process
from tests.support.browser import resize
from tests.support.operators_page import (
    ALARM,
    SCREENS,
    TOUCH_HEIGHT,
    StopCounter,
    click,
    is_on_screen,
    key,
    opened,
    shows,
    text,
)
from tests.support.waiting import wait_until


@pytest.mark.parametrize("screen", SCREENS)
def test_u9_stop_is_on_every_screen_wherever_one_scrolls(page: Any, screen: str, stops: StopCounter) -> None:
    resize(page, *SCREENS[screen])
    wait_until(lambda: "joints" in text(page, "arm"))
    for _ in range(2):
        for place in ("0", "document.body.scrollHeight"):
            page.execute_script(f"scrollTo(0, {place})")
            assert is_on_screen(page, "stop", TOUCH_HEIGHT), (screen, place)
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        stops.is_lost = True
        click(page, "stop")
        shows(page, "words", ALARM)
        assert is_on_screen(page, "words")
        click(page, "stop")
    stops.is_lost = False
    shows(page, "words", "Stop confirmed")


def test_u9_stop_is_confirmed_by_the_state_that_follows(page: Any, stops: StopCounter, cell: rk.Workcell) -> None:
    click(page, "stop")
    shows(page, "words", "Stop confirmed at")
    assert cell.robot.get_state().mode == "stopped"
    assert stops.count == 1
    shows(page, "words", "Stopped by operator's page at")
    shows(page, "badge", "stopped")


def test_u9_an_old_browser_stops_and_is_told_so(browser: Any, stops: StopCounter, cell: rk.Workcell) -> None:
    missing = "delete AbortSignal.timeout; delete AbortSignal.any; delete window.BroadcastChannel;"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": missing})
    try:
        with served(cell) as url:
            page = opened(browser, url)
            assert page.execute_script("return AbortSignal.timeout === undefined")
            click(page, "stop")
            shows(page, "words", "Stop confirmed")
            assert cell.robot.get_state().mode == "stopped"
            assert stops.count == 1
            shows(page, "badge", "stopped")  # its reads work too
            browser.get("about:blank")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_u9_a_stop_that_does_not_act_alarms_and_is_sent_until_it_does(page: Any, stops: StopCounter) -> None:
    stops.is_lost = True
    click(page, "stop")
    shows(page, "words", ALARM)
    shows(page, "detail", "the arm says holding")
    wait_until(lambda: stops.count >= 3)
    stops.is_lost = False
    shows(page, "words", "Stop confirmed")
    assert ALARM not in text(page, "words")


def test_u9_a_stop_whose_device_takes_its_time_is_sent_once_and_alarms_nobody(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    halts, owed = cell.robot.inner._halts, iter([True, True])
    monkeypatch.setattr(type(halts), "is_owed", property(lambda _: stops.count > 0 and next(owed, False)))
    page.execute_script(
        "window.words = []; new MutationObserver(() => words.push(document.getElementById('words').textContent))"
        ".observe(document.getElementById('words'), { childList: true })"
    )
    click(page, "stop")
    shows(page, "words", "Stop confirmed at")
    assert page.execute_script("return words")[-2:] == ["STOP sent", text(page, "words")]
    assert stops.count == 1


def test_u9_a_stop_that_the_device_does_not_take_is_sent_until_a_person_has_recovered_the_arm(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(cell.robot.inner._halts), "is_owed", property(lambda _: cell.robot.machine.mode == "stopped")
    )
    click(page, "stop")
    shows(page, "detail", "its device has not taken the stop")
    wait_until(lambda: stops.count >= 2, 20.0)

    def is_over_once_recovered() -> bool:
        with suppress(rk.RobotStopped):  # one more came meanwhile
            cell.robot.recover()
        return "Stopped, and recovered since" in text(page, "words")

    wait_until(is_over_once_recovered, 20.0)
    cell.robot.recover()
    count = stops.count
    shows(page, "badge", "holding")
    assert stops.count == count


def test_u9_a_server_that_does_not_answer_alarms_until_it_does(browser: Any) -> None:
    with server_process("--cell", "fake") as (url, process):
        page = opened(browser, url)
        shows(page, "badge", "holding")
        process.send_signal(signal.SIGSTOP)
        try:
            key(page, "Escape", "keyDown")
            shows(page, "words", ALARM)
            shows(page, "detail", "the server does not answer")
        finally:
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: text(page, "words").startswith("Stop"), 20.0)
        assert httpx.get(f"{url}/v1/health", trust_env=False, timeout=60.0).json()["status"] == "stopped"
        wait_until(lambda: text(page, "messages") == "a stop is latched; POST /v1/robot/recover when the cell is clear")
        page.get("about:blank")


def test_u9_space_held_down_is_one_stop_and_presses_no_button(page: Any, stops: StopCounter) -> None:
    page.execute_script("document.getElementById('recover').focus()")
    key(page, "Space", "keyDown")
    for _ in range(20):
        key(page, "Space", "keyDown", autoRepeat=True)
    key(page, "Space", "keyUp")
    shows(page, "words", "Stop")
    assert text(page, "recover") == "Recover"
    for _ in range(20):
        key(page, "Space", "keyDown", autoRepeat=True)
    shows(page, "words", "Stopped by")
    assert stops.count == 1


def test_u9_each_press_after_the_answer_is_a_stop_of_its_own(page: Any, stops: StopCounter) -> None:
    page.execute_script("document.getElementById('stop').click()")
    shows(page, "words", "Stop confirmed")
    click(page, "stop")
    wait_until(lambda: stops.count == 2)


def test_u9_a_stop_whose_answer_is_lost_stops_nothing_again_that_a_person_has_recovered(
    page: Any, stops: StopCounter, cell: rk.Workcell
) -> None:
    page.execute_script(
        """
        const send = window.fetch;
        window.fetch = async (path, ...more) => {
          const answer = await send(path, ...more);
          if (path !== "/v1/robot/stop") return answer;
          window.fetch = send;
          await send("/v1/robot/recover", { method: "POST" });
          throw new TypeError("the answer is lost");
        };
        """
    )
    click(page, "stop")
    shows(page, "words", "Stopped, and recovered since")
    assert stops.count == 1
    assert cell.robot.get_state().mode == "holding"
