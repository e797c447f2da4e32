"""`robotkit check` on the Franka driver, through libfranka's protocol: it passes, and the arm stays where it is."""

from __future__ import annotations

import numpy as np

import robotkit as rk
from robotkit.cli import check
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import franka_cell


def test_a_franka_cell_is_examined_and_does_not_move(monkeypatch):
    with FrankaSimulator(is_lockstep=True) as simulator:
        config = franka_cell(simulator.host)
        limits = config.limits.model_copy(update={"max_tcp_speed_m_s": 1.0, "watchdog_s": 5.0})
        cell = rk.make_workcell(config.model_copy(update={"limits": limits}))
        monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
        with cell:
            before = cell.robot.get_state()
        found = {finding.subject: finding for finding in check.Check("franka").examine()}
        with cell:
            after = cell.robot.get_state()
    for subject in ("workspace", "tool speed", "watchdog", "connection", "mode", "payload", "gripper", "tracker block"):
        assert found[subject].status == "passed", found[subject]
    assert {"control cycles", "round trip", "state stamps", "camera front"} <= set(found)
    np.testing.assert_allclose(after.joint_positions_rad, before.joint_positions_rad, atol=2e-3)
