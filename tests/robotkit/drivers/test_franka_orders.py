"""In which order the Franka driver tells its arm what, and what it makes of each packet: no protocol runs below."""

from __future__ import annotations

import logging

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import link as links
from robotkit.drivers.franka import robot as robots
from robotkit.spatial import integrate_delta
from tests.support.franka_bench import STANDING_M, Bench

_TOOL_M, ASIDE_M = np.array((0.0, 0.0, 0.1)), np.array((0.0, 0.004, 0.0))
_TOOL = {"tcp_in_nominal_end_effector": [*_TOOL_M, 0.0, 0.0, 0.0, 1.0]}
_CONFIGURED = ["set_collision_behavior", "set_load", "set_ee"]
_STRONG = rk.ComplianceParams(translational_stiffness_n_m=2500.0)
_TIGHT = rk.ComplianceParams(translational_clip_min_m=[-0.004] * 3, translational_clip_max_m=[0.004] * 3)


@pytest.fixture
def bench(monkeypatch):
    built = Bench(monkeypatch)
    yield built
    built.robot.disconnect()


@pytest.fixture
def connected(bench):
    bench.robot.connect()
    return bench


def tracked_m(bench: Bench, number: int = -1) -> np.ndarray:
    """Where the tool is to be, by the tracking motion of that number."""
    motions = [m for m in bench.arm.motions if isinstance(m, franky.CartesianImpedanceTrackingMotion)]
    return motions[number].get_reference().target.translation


def beside(bench: Bench, side: float = 1.0) -> rk.PoseCommand:
    """A target to the side, so near that the leash reaches it."""
    pose = bench.robot.get_state().tcp_pose_in_base
    return rk.PoseCommand(tcp_pose_in_base=integrate_delta(pose, side * ASIDE_M, np.zeros(3)))


def test_a1_the_tool_is_set_before_the_first_target_which_is_where_the_tool_then_is(monkeypatch):
    bench = Bench(monkeypatch, **_TOOL)
    with bench.robot:
        assert bench.arm.told() == [*_CONFIGURED, "move"]
        np.testing.assert_allclose(bench.arm.began_at_m, [STANDING_M + _TOOL_M])
        np.testing.assert_allclose(bench.robot.get_state().tcp_pose_in_base[:3], STANDING_M + _TOOL_M)
        assert bench.robot.spec.kinematics.tcp_in_last_link[2] == pytest.approx(0.107 + 0.1, abs=1e-6)


def test_a_second_connect_changes_nothing_and_a_disconnect_brakes_before_it_lets_go(connected):
    arm = connected.arm
    connected.robot.connect()
    assert connected.opened == 1
    connected.robot.disconnect()
    assert isinstance(arm.motions[-1], franky.TorqueStopMotion)
    assert not connected.robot.is_connected
    with pytest.raises(rk.NotConnected):
        connected.robot.get_state()
    connected.robot.connect()
    assert connected.opened == 2
    assert arm.told()[-4:] == [*_CONFIGURED, "move"]


def test_an_arm_that_does_not_take_the_last_brake_is_let_go_and_logged(connected, caplog, monkeypatch):
    monkeypatch.setattr(robots, "_REST_S", 0.0)
    connected.arm.brakes_slowly = True
    link = connected.robot._require_link()
    with caplog.at_level(logging.WARNING):
        connected.robot.disconnect()
    assert "did not take the last stop" in caplog.text
    with pytest.raises(rk.NotConnected):
        link.read()


@pytest.mark.parametrize("name", ["state", "set_collision_behavior", "set_ee"])
def test_a_connection_that_fails_leaves_nothing_open(bench, name, monkeypatch):
    closed = []
    close = links.FrankaLink.close
    monkeypatch.setattr(links.FrankaLink, "close", lambda link: (closed.append(link), close(link))[1])
    bench.arm.troubles[name] = franky.CommandException("refused")
    with pytest.raises(rk.DeviceFault, match="refused"):
        bench.robot.connect()
    assert not bench.robot.is_connected
    assert len(closed) == 2, "once to open it, once to let it go"
    assert bench.arm.motions == []


def test_an_arm_in_a_fault_is_told_nothing_until_it_is_recovered(bench):
    arm = bench.arm
    arm.break_down("joint_reflex")
    bench.robot.connect()
    assert arm.told() == []
    state = bench.robot.get_state()
    assert (state.mode, state.faults) == ("fault", ("joint_reflex",))
    with pytest.raises(rk.DeviceFault, match="joint_reflex"):
        bench.robot.send(beside(bench))
    bench.robot.recover()
    assert arm.told() == ["recover_from_errors", *_CONFIGURED, "move"]
    assert bench.opened == 1
    assert bench.robot.get_state().mode == "holding"


