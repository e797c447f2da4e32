"""The range of each option: what a device can do is allowed up to its bound, and what none can do is refused."""

from __future__ import annotations

import math

import pytest

import robotkit as rk
from robotkit.registry import Registry, cameras, grippers, robots, teleops, trackers, worlds

_TAG = {"camera": "front", "camera_pose_in_base": [0, 0, 1, 1, 0, 0, 0], "size_m": 0.05}
_NEEDED = {"franka": {"host": "box"}, "franka_hand": {"host": "box"}, "apriltag": _TAG}
"""Options without which there is no such device."""
_REGISTRIES = (cameras, grippers, robots, teleops, trackers, worlds)
_TINY = 1e-3


def at(distance_m: float) -> list[float]:
    """A pose at this distance from the origin of its frame."""
    return [0.6 * distance_m, 0.0, 0.8 * distance_m, 0.0, 0.0, 0.0, 1.0]


def bent(joint_2_rad: float) -> list[float]:
    """A posture of a Franka arm whose other joints are well inside their ranges."""
    return [0.0, joint_2_rad, 0.0, -2.0, 0.0, 1.5, 0.0]


_RANGES = {
    "a TCP port": (grippers, "robotiq", ("port",), 0, 1, 65535, 65536),
    "a Modbus unit": (grippers, "robotiq", ("device_id",), -1, 0, 247, 248),
    "a byte": (grippers, "robotiq", ("speed", "force"), -1, 0, 255, 256),
    "a register value of open fingers": (grippers, "robotiq", ("raw_open",), -1, 0, 229, 256),
    "a register value of closed fingers": (grippers, "robotiq", ("raw_closed",), 3, 4, 255, 256),
    "an answer in time": (grippers, "robotiq", ("timeout_s",), 0.0, _TINY, 2.0, 2.1),
    "a pause": (grippers, "robotiq", ("poll_period_s",), 0.0, _TINY, 0.2, 0.3),
    "a target in time": (grippers, "robotiq", ("command_timeout_s",), 0.0, _TINY, 10.0, 10.1),
    "some time": (grippers, "robotiq", ("max_age_s", "activation_timeout_s"), 0.0, _TINY, 60.0, 60.5),
    "a width": (grippers, "robotiq", ("width_max_m",), 0.0, _TINY, 0.3, 85.0),
    "the data sheet's speed of the Franka Hand": (grippers, "franka_hand", ("speed_m_s",), 0.0, _TINY, 0.1, 0.11),
    "the data sheet's force of the Franka Hand": (grippers, "franka_hand", ("force_n",), 0.0, _TINY, 70.0, 70.5),
    "the width of the Franka Hand": (grippers, "franka_hand", ("width_max_m",), 0.0, _TINY, 0.1, 0.11),
    "an address of the Franka Hand": (grippers, "franka_hand", ("host",), "", "a", "box.lab", None),
    "an address": (robots, "franka", ("host",), "", "a", "box.lab", None),
    "a share": (robots, "franka", ("joint_relative_dynamics",), 0.0, _TINY, 1.0, 1.1),
    "libfranka's torque rate, 1000 Nm/s": (robots, "franka", ("torque_rate_limit_nm",), 0.0, _TINY, 1.0, 1.1),
    "a filter, or none": (robots, "franka", ("target_time_constant_s",), -_TINY, 0.0, 2.0, 2.1),
    "a tolerance": (robots, "franka", ("joint_tolerance_rad",), 0.0, _TINY, 0.1, 0.11),
    "a tool": (robots, "franka", ("tcp_in_nominal_end_effector",), None, at(0.0), at(0.5), at(150.0)),
    "a posture of the FR3": (
        robots,
        "franka",
        ("nullspace_posture_rad",),
        bent(-1.79),
        bent(-1.78),
        bent(1.78),
        [9.0] * 7,
    ),
    "where a reset goes": (
        robots,
        "franka",
        ("reset_joint_positions_rad",),
        bent(-1.79),
        bent(-1.78),
        bent(1.78),
        [0.0] * 7,
    ),
    "a load, or none": (robots, "franka", ("load.mass_kg",), -_TINY, 0.0, 10.0, 10.1),
    "a part of a joint's range": (robots, "franka", ("joint_limit_repulsion.distance_rad",), 0.0, _TINY, 0.5, 0.6),
    "a spring, or none": (robots, "franka", ("joint_limit_repulsion.stiffness_nm_rad",), -_TINY, 0.0, 200.0, 200.5),
    "a damper, or none": (robots, "franka", ("joint_limit_repulsion.damping_nms_rad",), -_TINY, 0.0, 20.0, 20.5),
    "a torque, or none": (robots, "franka", ("joint_limit_repulsion.torque_max_nm",), -_TINY, 0.0, 20.0, 20.5),
    "pixels": (cameras, "opencv", ("capture_width_px", "capture_height_px"), 0, 1, 8192, 8193),
    "pixels of a crop": (cameras, "opencv", ("crop_width_px",), 0, 1, 640, 641),
    "lines of a crop": (cameras, "opencv", ("crop_height_px",), 0, 1, 480, 481),
    "pixels to the left of a crop": (cameras, "opencv", ("crop_left_px",), -1, 0, 639, 640),
    "lines above a crop": (cameras, "opencv", ("crop_top_px",), -1, 0, 479, 480),
    "delivered pixels": (cameras, "opencv", ("width_px", "height_px"), 0, 1, 8192, 8193),
    "a rate": (cameras, "opencv", ("rate_hz",), 0.0, _TINY, 1000.0, 1000.5),
    "time without a frame": (cameras, "opencv", ("max_age_s", "silence_s"), 0.0, _TINY, 60.0, 60.5),
    "a code of four letters": (cameras, "opencv", ("pixel_format",), "MJP", "MJPG", "YUYV", "MJPEG"),
    "a camera's number": (cameras, "opencv", ("device",), -1, 0, 9, None),
    "a camera's path": (cameras, "opencv", ("device",), "", "a", "/dev/video0", None),
    "an exposure": (cameras, "realsense", ("exposure",), 0.0, _TINY, 1e6, 1.1e6),
    "a serial number": (cameras, "realsense", ("serial",), "", "1", "0815", None),
    "a tag's number": (trackers, "apriltag", ("tag_id",), -1, 0, 586, 587),
    "a tag's edge": (trackers, "apriltag", ("size_m",), 0.0, _TINY, 2.0, 60.0),
    "a pause between two looks": (trackers, "apriltag", ("period_s",), 0.0, _TINY, 1.0, 1.1),
    "time without a tag": (trackers, "apriltag", ("max_age_s",), 0.0, _TINY, 60.0, 60.5),
    "a camera beside the arm": (trackers, "apriltag", ("camera_pose_in_base",), None, at(0.0), at(10.0), at(10.1)),
    "a tag on an object": (trackers, "apriltag", ("tag_pose_in_object",), None, at(0.0), at(10.0), at(15.0)),
    "a SpaceMouse of several": (teleops, "spacemouse", ("device_index",), -1, 0, 3, None),
    "time without a report": (teleops, "spacemouse", ("hold_s",), 0.0, _TINY, 2.0, 2.1),
    "time for which a button is held": (teleops, "spacemouse", ("button_hold_s",), 0.0, _TINY, 600.0, 601.0),
    "where an operator looks": (teleops, "spacemouse", ("forward_yaw_rad",), -6.3, -math.tau, math.tau, 180.0),
    "where another looks": (teleops, "gamepad", ("forward_yaw_rad",), -90.0, -math.tau, math.tau, 6.3),
    "where a third looks": (teleops, "keyboard", ("forward_yaw_rad",), -180.0, -math.tau, math.tau, 90.0),
    "time after a key": (teleops, "keyboard", ("hold_s",), 0.0, _TINY, 2.0, 2.1),
    "a deflection": (teleops, "keyboard", ("deflection",), 0.0, _TINY, 1.0, 1.1),
    "a deadband, or none": (teleops, "gamepad", ("deadband",), -_TINY, 0.0, 0.99, 1.0),
    "another deadband, or none": (teleops, "spacemouse", ("deadband",), -_TINY, 0.0, 0.99, 1.0),
    "joints": (robots, "fake", ("dof",), 5, 6, 16, 17),
    "a lag, up to an arm that stands still": (robots, "fake", ("time_constant_s",), 0.0, _TINY, 1e6, 1.1e6),
    "a speed": (robots, "fake", ("joint_speed_rad_s",), 0.0, _TINY, 100.0, 101.0),
    "a delay, or none": (robots, "fake", ("latency_s",), -_TINY, 0.0, 60.0, 60.5),
    "a fault, at once or some day": (robots, "fake", ("fault_after_s",), -_TINY, 0.0, 1e6, 1.1e6),
    "fingers": (grippers, "fake", ("width_max_m", "object_width_m"), 0.0, _TINY, 0.3, 85.0),
    "time to close": (grippers, "fake", ("stroke_s",), 0.0, _TINY, 60.0, 60.5),
    "a fixed object": (trackers, "fake", ("pose_in_base",), None, at(0.0), at(10.0), at(10.1)),
    "an object of the world": (worlds, "fake", ("objects.block",), None, at(0.0), at(10.0), at(10.1)),
    "fake pixels": (cameras, "fake", ("width_px", "height_px"), 0, 1, 4096, 4097),
    "a fake rate": (cameras, "fake", ("rate_hz",), 0.0, _TINY, 1000.0, 1000.5),
}
"""Device and options; below the range, its ends, above it; None where there is no end."""
_ROWS = [
    pytest.param(registry, name, option, *values, id=f"{name}: {what}, {option}")
    for what, (registry, name, options, *values) in _RANGES.items()
    for option in options
]


