"""The operator's page in a real browser: a recovery takes two presses, and undoes no stop that nobody has seen."""

from __future__ import annotations

from typing import Any

import pytest

import robotkit as rk
from tests.support.operators_page import click, shows, text
from tests.support.waiting import wait_until


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
