"""The Franka driver moves the arm as SERL's controller does, through libfranka's protocol, on the same physics."""

from __future__ import annotations

import numpy as np

import robotkit as rk
from robotkit import spatial
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.franky_sim.serl import SerlArm

_SAMPLE_CYCLES, _SAMPLES = 20, 5
_TARGET_PERIOD_S = 0.1


def targets(start: np.ndarray, seconds: float = 10.0) -> np.ndarray:
    """Ten targets a second: 5 cm forwards, a turn of 0.3 rad, 3 cm down, each within 2 s, with rests between."""
    time_s = np.arange(0.0, seconds, _TARGET_PERIOD_S)
    forwards, turn, down = (np.clip((time_s - begin_s) / 2.0, 0.0, 1.0) for begin_s in (0.5, 3.5, 6.5))
    return np.array([
        spatial.integrate_delta(start, np.array((0.05 * x, 0.0, -0.03 * z)), np.array((0.0, 0.0, 0.3 * yaw)))
        for x, yaw, z in zip(forwards, turn, down, strict=True)
    ])  # fmt: skip


def test_the_arm_follows_as_under_serls_law():
    """Bounds: 0.3 mm and 0.002 rad, root mean square over 10 s. Without the filter of the targets it is 2.4 mm."""
    with FrankaSimulator(is_lockstep=True) as simulator:
        start_rad = np.array(simulator.inject()["joint_positions_rad"])
        serl = SerlArm(start_rad, rk.ComplianceParams())
        goals = targets(serl.pose_at(start_rad))
        options = robot_options(simulator.host, nullspace_posture_rad=start_rad)
        with rk.make_robot("franka", **options) as arm:
            simulator.inject(is_paused=True)
            joints_rad = [joints for goal in goals for joints in follow_with_driver(arm, simulator, goal)]
            answer = simulator.inject(is_paused=False)
    wanted = np.array([pose for goal in goals for pose in follow(serl, goal)])
    poses = np.array([serl.pose_at(joints) for joints in joints_rad])
    off_m = np.linalg.norm(poses[:, :3] - wanted[:, :3], axis=1)
    off_rad = [spatial.angle_between(pose[3:], other[3:]) for pose, other in zip(poses, wanted, strict=True)]
    print(f"off by {rms(off_m) * 1e3:.3f} mm and {rms(off_rad):.5f} rad, at most {off_m.max() * 1e3:.3f} mm")
    assert answer["latched"] is None
    assert rms(off_m) <= 0.3e-3
    assert rms(off_rad) <= 0.002
    assert np.ptp(wanted[:, 0]) > 0.045, "the arm has to move for the comparison to mean anything"


def follow(serl: SerlArm, goal: np.ndarray) -> list[np.ndarray]:
    """Poses under SERL's own law until the next target."""
    serl.approach(goal)
    return [serl.advance(_SAMPLE_CYCLES) for _ in range(_SAMPLES)]


def follow_with_driver(arm: rk.BaseRobotServer, simulator: FrankaSimulator, goal: np.ndarray) -> list[list[float]]:
    """Joint positions under the driver until the next target."""
    arm.send(rk.PoseCommand(tcp_pose_in_base=goal))
    return [simulator.inject(cycles=_SAMPLE_CYCLES)["joint_positions_rad"] for _ in range(_SAMPLES)]


def rms(values: np.ndarray | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