def test_a_lost_connection_is_opened_anew_by_a_recovery_and_the_tool_is_set_again(monkeypatch):
    bench = Bench(monkeypatch, **_TOOL)
    arm, robot = bench.arm, bench.robot
    with robot:
        stamp_s = robot.get_state().stamp_s
        arm.is_in_control = False
        arm.troubles["poll_motion"] = arm.troubles["state"] = franky.NetworkException("UDP receive: Timeout")
        bench.now_s += 1.0
        state = robot.get_state()
        assert (state.mode, state.faults, state.stamp_s) == ("fault", ("connection_failed",), stamp_s)
        arm.troubles.clear()
        assert robot.get_state().stamp_s == stamp_s, "it is not asked any more until it is connected anew"
        arm.fields["NE_T_EE"] = franky.Affine()
        robot.recover()
        assert bench.opened == 2
        assert arm.told()[-5:] == ["poll_motion", *_CONFIGURED, "move"]
        np.testing.assert_allclose(tracked_m(bench), STANDING_M + _TOOL_M)
        assert robot.get_state().stamp_s == bench.now_s
        assert robot.spec.kinematics.tcp_in_last_link[2] == pytest.approx(0.107 + 0.1, abs=1e-6)


def test_a_fault_that_recovery_does_not_clear_starts_nothing(connected, monkeypatch):
    monkeypatch.setattr(links, "_RECOVERY_S", 0.0)
    connected.arm.break_down("cartesian_reflex")
    connected.arm.heals_after = None
    count = len(connected.arm.motions)
    with pytest.raises(rk.DeviceFault, match="cartesian_reflex"):
        connected.robot.recover()
    assert len(connected.arm.motions) == count
    assert connected.robot.get_state().faults == ("cartesian_reflex",)


def test_b7_a_reflex_while_a_recovery_waits_for_the_last_brake_is_cleared_with_the_stop(connected, monkeypatch):
    """franky raises it at the next motion unless it was asked for before."""
    robot, arm = connected.robot, connected.arm
    arm.brakes_slowly = True
    robot.stop()
    monkeypatch.setattr(robot._require_link(), "wait_for_rest", lambda deadline_s: arm.break_down("joint_reflex"))
    robot.recover()
    assert arm.told()[-3:] == ["poll_motion", "recover_from_errors", "move"]
    state = robot.get_state()
    assert (state.mode, state.faults, state.stop) == ("holding", (), None)
    arm.brakes_slowly = False


