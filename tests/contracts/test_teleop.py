"""Laws of every device that a human steers with."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from tests.contracts.bodies import TELEOPS


@pytest.fixture(params=list(TELEOPS))
def teleop(request):
    return TELEOPS[request.param]()


def test_a_reading_is_a_bounded_deflection(teleop):
    with teleop:
        reading = teleop.read()
    assert reading.twist.shape == (6,)
    assert np.abs(reading.twist).max() <= 1.0
    assert reading.is_active == bool(reading.twist.any() or any(reading.buttons))
    assert rk.TeleopReading.model_validate_json(reading.model_dump_json()) == reading


def test_life_cycle(teleop):
    with pytest.raises(rk.NotConnected):
        teleop.read()
    teleop.connect()
    teleop.connect()
    assert teleop.is_connected
    teleop.disconnect()
    teleop.disconnect()
    with pytest.raises(rk.NotConnected):
        teleop.read()
