"""Ways around a limit that are closed: another kind of command, a pose beyond a plane, a stamp from the future."""

from __future__ import annotations

import math

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake import chain as fake_chain
from robotkit.safety import make_safe
from robotkit.safety.body import BodyBounds
from robotkit.schema.kinematics import Plane
from tests.support.recording_arm import PlainArm
from tests.support.safe_arm import FreeClock, safe_arm, shifted

TABLE = Plane(name="table", point_in_base_m=(0.0, 0.0, 0.1), normal_in_base=(0.0, 0.0, 1.0), clearance_m=0.05)


def joints(arm, **shifts):
    target = arm.get_state().joint_positions_rad.copy()
    for index, shift in shifts.items():
        target[int(index[1:])] += shift
    return rk.JointCommand(joint_positions_rad=target)


def pose_at_height(arm, z_m):
    pose = arm.get_state().tcp_pose_in_base.copy()
    pose[2] = z_m
    return rk.PoseCommand(tcp_pose_in_base=pose)


def test_b8_a_joint_target_counts_as_motion_of_the_tool():
    arm, body, clock = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.1, speed_window_s=0.25))
    with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
        arm.send(joints(arm, j0=0.03))
    first, second = joints(arm, j0=0.02), joints(arm, j0=0.04)
    arm.send(first)
    with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
        arm.send(second)
    clock.advance(0.25)
    arm.send(second)
    assert len(body.sent) == 2


def test_b8_a_joint_target_counts_as_a_turn_of_the_tool():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_tcp_rotation_speed_rad_s=0.4, speed_window_s=0.25))
    with pytest.raises(rk.StepTooLarge, match="max_tcp_rotation_speed_rad_s"):
        arm.send(joints(arm, j5=0.11))
    arm.send(joints(arm, j5=0.09))
    assert len(body.sent) == 1


def test_b8_poses_and_joint_targets_by_turns_share_one_budget():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.1, speed_window_s=0.25), time_constant_s=1e-6)
    arm.send(shifted(arm, 0.012))
    arm.send(joints(arm, j1=0.012))
    for command in (shifted(arm, 0.012), joints(arm, j1=0.024)):
        with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
            arm.send(command)
    assert len(body.sent) == 2


def test_b8_a_pose_beyond_a_plane_is_refused_before_anything_moves():
    arm, body, _ = safe_arm(rk.SafetyLimits(planes=(TABLE,)))
    with pytest.raises(rk.OutsideWorkspace, match=r"0\.300 m beyond where plane 'table' lets it be"):
        arm.send(pose_at_height(arm, -0.15))
    with pytest.raises(rk.OutsideWorkspace, match=r"at least 0\.050 m before it"):
        arm.check(pose_at_height(arm, 0.149))
    assert body.sent == []
    arm.send(pose_at_height(arm, 0.15))
    assert len(body.sent) == 1


def test_b8_a_tool_beyond_a_plane_is_led_back_and_no_farther():
    arm, body, clock = safe_arm(rk.SafetyLimits(planes=(TABLE,), measured_margin_m=0.1))
    body.send(pose_at_height(arm, 0.1))
    clock.advance(1.0)
    assert arm.get_state().mode == "tracking"
    for z_m in (0.1, 0.09):
        with pytest.raises(rk.OutsideWorkspace, match="table"):
            arm.send(pose_at_height(arm, z_m))
    arm.send(pose_at_height(arm, 0.12))
    assert body.sent[-1].tcp_pose_in_base[2] == 0.12


@pytest.mark.parametrize("ahead_s", [0.3, 1e6])
def test_b6_a_measurement_from_the_future_moves_nothing(ahead_s):
    arm, body, clock = safe_arm(rk.SafetyLimits(state_max_age_s=0.2), FreeClock())
    command, measure = shifted(arm, 0.01), body._measure
    arm.disconnect()
    arm._watch = None  # it would stop the arm before or after the next line
    arm.connect()
    body._measure = lambda: measure()._replace(stamp_s=clock.now_s() + ahead_s)
    clock.advance(0.3)
    for call in (arm.get_state, lambda: arm.send(command)):
        with pytest.raises(rk.StaleState, match="in the future"):
            call()
    arm.disconnect()
    assert body.sent == []
    with pytest.raises(rk.StaleState, match="in the future"):
        arm.connect()
    assert not arm.is_connected


def test_an_arm_that_is_told_to_forget_its_target_stands():
    arm, _, clock = safe_arm(rk.SafetyLimits(), time_constant_s=5.0)
    arm.send(shifted(arm, 0.3))
    clock.advance(1.0)
    arm.forget_target()
    before = arm.get_state()
    clock.advance(60.0)
    after = arm.get_state()
    assert (before.mode, after.mode) == ("holding", "holding")
    np.testing.assert_allclose(after.tcp_pose_in_base, before.tcp_pose_in_base, atol=1e-9)


