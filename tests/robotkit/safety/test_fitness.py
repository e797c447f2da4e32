"""Laws of the start: a real arm has limits, and no arm has limits that it cannot keep."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.drivers.franka.config import FrankaRobotConfig, robot_spec
from robotkit.safety import make_safe
from robotkit.spatial import compose
from tests.support.recording_arm import PlainArm
from tests.support.safe_arm import FreeClock

BOX = rk.WorkspaceBox(position_min_m=(0, -1, 0), position_max_m=(1, 1, 1))
ENOUGH = {
    "workspace": BOX,
    "max_tcp_speed_m_s": 0.5,
    "max_tcp_rotation_speed_rad_s": 2.0,
    "watchdog_s": 0.2,
    "state_max_age_s": 0.2,
}


def arm_with(**spec):
    clock = ManualClock() if spec.get("is_simulated", True) else FreeClock()
    body = FakeRobot(FakeRobot.Config(), CellContext(clock=clock))
    body.spec = body.spec.model_copy(update=spec)
    return body


def build(body, **limits):
    return make_safe(body, rk.SafetyLimits(**limits), body.context.clock)


@pytest.mark.parametrize("missing", list(ENOUGH))
def test_b8_a_real_arm_without_limits_does_not_start_unless_it_says_so(missing):
    limits = {name: value for name, value in ENOUGH.items() if name != missing}
    real = arm_with(is_simulated=False)
    with pytest.raises(rk.InvalidConfiguration, match=rf"set limits\.{missing} \([a-z ,]+\) in the"):
        build(real, **limits)
    build(real, **ENOUGH)
    build(real, unlimited=True)
    build(arm_with(is_simulated=True))


@pytest.mark.parametrize("limits", [ENOUGH, {"unlimited": True}], ids=["limited", "unlimited"])
def test_b8_a_real_arm_does_not_start_with_a_margin_that_makes_its_box_mean_nothing(limits):
    real = arm_with(is_simulated=False)
    build(real, **limits, measured_margin_m=0.2)
    with pytest.raises(rk.InvalidConfiguration, match=r"measured_margin_m is 0\.21 m; the real arm .* at most 0\.2 m"):
        build(real, **limits, measured_margin_m=0.21)
    build(arm_with(is_simulated=True), measured_margin_m=0.21)


@pytest.mark.parametrize("limits", [ENOUGH, {"unlimited": True}], ids=["limited", "unlimited"])
def test_b8_a_real_arm_does_not_start_on_a_clock_that_stands(limits):
    """A digital twin's: between two steps no time passes for watchdog, monitor and age of state."""
    real = arm_with(is_simulated=False)
    object.__setattr__(real.context, "clock", ManualClock())
    with pytest.raises(rk.InvalidConfiguration, match="cannot be in a lock-step cell"):
        build(real, **limits)


def box_of(reach_m):
    return rk.WorkspaceBox(position_min_m=[-reach_m] * 3, position_max_m=[reach_m] * 3)


FAR = {"normal_in_base": (0, 0, 1), "name": "floor"}
PANDA = FrankaRobotConfig(host="192.0.2.1")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"workspace": box_of(1.9)}, "limits.workspace, .* bounds nothing: arm .* reaches at most 1.4"),
        ({"planes": (rk.Plane(point_in_base_m=(0, 0, -20), **FAR),)}, "the plane 'floor' is 20.00 m from the base"),
        ({"planes": (rk.Plane(point_in_base_m=(5, 5, 300), **FAR),)}, "the plane 'floor' is 300.00 m from the base"),
        ({"max_joint_speed_rad_s": 45.0}, "the fastest joint of arm .*: give it in rad/s, not in degrees/s"),
        ({"joint_position_max_rad": [12.0] * 7}, "give it in radians, not in degrees"),
        ({"joint_position_min_rad": [-10.0] * 7}, "give it in radians, not in degrees"),
    ],
)
def test_b8_numbers_that_bound_no_real_arm_are_refused(limits, message):
    arm = arm_with(is_simulated=False)
    arm.spec = robot_spec(PANDA)
    build(arm, **ENOUGH)
    with pytest.raises(rk.InvalidConfiguration, match=message):
        build(arm, **{**ENOUGH, **limits})


@pytest.mark.parametrize(("is_simulated", "more"), [(True, {}), (False, {"unlimited": True})])
def test_a_box_that_bounds_nothing_is_one_of_a_simulated_arm_or_one_without_limits(is_simulated, more):
    arm = arm_with(is_simulated=is_simulated)
    arm.spec = robot_spec(PANDA).model_copy(update={"is_simulated": is_simulated})
    build(arm, **{**ENOUGH, **more, "workspace": box_of(1.9)})


