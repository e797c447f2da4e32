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
from tests.contracts.test_teleop import (  # noqa: F401  (pytest collects them here, with the `teleop` below)
    test_a_reading_is_a_bounded_deflection,
    test_life_cycle,
)
from tests.support.fake_hid import FakePad, FakeSpaceMouse


@pytest.fixture(params=["spacemouse", "gamepad", "keyboard"])
def teleop(request: pytest.FixtureRequest) -> Iterator[rk.BaseTeleop]:
    context = rk.CellContext(name="hand")
    keys, shown = pty.openpty()
    yield {
        "spacemouse": lambda: SpaceMouse(SpaceMouseConfig(), context, FakeSpaceMouse().open),
        "gamepad": lambda: Gamepad(GamepadConfig(), context, FakePad().open),
        "keyboard": lambda: teleops.make("keyboard", terminal=os.ttyname(shown)),
    }[request.param]()
    os.close(keys)
    os.close(shown)
