"""The suite of hand-held devices over SpaceMouse, gamepad and keyboard."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

import robotkit as rk
from robotkit.drivers.teleop.gamepad import Gamepad, GamepadConfig
from robotkit.drivers.teleop.spacemouse import SpaceMouse, SpaceMouseConfig
from robotkit.registry import teleops
from robotkit.testing import TeleopContract
from tests.support.fake_hid import FakePad, FakeSpaceMouse


class TestHandHeldDevices(TeleopContract):
    @pytest.fixture(params=["spacemouse", "gamepad", "keyboard"])
    def teleop(self, request: pytest.FixtureRequest) -> Iterator[rk.BaseTeleop]:
        context = rk.CellContext(name="hand")
        keys, shown = pty.openpty()
        yield {
            "spacemouse": lambda: SpaceMouse(SpaceMouseConfig(), context, FakeSpaceMouse().open),
            "gamepad": lambda: Gamepad(GamepadConfig(), context, FakePad().open),
            "keyboard": lambda: teleops.make("keyboard", terminal=os.ttyname(shown)),
        }[request.param]()
        os.close(keys)
        os.close(shown)