def test_b8_a_joint_speed_may_be_three_times_that_of_the_fastest_joint():
    arm = arm_with(is_simulated=False)
    arm.spec = robot_spec(PANDA)
    own_rad_s = float(arm.spec.joint_velocity_max_rad_s.max())
    build(arm, **ENOUGH, max_joint_speed_rad_s=2.999 * own_rad_s)
    with pytest.raises(rk.InvalidConfiguration, match="in rad/s"):
        build(arm, **ENOUGH, max_joint_speed_rad_s=3.001 * own_rad_s)


def test_b8_a_wall_that_the_arm_does_not_reach_may_be_told():
    arm = arm_with(is_simulated=False)
    arm.spec = robot_spec(PANDA)
    build(arm, **ENOUGH, planes=(rk.Plane(point_in_base_m=(0, 0, -3.0), **FAR),))


TILT_RAD = np.deg2rad(2.0)


@pytest.mark.parametrize(
    ("tool", "is_refused"),
    [
        ((0.0, 0.0, 0.0099, 0.0, 0.0, 0.0, 1.0), False),
        ((0.0, 0.0, 0.0101, 0.0, 0.0, 0.0, 1.0), True),
        ((0.0, 0.0, 0.0, np.sin(TILT_RAD * 0.495), 0.0, 0.0, np.cos(TILT_RAD * 0.495)), False),
        ((0.0, 0.0, 0.0, np.sin(TILT_RAD * 0.505), 0.0, 0.0, np.cos(TILT_RAD * 0.505)), True),
        ((0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 1.0), True),
    ],
)
@pytest.mark.parametrize("when", ["connected", "recovered"])
def test_b8_kinematics_that_contradict_the_measurement_are_refused(tool, is_refused, when):
    """A chain that does not know the tool would judge planes, links and joint paths by a place where it is not."""
    body = arm_with()
    arm = build(body)
    if when == "recovered":
        arm.connect()
        arm.stop()
    chain = body.spec.kinematics
    body.spec = body.spec.model_copy(
        update={
            "kinematics": chain.model_copy(update={"tcp_in_last_link": compose(chain.tcp_in_last_link, np.array(tool))})
        }
    )
    begin = arm.recover if when == "recovered" else arm.connect
    if not is_refused:
        begin()
        assert arm.get_state().mode == "holding"
        return
    with pytest.raises(rk.InvalidConfiguration, match=r"put its tool .* from where it is measured"):
        begin()
    assert not body.is_connected


@pytest.mark.parametrize("limit", ["max_force_n", "max_torque_nm"])
def test_b8_a_force_limit_needs_an_arm_that_measures_force(limit):
    with pytest.raises(rk.InvalidConfiguration, match="measures no force"):
        build(arm_with(measures_wrench=False), **{limit: 10.0})
    build(arm_with(measures_wrench=True), **{limit: 10.0})


PLANE = rk.Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1))


@pytest.mark.parametrize("limits", [{"planes": (PLANE,)}, {"link_clearance_m": 0.0}, {"workspace": BOX}])
def test_b8_bounds_on_links_and_joint_targets_need_kinematics(limits):
    with pytest.raises(rk.InvalidConfiguration, match="kinematics"):
        build(arm_with(kinematics=None), **limits)
    build(arm_with(), **limits)


def test_b8_an_arm_that_takes_poses_only_needs_no_kinematics_for_its_box():
    build(arm_with(kinematics=None, command_kinds=("pose",)), workspace=BOX)


@pytest.mark.parametrize(("limit", "message"), [
    ({"max_contact_force_n": 19.0}, "contact force"),
    ({"max_contact_torque_nm": 7.0}, "contact torque"),
    ({"max_translational_stiffness_n_m": 1999.0}, "stiffness"),
    ({"max_rotational_stiffness_nm": 149.0}, "rotational stiffness"),
    ({"min_damping_ratio": 1.0}, "damping ratio"),
])  # fmt: skip
def test_a3_the_impedance_law_stays_within_the_cells_bounds_from_the_start(limit, message):
    """SERL's law: 2000 N/m * 0.01 m, 150 Nm * 0.05, damping ratio 0.995."""
    with pytest.raises(rk.InvalidConfiguration, match=message):
        build(arm_with(), compliance=rk.ComplianceLimits(**limit))


