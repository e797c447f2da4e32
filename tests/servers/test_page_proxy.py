"""The operator's page behind a proxy that lets nothing but reads pass: its stop is confirmed when it has arrived."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import robotkit as rk
from tests.serving import served
from tests.support.waiting import wait_until

ALARM = "STOP NOT CONFIRMED"
READS_ALONE = """
const send = window.fetch;
window.tries = 0;
window.pass = () => { window.fetch = send; };
window.fetch = (path, more) => more.method !== "POST" ? send(path, more)
  : (window.tries++, Promise.reject(new TypeError("refused")));
"""
ANSWERS_ARE_LOST = """
const send = window.fetch;
window.tries = 0;
window.fetch = async (path, more) => {
  const answer = await send(path, more);
  if (more.method !== "POST") return answer;
  window.tries++;
  throw new TypeError("the answer is lost");
};
"""


@pytest.fixture
def page(browser: Any, cell: rk.Workcell) -> Iterator[Any]:
    with served(cell) as url:
        browser.get(url)
        yield browser
        browser.get("about:blank")


def _words(page: Any) -> str:
    return str(page.execute_script("return document.getElementById('words').textContent"))


def _press(page: Any) -> None:
    page.execute_script("document.getElementById('stop').click()")


def _has_read(page: Any, stops: int) -> None:
    wait_until(lambda: page.execute_script("return stops") == stops, 20.0)


def test_u9_a_stop_that_has_not_arrived_is_not_confirmed_by_an_earlier_one(page: Any, cell: rk.Workcell) -> None:
    cell.robot.stop_for("look at the gripper", "somebody else")
    _has_read(page, 1)
    page.execute_script(READS_ALONE)
    _press(page)
    wait_until(lambda: page.execute_script("return tries") >= 3, 20.0)
    assert _words(page).startswith(ALARM)
    cell.robot.recover()  # from the earlier one: nothing that is said here has been undone
    page.execute_script("pass()")
    wait_until(lambda: _words(page).startswith("Stop confirmed"), 20.0)
    assert cell.robot.get_state().mode == "stopped"
    assert cell.robot.get_state().stops == 2


def test_u9_a_stop_whose_answers_are_lost_is_confirmed_by_the_stop_that_has_come_since(
    page: Any, cell: rk.Workcell
) -> None:
    _has_read(page, 0)
    page.execute_script(ANSWERS_ARE_LOST)
    _press(page)
    wait_until(lambda: _words(page).startswith("Stop confirmed"), 20.0)
    assert (cell.robot.get_state().mode, cell.robot.get_state().stops) == ("stopped", 1)
