"""Nothing moves between connecting to an arm and its first command, whatever the configuration sets."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.tracking import ImpedanceTracking
from robotkit.spatial import make_pose
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.waiting import wait_for_error, wait_until

_STILL_RAD = 1e-3
_LIFTED = {"tcp_in_nominal_end_effector": [0.0, 0.0, 0.15, 0.0, 0.0, 0.0, 1.0]}
_TURNED = {"tcp_in_nominal_end_effector": [0.05, 0.0, 0.1, 0.0, 0.3826834, 0.0, 0.9238795]}
_LOADED = {
    "load": {
        "mass_kg": 0.9,
        "centre_of_mass_in_flange_m": [0.0, 0.02, 0.06],
        "inertia_kg_m2": [[2e-3, 0.0, 0.0], [0.0, 2e-3, 0.0], [0.0, 0.0, 1e-3]],
    }
}
_DRAWN = {"nullspace_posture_rad": [0.5, -0.3, 0.4, -2.0, 0.3, 1.9, 0.2]}
_STIFF = {
    "compliance": {
        "translational_stiffness_n_m": 3000.0,
        "rotational_stiffness_nm": 250.0,
        "nullspace_stiffness_nm_rad": 10.0,
        "translational_clip_min_m": [-0.02] * 3,
        "translational_clip_max_m": [0.02] * 3,
    }
}
_FAST = {"target_time_constant_s": 0.0, "torque_rate_limit_nm": 0.5}
_OPTIONS = {
    "none": {},
    "tool": _LIFTED,
    "tool-turned-45-degrees": _TURNED,
    "load": _LOADED,
    "posture": _DRAWN,
    "gains": _STIFF,
    "no-filter": _FAST,
    "all": {**_TURNED, **_LOADED, **_DRAWN, **_STIFF, **_FAST},
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[FrankaSimulator]:
    with FrankaSimulator(is_lockstep=True) as built:
        yield built


def joints_rad(simulator: FrankaSimulator) -> np.ndarray:
    return np.array(simulator.inject()["joint_positions_rad"])


def largest_motion_rad(simulator: FrankaSimulator, start_rad: np.ndarray, seconds: float) -> float:
    """How far any joint has been from `start_rad` during `seconds` of simulated time."""
    off_rad, end_s = 0.0, simulator.now_s() + seconds
    while simulator.now_s() < end_s:
        off_rad = max(off_rad, float(np.abs(joints_rad(simulator) - start_rad).max()))
    return off_rad


@pytest.mark.parametrize("options", _OPTIONS.values(), ids=_OPTIONS)
def test_a1_nothing_moves_between_connect_and_the_first_command(simulator, options):
    start_rad = joints_rad(simulator)
    with rk.make_robot("franka", **robot_options(simulator.host, **options)) as arm:
        assert largest_motion_rad(simulator, start_rad, 1.0) < _STILL_RAD
        assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("options", [_LIFTED, _OPTIONS["all"]], ids=["tool", "all"])
def test_a1_nothing_moves_in_a_recovery_after_the_control_box_restarted(options):
    """A restarted control box has forgotten the tool and the load."""
    with (
        FrankaSimulator(is_lockstep=True) as mortal,
        rk.make_robot("franka", **robot_options(mortal.host, **options)) as arm,
    ):
        command = rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base)
        mortal.kill()
        wait_for_error(lambda: arm.send(command), rk.ConnectionFailed)
        mortal.start()
        start_rad = joints_rad(mortal)
        arm.recover()
        assert largest_motion_rad(mortal, start_rad, 1.0) < _STILL_RAD


def test_a1_nothing_moves_in_a_recovery_from_a_reflex(simulator):
    with rk.make_robot("franka", **robot_options(simulator.host, **_OPTIONS["all"])) as arm:
        simulator.inject(reflex="joint_reflex")
        wait_until(lambda: arm.get_state().mode == "fault")
        start_rad = joints_rad(simulator)
        arm.recover()
        assert largest_motion_rad(simulator, start_rad, 1.0) < _STILL_RAD


def test_a1_a_tool_and_a_load_that_an_earlier_client_left_are_put_back(simulator):
    with rk.make_robot("franka", **robot_options(simulator.host)) as arm:
        plain = arm.get_state().tcp_pose_in_base
    with rk.make_robot("franka", **robot_options(simulator.host, **_LIFTED, **_LOADED)) as arm:
        assert np.linalg.norm(arm.get_state().tcp_pose_in_base[:3] - plain[:3]) == pytest.approx(0.15, abs=2e-3)
    start_rad = joints_rad(simulator)
    with rk.make_robot("franka", **robot_options(simulator.host)) as arm:
        np.testing.assert_allclose(arm.get_state().tcp_pose_in_base[:3], plain[:3], atol=2e-3)
        assert largest_motion_rad(simulator, start_rad, 0.5) < _STILL_RAD


def test_the_posture_is_approached_after_the_first_command(simulator):
    start_rad = joints_rad(simulator)
    with rk.make_robot("franka", **robot_options(simulator.host, **_DRAWN)) as arm:
        arm.send(rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base))
        assert largest_motion_rad(simulator, start_rad, 1.0) > 0.05


class _MovedLink:
    """A link whose second packet is `off` from the first, as if the tool's frame had just changed."""

    def __init__(self, off_m: float, off_rad: float) -> None:
        turned = make_pose(np.array((off_m, 0.0, 0.0)), np.array((0.0, 0.0, np.sin(off_rad / 2), np.cos(off_rad / 2))))
        poses = (make_pose(np.zeros(3), np.array((0.0, 0.0, 0.0, 1.0))), turned)
        self._states = [SimpleNamespace(q=np.zeros(7), O_T_EE=franky.Affine(p[:3], p[3:])) for p in poses]
        self.started: list[object] = []

    def read(self) -> SimpleNamespace:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    is_in_control = False

    def control_time_s(self) -> None:
        return None

    def start(self, motion: object) -> None:
        self.started.append(motion)


