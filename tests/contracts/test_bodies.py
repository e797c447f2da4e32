"""Every contract over every body."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import robotkit as rk
from robotkit import testing
from tests.contracts.bodies import BODIES, TELEOPS


class _OverBodies:
    """Each body in turn, connected and reset."""

    @pytest.fixture(params=list(BODIES))
    def cell(self, request: pytest.FixtureRequest) -> Iterator[rk.Workcell]:
        with BODIES[request.param]() as built:
            built.reset(seed=0)
            yield built


class TestArm(_OverBodies, testing.ArmContract):
    pass


class TestWorkcell(_OverBodies, testing.WorkcellContract):
    pass


class TestGripper(_OverBodies, testing.GripperContract):
    pass


class TestCamera(_OverBodies, testing.CameraContract):
    pass


class TestTracker(_OverBodies, testing.TrackerContract):
    pass


class TestTeleop(testing.TeleopContract):
    @pytest.fixture(params=list(TELEOPS))
    def teleop(self, request: pytest.FixtureRequest) -> rk.BaseTeleop:
        return TELEOPS[request.param]()
