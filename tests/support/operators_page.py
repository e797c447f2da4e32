"""What a test does at the operator's page in a real browser, and what it reads there."""

from __future__ import annotations

from typing import Any

import pytest

import robotkit as rk
from tests.support.browser import resize
from tests.support.waiting import wait_until

ALARM = "STOP NOT CONFIRMED – USE THE HARDWARE STOP"


SCREENS = {"desktop": (1280, 800, False), "phone": (390, 844, True), "phone on its side": (844, 390, True)}


TOUCH_HEIGHT = 60


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


def opened(browser: Any, url: str, screen: str = "desktop") -> Any:
    """`browser` at the page of `url`, in a window of a size of `SCREENS`."""
    resize(browser, *SCREENS[screen])
    browser.get(url)
    return browser


def text(page: Any, name: str) -> str:
    """The text of the element whose id is `name`."""
    return page.execute_script("return document.getElementById(arguments[0]).textContent", name)


def shows(page: Any, name: str, words: str) -> None:
    """Wait until the element `name` has `words` in its text."""
    wait_until(lambda: words in text(page, name))


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
