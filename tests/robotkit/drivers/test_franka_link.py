"""One connection to a control box: what it is told and in which order, and how each of its errors is told on."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.drivers.franka import link as links
from robotkit.drivers.franka import setup
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.faults import fault_names, translated
from robotkit.drivers.franka.kinematics import chain
from robotkit.drivers.franka.opening import opened_within
from robotkit.kinematics import ForwardKinematics
from robotkit.spatial import make_pose
from tests.support.franka_bench import Bench, FakeArm
from tests.support.waiting import wait_until

_TURNED = [0.1, 0.2, 0.3, np.sin(0.3), 0.0, 0.0, np.cos(0.3)]
_LOAD = {
    "mass_kg": 0.9,
    "centre_of_mass_in_flange_m": [0.01, 0.02, 0.06],
    "inertia_kg_m2": [[3e-3, 1e-4, 2e-4], [1e-4, 2e-3, 3e-4], [2e-4, 3e-4, 1e-3]],
}


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def config(**options: object) -> FrankaRobotConfig:
    return FrankaRobotConfig(**{"host": "box"} | options)


def test_b9_the_control_box_is_told_thresholds_load_and_tool_as_libfranka_takes_them():
    """Torques of the joints, then forces at the tool; matrices by columns; metres and kilograms."""
    arm, torques, forces = FakeArm(), [21.0, 22, 23, 24, 11, 10, 9], [31.0, 32, 33, 24, 25, 26]
    setup.apply(
        arm,
        config(collision_torque_nm=torques, collision_force_n=forces, load=_LOAD, tcp_in_nominal_end_effector=_TURNED),
    )
    told = dict(arm.calls)
    assert arm.told() == ["set_collision_behavior", "set_load", "set_ee"]
    assert told["set_collision_behavior"] == (torques, forces)
    mass_kg, centre_m, inertia = told["set_load"]
    assert (mass_kg, centre_m) == (0.9, [0.01, 0.02, 0.06])
    np.testing.assert_allclose(np.reshape(inertia, (3, 3)).T, _LOAD["inertia_kg_m2"])
    cos, sin = np.cos(0.6), np.sin(0.6)
    by_columns = [1, 0, 0, 0, 0, cos, sin, 0, 0, -sin, cos, 0, 0.1, 0.2, 0.3, 1]
    np.testing.assert_allclose(told["set_ee"], by_columns, atol=1e-9)


def test_without_options_an_earlier_tool_and_load_are_put_back_to_nothing():
    arm = FakeArm()
    setup.apply(arm, config())
    assert dict(arm.calls)["set_load"] == (0.0, [0.0] * 3, [0.0] * 9)
    np.testing.assert_array_equal(dict(arm.calls)["set_ee"], np.eye(4).ravel())


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("NE_T_EE", franky.Affine([0.0, 0.0, 1e-3])),
        ("m_load", 0.01),
        ("F_x_Cload", np.array((0.0, 0.0, 1e-3))),
        ("I_load", np.diag((1e-3, 0.0, 0.0))),
    ],
)
def test_what_the_box_shows_counts_and_not_what_it_was_told(field, other):
    arm = FakeArm()
    setup.apply(arm, config())
    assert setup.is_shown(arm.state, config())
    arm.fields[field] = other
    assert not setup.is_shown(arm.state, config())


def test_a_packet_in_single_precision_shows_what_was_told():
    arm, wanted = FakeArm(), config(load=_LOAD, tcp_in_nominal_end_effector=_TURNED)
    setup.apply(arm, wanted)
    for field, value in arm.fields.items():
        if isinstance(value, np.ndarray):
            arm.fields[field] = value.astype(np.float32).astype(np.float64)
    arm.fields["m_load"] = float(np.float32(0.9))
    assert setup.is_shown(arm.state, wanted)


def test_the_spec_ends_at_the_tool_that_a_packet_shows(bench):
    tool = franky.Affine([0.0, 0.1, 0.2], [0.0, 0.0, np.sin(0.2), np.cos(0.2)])
    spec = setup.with_tool(bench.robot.spec, SimpleNamespace(F_T_EE=tool))
    flange = ForwardKinematics(chain((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))).tcp_pose(np.zeros(7))
    with_tool = ForwardKinematics(spec.kinematics).tcp_pose(np.zeros(7))
    np.testing.assert_allclose(with_tool, spatial.compose(flange, make_pose(tool.translation, tool.quaternion)))
    assert spec.kinematics.capsules[-1].name == "hand"


def test_a_link_connects_once_and_configures_once(bench):
    link = bench.new_link()
    assert bench.opened == 1
    link.configure()
    link.configure()
    assert bench.arm.told() == ["set_collision_behavior", "set_load", "set_ee"]
    link.require_configured()
    link.open()
    with pytest.raises(rk.DeviceFault, match=r"another tool or load than configured; call recover"):
        link.require_configured()
    link.configure()
    assert bench.arm.told() == ["set_collision_behavior", "set_load", "set_ee"] * 2


def test_a_box_that_lost_the_tool_is_told_again_and_one_that_keeps_another_is_refused(monkeypatch):
    monkeypatch.setattr(links, "_CONFIGURATION_S", 0.0)
    bench = Bench(monkeypatch, tcp_in_nominal_end_effector=_TURNED)
    link = bench.new_link()
    link.configure()
    bench.arm.fields["NE_T_EE"] = franky.Affine()
    with pytest.raises(rk.DeviceFault, match="another tool or load"):
        link.require_configured()
    link.configure()
    link.require_configured()
    bench.arm.fields["NE_T_EE"], bench.arm.forgets_tool = franky.Affine(), True
    with pytest.raises(rk.DeviceFault, match="restart the control box"):
        link.configure()
    with pytest.raises(rk.DeviceFault, match="call recover"):
        link.require_configured()


def test_a_closed_link_says_so_and_can_be_opened_again(bench):
    link = bench.new_link()
    link.close()
    for call in (link.read, link.measure, link.faults, lambda: link.start(object()), link.configure):
        with pytest.raises(rk.NotConnected, match=r"box is not connected; call connect\(\)"):
            call()
    assert link.outcome() is None
    assert not link.is_in_control
    assert link.control_time_s() is None
    link.brake()
    link.wait_for_rest(0.0)
    assert bench.arm.calls == []
    link.open()
    assert link.read().q[3] == bench.arm.fields["q"][3]


def test_a_motion_ends_once_and_how_it_ended_is_told_once(bench):
    link, arm = bench.new_link(), bench.arm
    assert link.outcome() is None
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    assert link.outcome() is None, "it runs"
    assert link.control_time_s() == arm.time_s
    arm.break_down("joint_reflex")
    assert link.control_time_s() is None
    fault = link.outcome()
    assert fault.names == ("joint_reflex",)
    assert "collision_torque_nm" in fault.error.message
    assert link.outcome() is None
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.is_in_control = False
    arm.troubles.clear()
    assert link.outcome() is None
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.is_in_control = False
    arm.troubles["poll_motion"] = franky.NetworkException("UDP receive: Timeout")
    fault = link.outcome()
    assert fault.names == ("connection_failed",)
    assert isinstance(fault.error, rk.ConnectionFailed)


@pytest.mark.parametrize(
    ("shown", "names", "words"),
    [("joint_reflex", ("joint_reflex",), "collision_torque_nm"), (None, ("device_fault",), "motion aborted by reflex")],
)
def test_b7_a_reflex_that_libfranka_does_not_name_is_named_by_the_next_packet(bench, shown, names, words):
    """It has no name to tell when the end of the motion overtakes the packet with the error."""
    link, arm = bench.new_link(), bench.arm
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.is_in_control = False
    arm.troubles["poll_motion"] = franky.ControlException("libfranka: Move command aborted: motion aborted by reflex!")
    if shown is not None:
        arm.fields |= {"robot_mode": franky.RobotMode.Reflex, "current_errors": f'["{shown}"]'}
    fault = link.outcome()
    assert fault.names == names
    assert words in fault.error.message


def test_an_unnamed_end_of_a_motion_is_told_also_when_no_packet_comes(bench):
    link, arm = bench.new_link(), bench.arm
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.is_in_control = False
    arm.troubles |= {
        "poll_motion": franky.ControlException("motion aborted"),
        "state": franky.NetworkException("UDP receive: Timeout"),
    }
    assert "motion aborted" in link.outcome().error.message


@pytest.mark.parametrize(
    ("signal", "brake"),
    [
        (franky.ControlSignalType.Torques, franky.TorqueStopMotion),
        (franky.ControlSignalType.JointPositions, franky.JointStopMotion),
        (franky.ControlSignalType.JointVelocities, franky.JointStopMotion),
    ],
)
def test_the_brake_fits_what_moves_and_an_arm_at_rest_is_left_alone(bench, signal, brake):
    link, arm = bench.new_link(), bench.arm
    link.brake()
    assert arm.motions == []
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.current_control_signal_type = signal
    link.brake()
    assert isinstance(arm.motions[-1], brake)


def test_an_arm_that_does_not_come_to_rest_is_told(bench):
    link, arm = bench.new_link(), bench.arm
    arm.brakes_slowly = True
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    link.brake()
    with pytest.raises(rk.DeviceFault, match=r"not come to rest within 0\.01 s; use the emergency stop"):
        link.wait_for_rest(0.01)
    arm.is_in_control = False
    link.wait_for_rest(0.01)


def test_rest_is_waited_for_in_the_arms_own_time_and_not_for_ever_when_that_creeps(bench, monkeypatch):
    link, arm = bench.new_link(), bench.arm
    arm.brakes_slowly, arm.tick_s = True, 0.5
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    began_s = arm.time_s
    with pytest.raises(rk.DeviceFault, match="come to rest"):
        link.wait_for_rest(3.0)
    assert 3.0 < arm.time_s - began_s < 5.0
    here_s = iter(range(1000))
    arm.tick_s = 1e-3
    monkeypatch.setattr(links, "time", SimpleNamespace(monotonic=lambda: next(here_s), sleep=lambda seconds: None))
    with pytest.raises(rk.DeviceFault, match="come to rest"):
        link.wait_for_rest(3.0)
    assert next(here_s) > 30


def test_faults_are_cleared_when_there_are_some_and_packets_under_way_are_waited_for(bench, monkeypatch):
    link, arm = bench.new_link(), bench.arm
    link.clear_faults()
    assert arm.told() == []
    arm.break_down("cartesian_reflex")
    arm.heals_after = 3
    link.clear_faults()
    assert arm.told() == ["recover_from_errors"]
    assert link.faults() == ()
    monkeypatch.setattr(links, "_RECOVERY_S", 0.0)
    arm.break_down("cartesian_reflex")
    arm.heals_after = None
    with pytest.raises(rk.DeviceFault, match=r"cartesian_reflex \(the force at the tool"):
        link.clear_faults()


def test_whatever_libfranka_is_asked_is_asked_with_the_links_lock_held(bench, monkeypatch):
    """It forbids two readings, or a reading and a start, at the same time."""
    link, arm, held = bench.new_link(), bench.arm, []
    tell = arm._tell

    def is_held() -> bool:
        return link._lock._is_owned() or not link._lock.acquire(blocking=False)

    monkeypatch.setattr(arm, "_tell", lambda name, what: (held.append((name, is_held())), tell(name, what)))
    link.read()
    link.measure()
    link.configure()
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    link.brake()
    link.outcome()
    arm.break_down("joint_reflex")
    link.clear_faults()
    assert {name for name, _ in held} >= {"state", "move", "set_ee", "poll_motion", "recover_from_errors"}
    assert all(was_held for _, was_held in held)


_CALLS = {
    "state": (lambda link: link.read(), "reading the Franka arm at box"),
    "model": (lambda link: link.measure(), "reading the Franka arm at box"),
    "move": (lambda link: link.start(object()), "starting a motion of the Franka arm at box"),
    "set_ee": (lambda link: link.configure(), "configuring the Franka arm at box"),
}


@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("lost", [franky.NetworkException("UDP receive: Timeout"), RuntimeError("Net Exception")])
def test_a_lost_connection_is_named_wherever_it_is_noticed(bench, name, lost):
    link, arm = bench.new_link(), bench.arm
    call, doing = _CALLS[name]
    arm.troubles["state" if name == "model" else name] = lost
    with pytest.raises(rk.ConnectionFailed, match=rf"{doing}: .*FCI is active in Desk") as caught:
        call(link)
    assert caught.value.__cause__ is lost


def test_a_brake_that_the_arm_refuses_is_a_fault(bench):
    link, arm = bench.new_link(), bench.arm
    link.start(franky.CartesianImpedanceTrackingMotion(1.0, 1.0))
    arm.troubles["move"] = franky.CommandException("command rejected")
    with pytest.raises(rk.DeviceFault, match="stopping the Franka arm at box: command rejected"):
        link.brake()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (franky.IncompatibleVersionException("old\nserver"), rk.ConnectionFailed, r"doing: old\. franky's wheel"),
        (franky.NetworkException("no route. "), rk.ConnectionFailed, r"doing: no route\. Check power"),
        (franky.RealtimeException("no kernel"), rk.InvalidConfiguration, 'PREEMPT_RT.*realtime = "ignore"'),
        (franky.ControlException('! ["joint_reflex"]'), rk.DeviceFault, r"doing: .*joint_reflex \(the torque"),
        (franky.CommandException('! ["some_thing"]'), rk.DeviceFault, r"some_thing.*Call recover\(\) to clear it"),
        (RuntimeError("something else"), RuntimeError, "something else"),
    ],
)
def test_each_of_frankys_errors_is_told_with_a_way_out(error, kind, words):
    with pytest.raises(kind, match=words), translated("doing"):
        raise error


@pytest.mark.parametrize(
    ("mode", "current", "last", "names"),
    [
        ("Idle", "[]", "[]", ()),
        ("Move", "[]", '["joint_reflex"]', ()),
        ("Idle", '["a", "b"]', "[]", ("a", "b")),
        ("Reflex", '["a"]', '["b"]', ("a",)),
        ("Reflex", "[]", '["b"]', ("b",)),
        ("Reflex", "[]", "[]", ("reflex",)),
        ("UserStopped", '["a"]', "[]", ("a", "user_stopped")),
        ("Guiding", "[]", "[]", ("guiding",)),
        ("Other", "[]", "[]", ("programming_mode",)),
    ],
)
def test_what_is_wrong_has_the_controllers_own_names(mode, current, last, names):
    packet = SimpleNamespace(
        robot_mode=franky.RobotMode.__members__[mode], current_errors=current, last_motion_errors=last
    )
    assert fault_names(packet) == names


def test_a_connection_that_comes_too_late_is_closed_at_once():
    gate, made = threading.Event(), []

    class Late:
        def __del__(self) -> None:
            made.append("closed")

    def make() -> Late:
        gate.wait(10.0)
        return Late()

    with pytest.raises(rk.ConnectionFailed, match=r"connecting to the arm: no answer in 0\.02 s"):
        opened_within(0.02, make, "the arm")
    (hanging,) = [thread for thread in threading.enumerate() if thread.name == "connecting to the arm"]
    assert hanging.daemon, "it keeps no program from ending"
    gate.set()
    wait_until(lambda: made == ["closed"])


def test_what_connects_in_time_is_handed_out_and_an_error_of_any_kind_is_raised():
    start_s = time.monotonic()
    assert opened_within(10.0, lambda: "arm", "the arm") == "arm"
    with pytest.raises(rk.ConnectionFailed, match="connecting to the arm: refused"):
        opened_within(10.0, lambda: _raise(franky.NetworkException("refused")), "the arm")
    with pytest.raises(ValueError, match="nonsense"):
        opened_within(10.0, lambda: _raise(ValueError("nonsense")), "the arm")
    assert time.monotonic() - start_s < 5.0


def _raise(error: Exception) -> None:
    raise error
