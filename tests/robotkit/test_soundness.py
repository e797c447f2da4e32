"""Laws of what counts as a measurement: one number that is none is found, wherever it is, and named."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices.soundness import require_finite, require_pose
from tests.support.recording_arm import RecordingArm

POSE = np.array((0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s"]
)
def test_a_number_that_is_none_is_named(name, number):
    measured = RecordingArm()._measure()
    require_finite(measured)
    for index in (0, -1):
        values = np.zeros_like(getattr(measured, name))
        values[index] = number
        with pytest.raises(rk.DeviceFault, match=f"no number: {name} is"):
            require_finite(measured._replace(**{name: values}))


@pytest.mark.parametrize("index", range(7))
def test_a_pose_is_seven_numbers(index):
    require_pose(POSE)
    for number in (np.nan, np.inf):
        pose = POSE.copy()
        pose[index] = number
        with pytest.raises(rk.DeviceFault, match="no pose of its tool"):
            require_pose(pose)


@pytest.mark.parametrize("broken", [
    {"tcp_pose_in_base": np.zeros(7)}, {"tcp_pose_in_base": np.full(7, np.nan)}, {"wrench_in_tcp": np.full(6, np.nan)},
    {"joint_positions_rad": np.full(7, np.inf)},
])  # fmt: skip
def test_what_is_no_measurement_is_a_fault_and_the_last_one_stays(broken):
    arm = RecordingArm()
    arm.connect()
    before = arm.get_state()
    good = arm._measure()
    arm._measure = lambda: good._replace(**broken)
    state = arm.get_state()
    assert (state.mode, state.faults) == ("fault", ("device_fault",))
    for name in ("tcp_pose_in_base", "wrench_in_tcp", "joint_positions_rad"):
        np.testing.assert_array_equal(getattr(state, name), getattr(before, name))


@pytest.mark.parametrize("quaternion", [(1, 0, 0, 0), (0, -1, 0, 0), (0, 0, 0.6, 0.8), (0.5, -0.5, 0.5, -0.5)])
def test_an_orientation_has_length_one_up_to_a_thousandth_of_its_square(quaternion):
    for square in (1.0, 1.0009, 0.9991, 1.0011, 0.9989, 0.0):
        pose = np.array((0.5, 0.0, 0.3, *np.multiply(quaternion, np.sqrt(square))))
        if abs(square - 1.0) < 0.001:
            require_pose(pose)
        else:
            with pytest.raises(rk.DeviceFault):
                require_pose(pose)
