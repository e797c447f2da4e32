"""The operator's page in a real browser: its stop is confirmed once the arm stands, not while it moves on."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli.seen_standing import SeenStanding
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


def test_u9_a_stop_is_not_confirmed_while_the_arm_is_measured_moving_slowly_or_not_at_all(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, frozen = cell.robot.inner, [None]
    measure, speed_rad_s = inner._measure, [0.02]

    def drift() -> Any:
        measured = frozen[0] or measure()
        turned_rad = speed_rad_s[0] * measured.stamp_s
        return measured._replace(joint_positions_rad=measured.joint_positions_rad + turned_rad)

    monkeypatch.setattr(cell.robot._standstill, "is_left_by", lambda *_, **__: False)
    monkeypatch.setattr(inner, "_measure", drift)
    click(page, "stop")
    shows(page, "words", ALARM)
    shows(page, "detail", "the arm was not measured standing")
    speed_rad_s[0] = 0.0
    shows(page, "words", "Stop confirmed at")
    frozen[0] = measure()
    click(page, "stop")
    shows(page, "words", ALARM)
    shows(page, "detail", "nothing was measured since the stop")
    frozen[0] = None
    shows(page, "words", "Stop confirmed at")


def test_u9_the_page_calls_an_arm_standing_by_the_rule_of_robotkit_stop(page: Any) -> None:
    random, runs, expected = np.random.default_rng(0), [], []
    for speed_m_s, noise in itertools.product([0.0, 0.002, 0.004, 0.012], [0.0, 0.2, 1.0, 1.5]):
        run, seen = [], SeenStanding()
        stamps_s = np.cumsum(random.choice([0.0, 0.02, 0.1], 100)) + 5.0
        stamps_s[40:] -= 4.0 if noise else 0.0  # as when the server is started anew
        for stamp_s in stamps_s:
            joints_rad = 0.004 * noise * random.standard_normal(7)
            tool_m = 0.001 * noise * random.standard_normal(3) + [0.0, speed_m_s * stamp_s, 0.0]
            state = {
                "stamp_s": stamp_s,
                "joint_positions_rad": joints_rad.tolist(),
                "tcp_pose_in_base": [*tool_m.tolist(), 1.0, 0.0, 0.0, 0.0],
            }
            run.append(state)
            seen.add(state)
            stands = seen.stands()
            expected.append([stands, seen.moves() and not stands])
        runs.append(run)
    found = page.execute_script(
        "return arguments[0].flatMap(run => { const seen = {}; return run.map(arm => {"
        "  const isStanding = stands(seen, arm); return [isStanding, seen.moves && !isStanding]; }); })",
        runs,
    )
    assert found == expected
    assert {(True, False), (False, False), (False, True)} == set(map(tuple, expected))


def test_u9_noise_that_hides_for_a_while_whether_the_arm_moves_raises_no_alarm(
    page: Any, stops: StopCounter, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, random = cell.robot.inner, np.random.default_rng(0)
    measure = inner._measure

    def noisy() -> Any:
        measured = measure()
        noise_rad = 0.006 * random.standard_normal(len(measured.joint_positions_rad))
        return measured._replace(joint_positions_rad=measured.joint_positions_rad + noise_rad)

    monkeypatch.setattr(cell.robot._standstill, "is_left_by", lambda *_, **__: False)
    monkeypatch.setattr(inner, "_measure", noisy)
    page.execute_script(
        "window.alarms = 0; new MutationObserver(() => { if ($('verdict').className === 'alarm') alarms += 1; })"
        ".observe($('verdict'), { attributes: true })"
    )
    click(page, "stop")
    shows(page, "words", "Stop confirmed at")
    assert (page.execute_script("return alarms"), stops.count) == (0, 1)
