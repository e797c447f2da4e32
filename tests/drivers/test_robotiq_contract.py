"""The gripper suite over the Robotiq driver, on each transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import robotkit as rk
from tests.contracts.test_gripper import (  # noqa: F401  (pytest collects them here, with the `cell` below)
    test_a_bad_position_is_refused_and_changes_nothing,
    test_a_disconnected_gripper_says_so,
    test_move_does_not_wait,
    test_newest_command_wins,
    test_open_and_close_are_the_ends,
    test_positions_are_normalised_and_widths_are_metres,
    test_reset_opens,
)
from tests.support.robotiq_emulator import PATIENT, RobotiqEmulator


@pytest.fixture(params=["tcp", "rtu", "rtu-over-tcp"])
def cell(request: pytest.FixtureRequest) -> Iterator[rk.Workcell]:
    with RobotiqEmulator(request.param, activation_s=0.02, speed_mm_s=500.0) as emulator:
        config = rk.WorkcellConfig(
            name="bench",
            robot=rk.PluginRef(type="fake"),
            gripper=rk.PluginRef(type="robotiq", options=emulator.options | PATIENT),
        )
        with rk.make_workcell(config) as built:
            yield built
