"""`robotkit check` and `calibrate` on the Franka driver, through libfranka's protocol: they read, and nothing moves."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np

import robotkit as rk
from robotkit.cli import calibrate, check, main
from robotkit.safety.fitness import NEEDED
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import franka_cell


def test_a_franka_cell_is_examined_and_does_not_move(monkeypatch):
    with FrankaSimulator(is_lockstep=True) as simulator:
        config = franka_cell(simulator.host)
        speeds = {"max_tcp_speed_m_s": 1.0, "max_tcp_rotation_speed_rad_s": 2.0}
        limits = config.limits.model_copy(update={**speeds, "watchdog_s": 5.0, "state_max_age_s": 0.5})
        cell = rk.make_workcell(config.model_copy(update={"limits": limits}))
        monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
        with cell:
            before = cell.robot.get_state()
        found = {finding.subject: finding for finding in check.Check("franka").examine()}
        with cell:
            after = cell.robot.get_state()
    assert "arm" not in found, found["arm"]
    for subject in ("workspace", "tool speed", "watchdog", "connection", "mode", "payload", "gripper", "tracker block"):
        assert found[subject].status == "passed", found[subject]
    assert {"control cycles", "round trip", "state stamps", "camera front"} <= set(found)
    np.testing.assert_allclose(after.joint_positions_rad, before.joint_positions_rad, atol=2e-3)


def test_a_real_arm_without_limits_fails_before_anything_is_connected(tmp_path: Path, capsys):
    path = tmp_path / "lab.toml"
    path.write_text('name = "lab"\n[robot]\ntype = "franka"\nhost = "192.0.2.1"\n')
    assert main(["check", str(path), "--json"]) == 1
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["subject"], line["status"]) == ("configuration", "failed")
    assert all(f"limits.{name}" in line["found"] for name in NEEDED)


def test_a_hand_eye_calibration_reads_a_franka_arm_and_starts_no_control_of_it(monkeypatch, tmp_path: Path, capsys):
    path = tmp_path / "lab.toml"
    path.write_text('name = "lab"\n[robot]\ntype = "fake"\n[cameras.front]\ntype = "fake"\n')
    with FrankaSimulator(is_lockstep=True) as simulator:
        cell = rk.make_workcell(franka_cell(simulator.host))
        seen = []

        def press(prompt: str) -> str:
            state = cell.robot.get_state()
            seen.append((cell.robot.inner._link.is_in_control, state.mode, state.faults))
            return "" if len(seen) < 3 else "q"

        monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
        monkeypatch.setattr(builtins, "input", press)
        assert main(["calibrate", "hand-eye", str(path), "--camera", "front", "--print-only"]) == 2
    assert seen == [(False, "stopped", ())] * 3
    assert "the board is not in sight" in " ".join(capsys.readouterr().out.split()), "the arm's pose was read"