def test_a3_a_change_outside_the_bounds_is_refused_and_the_law_in_force_stays():
    arm = build(arm_with(), compliance=rk.ComplianceLimits(max_contact_force_n=20.0))
    arm.connect()
    soft = rk.ComplianceParams(translational_stiffness_n_m=1000.0)
    arm.set_compliance(soft)
    hard = rk.ComplianceParams(translational_clip_max_m=(0.0101, 0.01, 0.01))
    with pytest.raises(rk.InvalidCommand, match=r"20\.2 N; at most 20 N"):
        arm.set_compliance(hard)
    assert arm.compliance == soft
    assert arm.inner.compliance == soft


def test_a_reset_posture_outside_the_cells_joint_range_is_refused():
    with pytest.raises(rk.InvalidConfiguration, match="reset configuration"):
        build(arm_with(), joint_position_max_rad=[0.4, *[10.0] * 6])


def as_said(measured, joint_count):
    """The measurement of an arm with so many joints."""
    return measured._replace(
        joint_positions_rad=measured.joint_positions_rad[:joint_count],
        joint_velocities_rad_s=measured.joint_velocities_rad_s[:joint_count],
        jacobian_in_base=measured.jacobian_in_base[:, :joint_count],
    )


class Late(FakeRobot):
    """It says something else of itself when it is connected, and when it has recovered."""

    says: dict[str, object] = {}  # noqa: RUF012

    def _measure(self):
        return as_said(super()._measure(), self.spec.joint_count)

    def _open(self):
        self.spec = self.spec.model_copy(update=self.says)
        super()._open()

    def _clear_faults(self):
        super()._clear_faults()
        self.spec = self.spec.model_copy(update=self.says)


class LatePlain(PlainArm):
    """The same of an arm that brings no state machine."""

    says: dict[str, object] = {}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        measure = self.body._measure
        self.body._measure = lambda: as_said(measure(), self.spec.joint_count)

    def connect(self):
        super().connect()
        self.spec = self.spec.model_copy(update=self.says)

    def recover(self):
        super().recover()
        self.spec = self.spec.model_copy(update=self.says)


def late_arm(arm_type, says, **limits):
    body = arm_type() if arm_type is LatePlain else Late(Late.Config(), CellContext(clock=ManualClock()))
    arm = build(body, **limits)
    body.says = says
    return arm, body


HOME = arm_with().spec.reset_joint_positions_rad
FEWER = FakeRobot(FakeRobot.Config(dof=6), CellContext(clock=ManualClock())).spec.model_dump()
UNFIT = [
    ({"kinematics": None}, {"planes": (PLANE,)}, "does not tell its kinematics"),
    ({"measures_wrench": False}, {"max_force_n": 10.0}, "measures no force"),
    ({"is_simulated": False}, {"workspace": BOX}, "does not start without limits"),
    ({"reset_joint_positions_rad": HOME + 0.2}, {"joint_position_max_rad": HOME + 0.1}, "reset configuration"),
    (FEWER, {}, "says 6 joints when it is connected, and 7 before"),
]


@pytest.mark.parametrize("arm_type", [Late, LatePlain])
@pytest.mark.parametrize(("says", "limits", "message"), UNFIT)
def test_b8_an_arm_that_turns_out_unfit_when_it_is_connected_is_disconnected_again(arm_type, says, limits, message):
    arm, body = late_arm(arm_type, says, **limits)
    with pytest.raises(rk.InvalidConfiguration, match=message):
        arm.connect()
    assert not arm.is_connected
    assert not body.is_connected


@pytest.mark.parametrize("arm_type", [Late, LatePlain])
def test_b8_an_arm_that_turns_out_unfit_after_a_recovery_is_disconnected(arm_type):
    arm, body = late_arm(arm_type, {}, max_force_n=10.0)
    arm.connect()
    body.says = {"measures_wrench": False}
    arm.stop()
    with pytest.raises(rk.InvalidConfiguration, match="measures no force"):
        arm.recover()
    assert not body.is_connected