@pytest.mark.parametrize(
    ("off_m", "off_deg", "starts"), [(0.004, 0.9, True), (0.006, 0.0, False), (0.0, 1.1, False), (0.15, 45.0, False)]
)
def test_a1_control_does_not_start_with_a_target_away_from_the_arm(off_m, off_deg, starts):
    link = _MovedLink(off_m, np.radians(off_deg))
    if starts:
        ImpedanceTracking(link, FrankaRobotConfig(host="nowhere"), rk.ComplianceParams())
    else:
        with pytest.raises(rk.DeviceFault, match=r"allowed: 5 mm and 1 degrees\), so control did not start"):
            ImpedanceTracking(link, FrankaRobotConfig(host="nowhere"), rk.ComplianceParams())
    assert len(link.started) == starts


class _RecordingLink:
    """A link that keeps what each motion was first told to track, and how stiffly."""

    is_in_control = False

    def __init__(self) -> None:
        identity = np.array((0.0, 0.0, 0.0, 1.0))
        self._state = SimpleNamespace(q=np.zeros(7), O_T_EE=franky.Affine(np.zeros(3), identity))
        self.first_targets_m: list[np.ndarray] = []

    def read(self) -> SimpleNamespace:
        return self._state

    def control_time_s(self) -> float:
        return 0.0

    def start(self, motion: franky.CartesianImpedanceTrackingMotion) -> None:
        self.first_targets_m.append(motion.get_reference().target.translation)


def test_m10_a_motion_under_new_clips_first_tracks_what_the_old_one_tracked():
    link = _RecordingLink()
    tracking = ImpedanceTracking(link, FrankaRobotConfig(host="a", target_time_constant_s=0.0), rk.ComplianceParams())
    tracking.approach(make_pose(np.array((0.1, 0.2, 0.3)), np.array((0.0, 0.0, 0.0, 1.0))))
    tracking.set_compliance(rk.ComplianceParams(translational_clip_max_m=[0.002] * 3))
    tracking.end()
    np.testing.assert_allclose(link.first_targets_m, [(0.0, 0.0, 0.0), (0.1, 0.2, 0.3)])
