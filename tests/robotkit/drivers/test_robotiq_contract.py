"""The gripper suite over the Robotiq driver, on each transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import robotkit as rk
from robotkit.testing import GripperContract
from tests.support.robotiq_emulator import PATIENT, RobotiqEmulator


class TestRobotiq(GripperContract):
    @pytest.fixture(params=["tcp", "rtu", "rtu-over-tcp"])
    def cell(self, request: pytest.FixtureRequest) -> Iterator[rk.Workcell]:
        with RobotiqEmulator(request.param, activation_s=0.02, speed_mm_s=500.0) as emulator:
            config = rk.WorkcellConfig(
                name="bench",
                robot=rk.PluginRef(type="fake"),
                gripper=rk.PluginRef(type="robotiq", options=emulator.options | PATIENT),
            )
            with rk.make_workcell(config) as built:
                yield built
