"""The operator's page in a real browser: STOP is on screen, is confirmed or says that it is not, and is sent once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings
from servers.routes.dashboard import dashboard
from tests.serving import served, server_process
from tests.support.browser import chromium, resize
from tests.support.waiting import wait_until

ALARM = "STOP NOT CONFIRMED – USE THE HARDWARE STOP"
SCREENS = {"desktop": (1280, 800, False), "phone": (390, 844, True), "phone on its side": (844, 390, True)}
TOUCH_HEIGHT = 60
TOKEN = "correct horse battery"


class StopCounter:
    """Counts the stops that reach a cell, and lets them be lost."""

    def __init__(self, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.is_lost = False
        self._stop_for = cell.robot.stop_for
        monkeypatch.setattr(cell.robot, "stop_for", self._count)

    def _count(self, *why: str) -> None:
        self.count += 1
        if not self.is_lost:
            self._stop_for(*why)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def stops(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> StopCounter:
    return StopCounter(cell, monkeypatch)


@pytest.fixture
def page(browser: Any, stops: StopCounter, cell: rk.Workcell) -> Iterator[Any]:
    with served(cell) as url:
        yield opened(browser, url)
        browser.get("about:blank")


def opened(browser: Any, url: str, screen: str = "desktop") -> Any:
    resize(browser, *SCREENS[screen])
    browser.get(url)
    return browser


def text(page: Any, name: str) -> str:
    return page.execute_script("return document.getElementById(arguments[0]).textContent", name)


def shows(page: Any, name: str, words: str) -> None:
    wait_until(lambda: words in text(page, name), 20.0)


def click(page: Any, name: str) -> None:
    page.find_element("id", name).click()


def key(page: Any, code: str, kind: str, **more: Any) -> None:
    character = " " if code == "Space" else code
    page.execute_cdp_cmd(
        "Input.dispatchKeyEvent",
        {"type": kind, "code": code, "key": character, "windowsVirtualKeyCode": 32 if code == "Space" else 27, **more},
    )


def is_on_screen(page: Any, name: str, height: int = 0) -> bool:
    """The whole element is in the window, and what a finger meets there is it."""
    return page.execute_script(
        """
        const element = document.getElementById(arguments[0]), box = element.getBoundingClientRect();
        const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
        const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return inside && box.height >= arguments[1] && (hit === element || element.contains(hit));
        """,
        name,
        height,
    )


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
        assert httpx.get(f"{url}/v1/health", trust_env=False).json()["status"] == "stopped"
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


def test_u9_a_name_can_be_typed_and_is_the_author(page: Any, stops: StopCounter, cell: rk.Workcell) -> None:
    page.find_element("id", "name").send_keys("Jürgen Groß")
    assert stops.count == 0
    key(page, "Escape", "keyDown")
    shows(page, "words", "Stopped by Jürgen Groß (operator's page)")
    assert cell.robot.get_state().stop.author == "Jürgen Groß (operator's page)"


def test_u9_recovering_takes_two_presses(page: Any, cell: rk.Workcell) -> None:
    cell.robot.stop_for("the door was opened", "door switch")
    shows(page, "words", "Stopped by door switch")
    shows(page, "detail", "the door was opened")
    click(page, "recover")
    shows(page, "recover", "The cell is clear: recover")
    assert cell.robot.get_state().mode == "stopped"
    click(page, "recover")
    shows(page, "badge", "holding")
    wait_until(lambda: text(page, "words") == "")


def test_u9_a_second_press_undoes_no_stop_that_is_not_on_the_screen(page: Any, cell: rk.Workcell) -> None:
    cell.robot.stop_for("the door was opened", "door switch")
    shows(page, "detail", "the door was opened")
    page.execute_script(
        """
        const get = window.fetch;
        window.states = 0;
        window.fetch = async (path, ...more) => {
          if (path === "/v1/health") await new Promise(() => {});
          const answer = await get(path, ...more);
          if (path === "/v1/state") window.states++;
          return answer;
        };
        """
    )
    before = page.execute_script("return window.states")
    cell.robot.recover()
    cell.robot.stop_for("a hand is in the cell", "somebody else")
    wait_until(lambda: page.execute_script("return window.states") > before + 3, 20.0)
    click(page, "recover")
    click(page, "recover")
    shows(page, "messages", "robot_stopped")
    assert cell.robot.machine.stop.cause == "a hand is in the cell"


def test_u9_a_stop_of_ones_own_is_no_other_one_when_one_recovers(page: Any, cell: rk.Workcell) -> None:
    shows(page, "badge", "holding")
    page.execute_script(
        """
        const get = window.fetch, shown = new Promise(resume => { window.letGo = resume; });
        window.fetch = async (path, ...more) => {
          if (path === "/v1/health") await shown;
          return get(path, ...more);
        };
        """
    )
    click(page, "recover")
    click(page, "stop")
    assert text(page, "recover") == "Recover"
    shows(page, "words", "Stop confirmed")
    click(page, "recover")
    assert cell.robot.machine.mode == "stopped"
    page.execute_script("window.letGo()")
    shows(page, "words", "Stopped by")
    assert "Another stop" not in text(page, "messages")
    wait_until(lambda: (click(page, "recover"), cell.robot.machine.mode)[1] == "holding", 20.0)


@pytest.mark.parametrize("is_recovered_between", [False, True])
def test_u9_a_stop_between_the_two_presses_has_to_be_looked_at(
    page: Any, cell: rk.Workcell, is_recovered_between: bool
) -> None:
    cell.robot.stop_for("the door was opened", "door switch")
    shows(page, "detail", "the door was opened")
    click(page, "recover")
    if is_recovered_between:
        cell.robot.recover()
    cell.robot.stop_for("a hand is in the cell", "somebody else")
    shows(page, "messages", "Another stop came since you pressed Recover")
    shows(page, "recover", "Recover")
    shows(page, "detail", "a hand is in the cell" if is_recovered_between else "stopped again since, 1×")
    click(page, "recover")
    click(page, "recover")
    shows(page, "badge", "holding")


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
    with httpx.Client(base_url=url, trust_env=False) as http:
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
