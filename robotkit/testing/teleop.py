"""`TeleopContract`: the laws of every device that a person steers with."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk


class TeleopContract:
    """Laws of every teleoperation device.

    A subclass says with `make_teleop` which device is tested, or overrides the fixture `teleop`.
    """

    def make_teleop(self) -> rk.BaseTeleop:
        """The device under test, not connected."""
        raise NotImplementedError(
            f"{type(self).__name__} has no device to test: let its make_teleop() return one, "
            "as robotkit.teleops.make('my-device') makes one"
        )

    @pytest.fixture
    def teleop(self) -> rk.BaseTeleop:
        """The device under test."""
        return self.make_teleop()

    def test_a_reading_is_a_bounded_deflection(self, teleop: rk.BaseTeleop) -> None:
        """A reading is a deflection in [-1, 1], and active when anything is deflected or pressed."""
        with teleop:
            reading = teleop.read()
        assert reading.twist.shape == (6,)
        assert np.abs(reading.twist).max() <= 1.0
        assert reading.is_active == bool(reading.twist.any() or any(reading.buttons))
        assert rk.TeleopReading.model_validate_json(reading.model_dump_json()) == reading

    def test_life_cycle(self, teleop: rk.BaseTeleop) -> None:
        """It reads only while connected; a second connection or disconnection changes nothing."""
        with pytest.raises(rk.NotConnected):
            teleop.read()
        teleop.connect()
        teleop.connect()
        assert teleop.is_connected
        teleop.disconnect()
        teleop.disconnect()
        with pytest.raises(rk.NotConnected):
            teleop.read()