def test_a_packet_is_told_with_the_signs_and_units_of_the_contract(connected):
    arm = connected.arm
    arm.jacobian = np.arange(42.0).reshape(6, 7) / 42.0
    arm.fields |= {"dq": np.arange(7.0) / 10.0, "K_F_ext_hat_K": np.arange(6.0)}
    state = connected.robot.get_state()
    np.testing.assert_allclose(state.tcp_pose_in_base, [*STANDING_M, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(state.tcp_twist_in_base, arm.jacobian @ arm.fields["dq"])
    np.testing.assert_array_equal(state.wrench_in_tcp, -np.arange(6.0))
    np.testing.assert_array_equal(state.joint_positions_rad, arm.fields["q"])
    np.testing.assert_array_equal(state.joint_velocities_rad_s, arm.fields["dq"])
    np.testing.assert_array_equal(state.jacobian_in_base, arm.jacobian)
    assert state.control_success_rate == 0.9
    connected.robot.stop()
    assert connected.robot.get_state().control_success_rate == 1.0, "nothing is lost while nothing is sent"


@pytest.mark.parametrize("field", ["q", "dq"])
def test_what_is_no_number_is_a_fault_of_the_arm(connected, field):
    wrong = connected.arm.fields[field].copy()
    wrong[3] = np.nan
    connected.robot.get_state()
    connected.arm.fields[field] = wrong
    assert connected.robot.get_state().mode == "fault"
    assert isinstance(connected.arm.motions[-1], franky.TorqueStopMotion)
    with pytest.raises(rk.DeviceFault, match="no number; restart the control box"):
        connected.robot.send(rk.PoseCommand(tcp_pose_in_base=[*STANDING_M, 0, 0, 0, 1]))


def test_m9_a_packet_is_as_old_as_when_it_was_first_seen(connected):
    connected.robot.get_state()
    connected.arm.tick_s = 0.0
    stamp_s = connected.robot.get_state().stamp_s
    connected.now_s += 3.0
    assert connected.robot.get_state().stamp_s == stamp_s
    connected.arm.tick_s = 0.001
    assert connected.robot.get_state().stamp_s == connected.now_s


def test_b7_a_fault_at_rest_is_seen_in_the_packets_and_one_that_ended_control_in_the_motion(connected):
    connected.robot.stop()
    connected.arm.fields["robot_mode"] = franky.RobotMode.UserStopped
    assert connected.robot.get_state().faults == ("user_stopped",)
    connected.arm.fields["robot_mode"] = franky.RobotMode.Idle
    connected.robot.recover()
    connected.arm.break_down("cartesian_reflex")
    with pytest.raises(rk.DeviceFault, match="cartesian_reflex"):
        connected.robot.send(rk.PoseCommand(tcp_pose_in_base=[*STANDING_M, 0, 0, 0, 1]))


def test_control_that_ends_without_a_reason_is_a_fault_too(connected):
    connected.arm.is_in_control = False
    state = connected.robot.get_state()
    assert (state.mode, state.faults) == ("fault", ("motion_ended",))
    connected.robot.recover()
    assert connected.robot.get_state().faults == ()


def test_a_stop_brakes_and_the_motion_that_ran_gets_no_target_after_it(connected):
    robot, arm = connected.robot, connected.arm
    robot.send(beside(connected))
    target = robot._tracking._target
    robot.stop()
    arm.motions[0].set_reference(franky.CartesianReference(target=franky.Affine()))
    target._step()
    np.testing.assert_array_equal(tracked_m(connected), np.zeros(3))
    assert [type(motion) for motion in arm.motions[1:]] == [franky.TorqueStopMotion]
    assert robot._tracking is None


def test_a_hold_tracks_where_the_arm_is_measured(connected):
    robot = connected.robot
    robot.send(beside(connected))
    np.testing.assert_allclose(tracked_m(connected), STANDING_M + ASIDE_M)
    robot.hold()
    np.testing.assert_allclose(tracked_m(connected), STANDING_M)
    assert len(connected.arm.motions) == 1


def test_m10_the_gains_change_in_the_motion_that_runs_and_clips_in_one_that_takes_over(connected):
    robot, arm = connected.robot, connected.arm
    robot.send(beside(connected))
    robot.set_compliance(_STRONG)
    assert len(arm.motions) == 1
    assert arm.motions[0].get_gains().stiffness[0, 0] == 2500.0
    robot.set_compliance(_TIGHT)
    first, second = arm.motions
    np.testing.assert_allclose(arm.began_at_m, [STANDING_M, STANDING_M + ASIDE_M])
    np.testing.assert_allclose(second.get_reference().target.translation, first.get_reference().target.translation)
    np.testing.assert_allclose(second.params.translational_error_clip, 0.004)
    robot.send(beside(connected, -1.0))
    np.testing.assert_allclose(second.get_reference().target.translation, STANDING_M - ASIDE_M)
    np.testing.assert_allclose(first.get_reference().target.translation, STANDING_M + ASIDE_M)


@pytest.mark.parametrize("after", ["retry", "other clips", "gains"])
def test_a_law_that_the_arm_refused_is_not_taken_for_the_one_in_force(connected, after):
    robot, arm = connected.robot, connected.arm
    robot.send(beside(connected))
    before = robot.compliance
    arm.troubles["move"] = franky.CommandException("refused once")
    with pytest.raises(rk.DeviceFault):
        robot.set_compliance(_TIGHT)
    assert robot.compliance == before
    arm.troubles.clear()
    count = len(arm.motions)
    wanted = {"retry": _TIGHT, "other clips": before, "gains": _STRONG}[after]
    robot.set_compliance(wanted)
    assert len(arm.motions) - count == (after == "retry"), "clips change with a new motion only"
    in_force = arm.motions[-1 if after == "retry" else 0]
    np.testing.assert_allclose(in_force.params.translational_error_clip, wanted.translational_clip_max_m)
    assert in_force.get_gains().stiffness[0, 0] == wanted.translational_stiffness_n_m


def test_a_law_that_is_set_while_nothing_runs_is_that_of_the_next_motion(connected, caplog):
    robot, arm = connected.robot, connected.arm
    robot.stop()
    count = len(arm.motions)
    with caplog.at_level(logging.WARNING):
        robot.set_compliance(rk.ComplianceParams(translational_ki=0.1, translational_stiffness_n_m=1234.0))
    assert "integral gains have no effect" in caplog.text
    assert len(arm.motions) == count
    robot.recover()
    assert arm.motions[-1].get_gains().stiffness[0, 0] == 1234.0


def test_the_spare_joint_is_drawn_from_the_first_command_on_also_under_new_clips(monkeypatch):
    posture_rad = [0.5, -0.3, 0.4, -2.0, 0.3, 1.9, 0.2]
    bench = Bench(monkeypatch, nullspace_posture_rad=posture_rad)
    with bench.robot as robot:
        (first,) = bench.arm.motions
        np.testing.assert_array_equal(first.params.nullspace_tasks[0].target, posture_rad)
        np.testing.assert_array_equal(first.params.nullspace_tasks[0].stiffness, np.zeros(7))
        robot.set_compliance(_TIGHT)
        second = bench.arm.motions[1]
        np.testing.assert_array_equal(second.params.nullspace_tasks[0].stiffness, np.zeros(7))
        np.testing.assert_array_equal(second.get_nullspace_gains().posture_stiffness, np.zeros(7))
        robot.send(beside(bench))
        np.testing.assert_allclose(second.get_nullspace_gains().posture_stiffness, [20.0] + [0.2] * 6)


def test_without_a_posture_the_spare_joint_stays_where_control_began(connected):
    task = connected.arm.motions[0].params.nullspace_tasks[0]
    np.testing.assert_array_equal(task.target, connected.arm.fields["q"])
    np.testing.assert_allclose(task.stiffness, [20.0] + [0.2] * 6)


def test_b11_a_motion_under_new_clips_begins_with_the_gains_that_are_in_force(connected):
    """Half a time constant after a change of gains; the arm's own time counts."""
    arm, robot = connected.arm, connected.robot
    arm.tick_s = 0.0
    robot.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1000.0))
    arm.time_s += 0.1
    robot.set_compliance(_TIGHT.model_copy(update={"translational_stiffness_n_m": 5000.0}))
    in_force = 1000.0 + 1000.0 * np.exp(-0.5)
    assert arm.motions[-1].params.stiffness[0, 0] == pytest.approx(in_force * 10.0 / 4.0, rel=0.01), (
        "the force of the old clip of 10 mm"
    )

    robot.set_compliance(
        _TIGHT.model_copy(
            update={
                "translational_stiffness_n_m": 5000.0,
                "translational_clip_min_m": np.full(3, -0.005),
                "translational_clip_max_m": np.full(3, 0.005),
            }
        )
    )
    assert arm.motions[-1].params.stiffness[0, 0] == pytest.approx(in_force * 10.0 / 4.0, rel=0.01), "it goes on there"


