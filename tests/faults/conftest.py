"""The arm of the tests of orders, and its stops."""

from __future__ import annotations

import pytest

from robotkit.devices import machine as machine_module
from tests.support.recording_arm import RecordingArm, connected_arm


@pytest.fixture
def arm() -> RecordingArm:
    """A connected one that records what it is told."""
    return connected_arm()


@pytest.fixture
def hasty(monkeypatch):
    """Stops wait for nobody, and no time passes in which they are told again."""
    monkeypatch.setattr(machine_module, "STOP_WAIT_S", 0.0)
    monkeypatch.setattr("robotkit.devices.halts.Halts.repeat", lambda _: None)
