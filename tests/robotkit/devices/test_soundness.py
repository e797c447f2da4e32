"""Laws of what counts as a measurement: one number that is none is found, wherever it is, and named."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices.soundness import require_finite, require_pose, require_shapes
from tests.support.recording_arm import RecordingArm, joint_command

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


MISSHAPEN = [
    ("tcp_pose_in_base", np.zeros(6)), ("tcp_pose_in_base", None), ("tcp_pose_in_base", POSE.tolist()),
    ("tcp_pose_in_base", POSE[None]), ("tcp_pose_in_base", POSE.astype(str)), ("tcp_twist_in_base", np.zeros(7)),
    ("wrench_in_tcp", np.zeros(3)), ("joint_positions_rad", np.zeros(6)), ("joint_positions_rad", np.zeros(8)),
    ("joint_positions_rad", np.zeros((7, 1))), ("joint_positions_rad", np.float64(0.0)),
    ("joint_positions_rad", np.zeros(7, complex)), ("joint_velocities_rad_s", np.zeros(0)),
    ("jacobian_in_base", np.zeros((6, 6))), ("jacobian_in_base", np.zeros((7, 6))), ("jacobian_in_base", np.zeros(42)),
    ("stamp_s", None), ("stamp_s", "1.0"), ("control_success_rate", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), MISSHAPEN, ids=[f"{name}-{at}" for at, (name, _) in enumerate(MISSHAPEN)])
def test_what_has_no_shape_of_a_measurement_is_named_and_the_last_measurement_stays(name, value):
    arm = RecordingArm()
    good = arm._measure()
    require_shapes(good, 7)
    bad = good._replace(**{name: value})
    with pytest.raises(rk.DeviceFault, match=f"no measurement: {name} is"):
        require_shapes(bad, 7)
    arm.connect()
    before = arm.get_state()
    arm.send(joint_command(arm))
    arm._measure = lambda: bad
    state = arm.get_state()
    assert (state.mode, state.faults) == ("fault", ("device_fault",))
    np.testing.assert_array_equal(state.joint_positions_rad, before.joint_positions_rad)
    assert arm.calls[-1] == "halt"
    with pytest.raises(rk.DeviceFault, match=f"no measurement: {name} is"):
        arm.check(joint_command(arm))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_numbers_of_another_type_are_numbers(dtype):
    measured = RecordingArm()._measure()
    require_shapes(measured._replace(joint_positions_rad=np.zeros(7, dtype), stamp_s=np.float64(1.0)), 7)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["jacobian_in_base", "stamp_s", "control_success_rate"])
def test_whatever_else_is_measured_is_finite_too(name, number):
    measured = RecordingArm()._measure()
    value = np.array([[0.0] * 7] * 5 + [[0.0] * 6 + [number]]) if name == "jacobian_in_base" else number
    with pytest.raises(rk.DeviceFault, match=f"no number: .*{name}.* is"):
        require_finite(measured._replace(**{name: value}))