def test_an_arm_that_was_moved_while_it_stood_is_not_stopped_by_its_recovery():
    """The monitor takes the place where the arm is after a recovery as its own, before it judges anything."""
    box = rk.WorkspaceBox(position_min_m=(0.3, -0.2, 0.1), position_max_m=(0.7, 0.2, 0.5))
    arm, body, _ = safe_arm(rk.SafetyLimits(workspace=box))
    arm.get_state()
    arm.stop()
    moved = body._motion.goal + np.array((0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0))
    recover = body.recover

    def recover_and_look(stops_seen):
        recover(stops_seen)
        assert arm.get_state().mode == "holding"

    body._motion = type(body._motion)(moved, moved, 0.0, 0.05)
    body.recover = recover_and_look
    arm.recover()
    assert arm.get_state().mode == "holding"


def test_b8_a_joint_motion_keeps_the_speed_limits_and_ends_without_a_stop():
    limits = rk.SafetyLimits(max_tcp_speed_m_s=0.1, max_tcp_rotation_speed_rad_s=0.3, max_joint_speed_rad_s=0.2)
    for way in ((0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.3, -0.2, 0.4, 0.0), (0.0,) * 6 + (0.5,)):
        arm, body, clock = safe_arm(limits)
        speeds, advance = [], clock.advance

        def advance_and_look(period_s, body=body, speeds=speeds, advance=advance):
            advance(period_s)
            measured = body._measure()
            tool = measured.tcp_twist_in_base
            speeds.append(
                (np.linalg.norm(tool[:3]), np.linalg.norm(tool[3:]), np.abs(measured.joint_velocities_rad_s).max())
            )

        clock.advance = advance_and_look
        goal = body.spec.reset_joint_positions_rad + np.array(way)
        arm.move_to_joint_positions(goal)
        state = arm.get_state()
        assert state.mode == "holding"
        np.testing.assert_allclose(state.joint_positions_rad, goal, atol=1e-6)
        shares = np.array(speeds).max(axis=0) / (0.1, 0.3, 0.2)
        assert 0.95 < shares.max() < 1.001, "as fast as the limits allow, and no faster"


class Telling(PlainArm):
    """A plain arm that can be told how fast."""

    rate_max_hz = math.nan

    def move_to_joint_positions(self, positions_rad, rate_max_hz=math.inf):
        self.rate_max_hz = rate_max_hz
        super().move_to_joint_positions(positions_rad)


