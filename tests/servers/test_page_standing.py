"""The operator's page in a real browser: its stop is confirmed once the arm stands, not while it moves on."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import robotkit as rk
from tests.support.operators_page import ALARM, StopCounter, click, shows


def test_u9_a_stop_after_which_the_arm_moves_on_is_confirmed_once_it_stands_and_told_in_true_words(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = [True]
    monkeypatch.setattr(cell.robot._standstill, "is_left_by", lambda *_, **__: moves[0] and stops.count > 0)
    click(page, "stop")
    shows(page, "words", ALARM)
    shows(page, "detail", "the arm moves although it is stopped: use the hardware stop, unless somebody guides it")
    moves[0] = False
    shows(page, "words", "Stop confirmed at")
    moves[0] = True
    shows(page, "words", ALARM)
    shows(page, "detail", "the arm moves although it is stopped: use the hardware stop, unless somebody guides it")
    moves[0] = False
    shows(page, "words", "Stopped by operator's page at")


def test_u9_a_stop_is_confirmed_while_the_arm_is_not_seen_standing_after_it_has_had_its_time_to_brake(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, count = cell.robot.inner, itertools.count()
    measure = inner._measure

    def drift() -> Any:
        measured = measure()
        return measured._replace(joint_positions_rad=measured.joint_positions_rad + 0.01 * (next(count) % 2))

    assert page.execute_script(
        "const seen = {}, at = (stamp_s, x) => stands(seen, "
        "{ stamp_s, joint_positions_rad: [x], tcp_pose_in_base: [0, 0, 0] });"
        "return [at(1, 0), at(1.19, 0), at(1.2, 0.002), at(1.39, 0.002), at(1.41, 0.0025), at(1.42, 0.004)]"
    ) == [False, False, False, False, True, False]
    monkeypatch.setattr(inner, "_measure", drift)
    click(page, "stop")
    shows(page, "words", "Stop confirmed at")
    assert stops.count == 1