def validate(registry: Registry, name: str, **options: object) -> rk.PluginConfig:
    """With what the device needs; an option of an option has a dot in its name."""
    nested: dict[str, object] = {}
    for option, value in options.items():
        group, _, own = option.partition(".")
        nested |= {group: {own: value}} if own else {option: value}
    return registry.validate(name, _NEEDED.get(name, {}) | nested)


@pytest.mark.parametrize(("registry", "name", "option", "below", "lowest", "highest", "above"), _ROWS)
def test_p1_an_option_has_the_range_of_its_device(registry, name, option, below, lowest, highest, above):
    for allowed in (lowest, highest):
        validate(registry, name, **{option: allowed})
    for refused in (below, above):
        if refused is not None:
            with pytest.raises(rk.InvalidConfiguration):
                validate(registry, name, **{option: refused})


_DRIVERS = [
    pytest.param(registry, name, id=name)
    for registry, names in (
        (cameras, ("fake", "opencv", "realsense")),
        (grippers, ("fake", "franka_hand", "robotiq")),
        (robots, ("fake", "franka")),
        (teleops, ("fake", "gamepad", "keyboard", "spacemouse")),
        (trackers, ("apriltag",)),
        (worlds, ("fake",)),
    )
    for name in names
]


_UNITS = ("_m", "_m_s", "_rad", "_rad_s", "_s", "_hz", "_px", "_kg", "_n", "_nm")