@pytest.mark.parametrize("arm_type", [Late, LatePlain])
def test_b8_the_joint_range_and_speed_that_an_arm_says_when_it_is_connected_count(arm_type):
    says = {"joint_position_max_rad": HOME + 0.1, "joint_velocity_max_rad_s": np.full(7, 0.1)}
    arm, body = late_arm(arm_type, says)
    arm.connect()
    assert arm.spec is body.spec
    target = HOME.copy()
    target[0] += 0.11
    with pytest.raises(rk.JointLimitExceeded, match="joint 0 was asked to go to"):
        arm.send(rk.JointCommand(joint_positions_rad=target))
    target[0] = HOME[0] + 0.051
    with pytest.raises(rk.StepTooLarge, match=r"at most 0\.0500 rad is allowed now, at 0\.1 rad/s"):
        arm.send(rk.JointCommand(joint_positions_rad=target))
    target[0] = HOME[0] + 0.049
    arm.send(rk.JointCommand(joint_positions_rad=target))
    arm.disconnect()
    body.says = {"joint_velocity_max_rad_s": np.full(7, 0.2)}
    arm.connect()
    measured = arm.get_state().joint_positions_rad.copy()
    measured[0] -= 0.0999
    with pytest.raises(rk.StepTooLarge, match=r"at most 0\.0510 rad is allowed now"):
        arm.send(rk.JointCommand(joint_positions_rad=measured))


def test_b8_a_box_that_the_arm_cannot_reach_is_refused():
    """A Franka arm's, whose links are together 1.4 m long."""
    spec = robot_spec(FrankaRobotConfig(host="192.0.2.1"))
    reach_m = sum(np.linalg.norm(joint.origin_in_parent[:3]) for joint in spec.kinematics.joints)
    reach_m += np.linalg.norm(spec.kinematics.tcp_in_last_link[:3])
    assert 1.2 < reach_m < 1.7
    for scale, is_refused in ((0.999, False), (1.001, True)):
        corner = np.array((0.6, 0.0, 0.8)) * reach_m * scale
        box = rk.WorkspaceBox(position_min_m=corner, position_max_m=corner + 0.1)
        arm = arm_with(is_simulated=False)
        arm.spec = spec
        limits = {**ENOUGH, "workspace": box}
        if is_refused:
            with pytest.raises(rk.InvalidConfiguration, match="the arm reaches at most"):
                build(arm, **limits)
        else:
            build(arm, **limits)


@pytest.mark.parametrize(("begin_m", "is_refused"), [(3.5, False), (3.501, True)])
def test_b8_how_far_an_arm_reaches_counts_its_slides_and_its_tool(begin_m, is_refused):
    """Three slides of a metre each, and a tool of half a metre."""
    chain = arm_with().spec.kinematics.model_copy(update={"tcp_in_last_link": (0, 0, -0.5, 1, 0, 0, 0)})
    range_rad = np.array((1.0, 1.0, 1.0, 6.0, 6.0, 6.0, 6.0))
    arm = arm_with(kinematics=chain, joint_position_min_rad=-range_rad, joint_position_max_rad=0.9 * range_rad)
    box = rk.WorkspaceBox(position_min_m=(-4, -0.1, -0.1), position_max_m=(-begin_m, 0.1, 0.1))
    if is_refused:
        with pytest.raises(rk.InvalidConfiguration, match=r"begins 3\.50 m from the base.*reaches at most 3\.50 m"):
            build(arm, workspace=box)
    else:
        build(arm, workspace=box)


def test_b8_joint_limits_in_degrees_are_refused():
    low, high = -np.full(7, 3.0), np.full(7, 3.5)
    for name, degrees in (("joint_position_min_rad", -170.0), ("joint_position_max_rad", 170.0)):
        limits = {"joint_position_min_rad": low.copy(), "joint_position_max_rad": high.copy()}
        build(arm_with(), **limits)
        limits[name][4] = np.copysign(4 * np.pi, degrees)
        build(arm_with(), **limits)
        limits[name][4] = degrees
        with pytest.raises(rk.InvalidConfiguration, match=f"{name} of joint 4 is {degrees:g} rad.*not in degrees"):
            build(arm_with(), **limits)


def test_b8_a_joint_that_turns_without_end_keeps_its_own_range():
    endless = np.array((*np.full(6, 2 * np.pi), 1000.0))
    arm = arm_with(joint_position_min_rad=-endless, joint_position_max_rad=endless)
    build(arm, joint_position_min_rad=-endless, joint_position_max_rad=endless)


def test_an_arm_may_be_reset_to_the_ends_of_its_range():
    build(arm_with(), joint_position_min_rad=HOME, joint_position_max_rad=HOME)


def test_b8_the_speed_that_an_arm_says_when_it_is_connected_is_that_of_its_own_joint_motions():
    """It cannot be told a speed: before it was connected its own seemed to be above that of the cell."""
    arm, body = late_arm(LatePlain, {"joint_velocity_max_rad_s": np.full(7, 0.5)}, max_joint_speed_rad_s=1.0)
    arm.connect()
    arm.move_to_joint_positions(HOME + 0.25)
    assert "move" in body.calls