def plain_cell(inner, **limits):
    """A plain arm, whose joints may do 10 rad/s by themselves, behind the safety layer; and its goal, 0.5 rad away."""
    arm = make_safe(inner, rk.SafetyLimits(**limits), inner.context.clock)
    arm.connect()
    inner.calls.clear()
    return arm, inner.joints_rad - np.array((0.5, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("limit", ["max_joint_speed_rad_s", "max_tcp_speed_m_s"])
def test_b8_a_joint_motion_of_an_arm_that_cannot_be_told_a_speed_is_refused(limit):
    inner = PlainArm()
    arm, goal = plain_cell(inner, **{limit: 1.0})
    times = r"this one in as little as 0\.05 s; the speed limits of the cell allow 0\.50 s.*rate_max_hz"
    with pytest.raises(rk.Unsupported, match=times):
        arm.move_to_joint_positions(goal)
    inner.body.joints_rad = goal
    with pytest.raises(rk.Unsupported, match=r"at its own speed.*rate_max_hz"):
        arm.reset()
    assert inner.calls == []
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("limits", [{}, {"max_joint_speed_rad_s": 10.0}, {"max_joint_speed_rad_s": 20.0}])
def test_b8_an_arm_that_cannot_be_told_a_speed_moves_where_its_own_is_allowed(limits):
    inner = PlainArm()
    arm, goal = plain_cell(inner, **limits)
    arm.move_to_joint_positions(goal)
    assert inner.calls[0] == "move"


def test_b8_a_plain_arm_that_can_be_told_a_speed_is_told_that_of_the_limits():
    inner = Telling()
    arm, goal = plain_cell(inner, max_joint_speed_rad_s=1.0)
    arm.move_to_joint_positions(goal)
    assert inner.rate_max_hz == pytest.approx(2.0)
    arm, goal = plain_cell(inner)
    arm.move_to_joint_positions(goal)
    assert inner.rate_max_hz == pytest.approx(20.0)


@pytest.mark.parametrize("limit", ["max_joint_speed_rad_s", "max_tcp_speed_m_s"])
@pytest.mark.parametrize(("way", "is_short"), [(0.0, True), (0.02, True), (0.0201, False)])
def test_b8_a_way_too_short_to_be_measured_as_too_fast_is_no_reason_to_refuse(limit, way, is_short):
    """Also a reset of an arm that stands at home; a joint of this arm moves its tool by as many metres as it turns."""
    inner = PlainArm()
    arm, _ = plain_cell(inner, **{limit: 1.0})
    inner.body.joints_rad = inner.joints_rad + np.array((0, way, 0, 0, 0, 0, 0))
    if is_short:
        arm.reset()
    else:
        with pytest.raises(rk.Unsupported, match="at its own speed"):
            arm.reset()
    assert inner.calls[:1] == (["move"] if is_short else [])


BOUNDS_ON_THE_TOOL = {
    "workspace": rk.WorkspaceBox(position_min_m=(0, -1, 0), position_max_m=(1, 1, 1)),
    "max_tcp_speed_m_s": 1.0,
    "max_tcp_rotation_speed_rad_s": 1.0,
}


@pytest.mark.parametrize("arm_type", [PlainArm, Telling])
@pytest.mark.parametrize("limit", BOUNDS_ON_THE_TOOL)
def test_b8_a_joint_motion_of_an_arm_without_kinematics_is_refused_where_its_tool_is_bounded(arm_type, limit):
    inner = arm_type()
    inner.spec = inner.spec.model_copy(update={"kinematics": None, "command_kinds": ("pose",)})
    arm, goal = plain_cell(inner, **{limit: BOUNDS_ON_THE_TOOL[limit]})
    for move in (lambda: arm.move_to_joint_positions(goal), arm.reset):
        with pytest.raises(rk.Unsupported, match=f"kinematics.*limits.{limit}"):
            move()
    assert inner.calls == []
    assert arm.get_state().mode == "holding"
    for free in ({"max_joint_speed_rad_s": 10.0}, {limit: BOUNDS_ON_THE_TOOL[limit], "unlimited": True}):
        arm, goal = plain_cell(inner, **free)
        arm.move_to_joint_positions(goal)
        assert inner.calls[0] == "move"


class LockThen:
    """A lock that something follows when it is given up for the first time."""

    def __init__(self, lock, event):
        self._lock, self._event, self._depth = lock, event, 0

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()

    def acquire(self, timeout=-1):
        self._lock.acquire(timeout=timeout)
        self._depth += 1
        return True

    def release(self):
        self._depth -= 1
        self._lock.release()
        if self._depth == 0 and self._event is not None:
            event, self._event = self._event, None
            event()


def test_b8_nobody_moves_the_arm_between_the_look_at_a_joint_path_and_its_begin(monkeypatch):
    box = rk.WorkspaceBox(position_min_m=(0.3, -0.3, 0.1), position_max_m=(0.7, 0.3, 0.5))
    arm, body, _ = safe_arm(rk.SafetyLimits(workspace=box))
    goal, aside = joints(arm, j0=0.1).joint_positions_rad, joints(arm, j1=0.1)
    errors = []

    def interfere():
        try:
            arm.send(aside)
        except rk.CommandRejected as error:
            errors.append(str(error))

    monkeypatch.setattr(arm.machine, "lock", LockThen(arm.machine.lock, interfere))
    arm.move_to_joint_positions(goal)
    assert body.sent == []
    (error,) = errors
    assert "a blocking joint motion is running" in error
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, goal, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_b8_a_tool_target_is_held_against_a_plane_however_the_plane_stands(seed):
    rng = np.random.default_rng(seed)
    normal, aside_m, origin_m = rng.normal(size=3), rng.normal(size=3), rng.uniform(-1.0, 1.0, 3)
    normal /= np.linalg.norm(normal)
    wall = TABLE.model_copy(update={"name": "wall", "point_in_base_m": origin_m, "normal_in_base": normal})
    bounds = BodyBounds(fake_chain.chain(6), None, (wall,), None, 0.0)

    def check(target_before_m: float, tool_before_m: float) -> None:
        target_m, tool_m = (
            origin_m + before_m * normal + np.cross(normal, aside_m) for before_m in (target_before_m, tool_before_m)
        )
        bounds.check_tool(target_m.tolist(), lambda: tool_m)

    check(0.0501, 0.2)
    with pytest.raises(rk.OutsideWorkspace, match=r"0\.002 m beyond where plane 'wall'"):
        check(0.048, 0.2)
    check(0.03, 0.02)
    with pytest.raises(rk.OutsideWorkspace, match=r"0\.020 m beyond where plane 'wall'"):
        check(0.03, 0.031)


def test_b8_a_command_is_counted_before_anybody_else_has_the_arm(monkeypatch):
    """The second is 0.03 m from where the arm is measured, and 0.09 m from the target before it."""
    arm, body, _ = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.2, speed_window_s=0.5))
    first, second, errors = shifted(arm, 0.06), shifted(arm, -0.03), []

    def send_too():
        try:
            arm.send(second)
        except rk.StepTooLarge as error:
            errors.append(str(error))

    monkeypatch.setattr(arm.machine, "lock", LockThen(arm.machine.lock, send_too))
    arm.send(first)
    assert body.sent == [first]
    (error,) = errors
    assert "0.0900 m from the previous one; at most 0.0400 m is allowed now" in error