@pytest.mark.parametrize("value", [1e9, at(1e9), [1e9] * 7], ids=["number", "pose", "joints"])
@pytest.mark.parametrize(("registry", "name"), _DRIVERS)
def test_p1_what_has_a_unit_has_an_upper_bound(registry, name, value):
    """A wrong unit is a factor of 57 or 1000: no quantity is so large that nothing refuses it."""
    fields = type(validate(registry, name)).model_fields
    for option in fields:
        if option.endswith(_UNITS) or "pose" in option or option.startswith("tcp_in"):
            with pytest.raises(rk.InvalidConfiguration, match=option):
                validate(registry, name, **{option: value})


def test_p1_an_operator_who_looks_in_degrees_is_told_so():
    with pytest.raises(rk.InvalidConfiguration, match=r"forward_yaw_rad: .* radians .* 90 degrees would be 1\.5708"):
        teleops.validate("spacemouse", {"forward_yaw_rad": 90.0})


def test_p1_a_camera_on_the_hand_is_near_the_tool():
    on_hand = _TAG | {"camera_mount": "tcp"}
    del on_hand["camera_pose_in_base"]
    trackers.validate("apriltag", on_hand | {"camera_pose_in_tcp": at(0.5)})
    with pytest.raises(rk.InvalidConfiguration, match=r"camera_pose_in_tcp: .* 50 m .* 0\.5 m are allowed"):
        trackers.validate("apriltag", on_hand | {"camera_pose_in_tcp": at(50.0)})


@pytest.mark.parametrize(("registry", "name"), _DRIVERS)
def test_what_holds_without_options_could_be_given_as_options(registry, name):
    config = validate(registry, name)
    given = {option: value for option, value in dict(config).items() if value is not None}
    registry.validate(name, given | {option: dict(value) for option, value in given.items() if _is_group(value)})


def _is_group(value: object) -> bool:
    return isinstance(value, rk.PluginConfig | rk.ComplianceParams)