@pytest.mark.parametrize("is_set_while_it_runs", [False, True])
def test_r4_a_target_that_is_far_away_is_followed_on_the_leash(monkeypatch, is_set_while_it_runs):
    """Each time it is looked at; an arm that moves fast is drawn no farther.

    Its third joint moves the tool up, at 2.62 rad/s at most; 2000 N/m and 89 Ns/m.
    """
    wide = rk.ComplianceParams(translational_clip_min_m=[-0.5] * 3, translational_clip_max_m=[0.5] * 3)
    bench = Bench(monkeypatch, compliance=rk.ComplianceParams() if is_set_while_it_runs else wide)
    with bench.robot as robot:
        robot.set_compliance(wide)
        far = np.array((*(STANDING_M + 10 * _TOOL_M), 0.0, 0.0, 0.0, 1.0))
        robot.send(rk.PoseCommand(tcp_pose_in_base=far))
        assert tracked_m(bench)[2] - STANDING_M[2] == pytest.approx(89.0 / 2000.0 * 2.62 / 2, rel=0.02)
        assert not robot._tracking._publish(far), "it has to be asked again soon"
        bench.arm.fields["dq"] = np.full(7, 10.0)
        robot._tracking._target._step()
        np.testing.assert_allclose(tracked_m(bench), STANDING_M, atol=1e-9)
        bench.arm.fields["dq"] = np.zeros(7)
        assert robot._tracking._publish(beside(bench).tcp_pose_in_base)


def test_the_posture_is_drawn_as_the_new_law_asks_under_new_clips_too(connected):
    connected.robot.set_compliance(_TIGHT.model_copy(update={"nullspace_stiffness_nm_rad": 1.0}))
    second = connected.arm.motions[-1]
    np.testing.assert_allclose(second.params.nullspace_tasks[0].stiffness, [20.0] + [0.2] * 6)
    np.testing.assert_allclose(second.get_nullspace_gains().posture_stiffness, [100.0] + [1.0] * 6)


def test_a_motion_that_the_arm_refuses_leaves_the_target_with_the_one_that_runs(connected):
    robot, arm = connected.robot, connected.arm
    arm.troubles["move"] = franky.CommandException("command rejected")
    with pytest.raises(rk.DeviceFault, match="command rejected"):
        robot.set_compliance(_TIGHT)
    arm.troubles.clear()
    robot.send(beside(connected))
    np.testing.assert_allclose(tracked_m(connected, 0), STANDING_M + ASIDE_M)


def test_a_control_that_has_just_ended_costs_the_thread_of_the_target_nothing(connected):
    connected.arm.troubles["state"] = franky.NetworkException("UDP receive: Timeout")
    assert connected.robot._tracking._publish(np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)))
    np.testing.assert_allclose(tracked_m(connected), STANDING_M)
    connected.arm.troubles.clear()
