"""Laws of what happens in which order when something fails or comes in between, over a body without laws of its own."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from robotkit.devices import machine as machine_module
from tests.support.recording_arm import ERRORS, InThread, fail_with, joint_command
from tests.support.waiting import wait_until


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_m4_an_arm_whose_faults_persist_stays_stopped_and_is_not_started(arm, error):
    arm.stop_for("a reason", "anna")
    arm.on["clear"] = fail_with(error)
    epoch = arm.machine.epoch
    with pytest.raises(type(error)):
        arm.recover()
    assert arm.calls == ["halt", "clear"]
    assert arm.machine.epoch == epoch
    with pytest.raises(rk.RobotStopped, match="a reason"):
        arm.send(joint_command(arm))
    del arm.on["clear"]
    arm.recover()
    assert arm.calls == ["halt", "clear", "clear", "start"]
    arm.send(joint_command(arm))


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_m4_an_arm_whose_control_does_not_start_stays_stopped(arm, error):
    arm.stop_for("a reason", "anna")
    arm.on["start"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.recover()
    assert arm.get_state().mode == "stopped"
    with pytest.raises(rk.RobotStopped):
        arm.send(joint_command(arm))
    assert arm.calls == ["halt", "clear", "start", "halt"], "what had begun to start is brought to rest"


def test_m4_the_latch_is_still_there_while_the_body_recovers(arm):
    seen = []
    arm.stop()
    for name in ("clear", "start"):
        arm.on[name] = lambda: seen.append(arm.get_state().mode)
    arm.recover()
    assert seen == ["stopped", "stopped"]
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_m5_a_stop_that_the_device_does_not_take_is_latched_all_the_same(arm, error):
    arm.on["halt"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.stop()
    with pytest.raises(rk.RobotStopped):
        arm.send(joint_command(arm))
    with pytest.raises(rk.RobotStopped):
        arm.move_to_joint_positions(arm.joints_rad)
    assert arm.calls == ["halt"]
    assert arm.get_state().mode == "stopped"


def test_m6_a_stop_waits_for_a_command_that_is_under_way_and_comes_after_it(arm, monkeypatch):
    monkeypatch.setattr(machine_module, "STOP_WAIT_S", 20.0)
    inside, go_on = threading.Event(), threading.Event()
    arm.on["follow"] = lambda: (inside.set(), go_on.wait(20.0))
    sender = InThread(lambda: arm.send(joint_command(arm)))
    assert inside.wait(20.0)
    second = InThread(lambda: arm.send(joint_command(arm)))
    stopper = InThread(arm.stop)
    wait_until(lambda: arm.machine.stop is not None)
    assert "halt" not in arm.calls
    go_on.set()
    assert sender.join() is None
    assert stopper.join() is None
    assert isinstance(second.join(), rk.RobotStopped), "whoever waited is refused"
    assert arm.calls.count("follow") == 1
    assert arm.calls[-1] == "halt"


CALLS = {
    "follow": lambda arm: arm.send(joint_command(arm)),
    "hold": lambda arm: arm.hold(),
    "travel": lambda arm: arm.move_to_joint_positions(arm.joints_rad),
    "compliance": lambda arm: arm.set_compliance(rk.ComplianceParams()),
}


@pytest.mark.parametrize("primitive", CALLS)
def test_m6_a_stop_goes_ahead_of_a_device_that_hangs_and_once_more_after_it(arm, hasty, primitive):
    inside, go_on = threading.Event(), threading.Event()
    arm.on[primitive] = lambda: (inside.set(), go_on.wait(20.0))
    caller = InThread(lambda: CALLS[primitive](arm))
    assert inside.wait(20.0)
    arm.stop()
    assert arm.calls == [primitive, "halt"], "the stop did not wait"
    go_on.set()
    error = caller.join()
    assert (type(error) is rk.MotionFailed) if primitive == "travel" else error is None
    after = ["halt", "halt"] if primitive == "travel" else ["halt"]  # when it has begun, and when it has ended
    assert arm.calls == [primitive, "halt", *after], "what began after the first halt is brought to rest, too"
    assert arm.get_state().mode == "stopped"


def test_m6_a_stop_goes_ahead_of_a_reset_of_the_world_that_hangs_and_once_more_after_it(arm, hasty):
    inside, go_on = threading.Event(), threading.Event()
    arm.on["hold"] = lambda: (inside.set(), go_on.wait(20.0))
    caller = InThread(arm.forget_target)
    assert inside.wait(20.0)
    arm.stop()
    assert arm.calls == ["hold", "halt"]
    go_on.set()
    assert caller.join() is None
    assert arm.calls == ["hold", "halt", "halt"]


@pytest.mark.parametrize("primitive", ["clear", "start"])
def test_a_stop_while_the_arm_recovers_wins(arm, hasty, primitive):
    arm.stop()
    arm.calls.clear()
    arm.on[primitive] = lambda: InThread(lambda: arm.stop_for("once more", "anna")).join()
    with pytest.raises(rk.RobotStopped, match="during the recovery"):
        arm.recover()
    halts = ["halt", *(["halt"] if primitive == "start" else []), "halt"]
    assert arm.calls == ["clear", *(["start"] if primitive == "start" else []), *halts]
    assert arm.get_state().mode == "stopped"
    arm.on.clear()
    arm.recover()
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize(
    ("come", "error", "words"),
    [
        (lambda arm: arm.stop(), rk.RobotStopped, "during the recovery"),
        (lambda arm: arm._latch(arm.machine.fault_of(("torn",))), rk.DeviceFault, "torn"),
    ],
    ids=["stop", "fault"],
)
def test_a_recovery_of_an_arm_that_was_well_says_what_came_meanwhile(arm, come, error, words):
    arm.on["hold"] = lambda: come(arm)
    with pytest.raises(error, match=words):
        arm.recover()
    assert arm.calls[-1] == "halt"


def test_nothing_comes_between_while_control_starts_after_a_recovery(arm, monkeypatch):
    monkeypatch.setattr(machine_module, "STOP_WAIT_S", 20.0)
    arm.stop()
    arm.calls.clear()
    leavers = []

    def disconnect_beside() -> None:
        gone = threading.Event()
        leavers.append(InThread(lambda: (arm.disconnect(), gone.set())))
        gone.wait(0.1)
        arm.calls.append("started")

    arm.on["start"] = disconnect_beside
    arm.recover()
    assert leavers[0].join() is None
    assert arm.calls == ["clear", "start", "started", "halt", "close"]


def test_m7_a_hold_reaches_no_arm_that_is_stopped_or_in_a_fault(arm):
    arm.stop()
    arm.calls.clear()
    arm.hold()
    assert arm.calls == []
    assert arm.get_state().mode == "stopped"
    arm.recover()
    arm.fault = arm.machine.fault_of(("torn",))
    arm.get_state()
    arm.calls.clear()
    arm.hold()
    assert arm.calls == []
    assert arm.get_state().mode == "fault"


@pytest.mark.parametrize("end", ["stop", "fault", "disconnect"])
def test_m7_a_reset_of_the_world_reaches_no_arm_that_is_stopped_in_a_fault_or_closed(arm, end):
    if end == "fault":
        arm._latch(arm.machine.fault_of(("torn",)))
    else:
        getattr(arm, end)()
    epoch = arm.machine.epoch
    arm.calls.clear()
    arm.forget_target()
    assert arm.calls == []
    assert arm.machine.epoch > epoch, "what was commanded before says nothing all the same"


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_an_arm_that_does_not_hold_is_not_said_to_hold(arm, error):
    arm.send(joint_command(arm))
    arm.on["hold"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.hold()
    assert arm.get_state().mode == "tracking", "a watchdog tries again, or stops it"


def test_a_command_that_the_device_refuses_changes_nothing(arm):
    arm.on["follow"] = fail_with(rk.CommandRejected("not now"))
    epoch = arm.machine.epoch
    with pytest.raises(rk.CommandRejected):
        arm.send(joint_command(arm))
    assert arm.get_state().mode == "holding"
    assert arm.machine.epoch == epoch


def test_m15_a_law_that_the_device_refuses_is_not_the_one_in_force(arm):
    law = rk.ComplianceParams(translational_stiffness_n_m=900.0)
    arm.set_compliance(law)
    arm.on["compliance"] = fail_with(rk.DeviceFault("not now"))
    with pytest.raises(rk.DeviceFault):
        arm.set_compliance(rk.ComplianceParams())
    assert arm.compliance is law


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_a_joint_motion_that_fails_leaves_an_arm_that_holds(arm, error):
    arm.on["underway"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.move_to_joint_positions(arm.joints_rad)
    assert arm.calls == ["travel", "hold"]
    assert arm.get_state().mode == "holding"
    arm.on.clear()
    arm.send(joint_command(arm))


def test_a_fault_that_is_found_at_the_end_of_a_joint_motion_is_no_hold(arm):
    def tear() -> None:
        arm.fault = arm.machine.fault_of(("torn",))

    arm.on["underway"] = tear
    with pytest.raises(rk.DeviceFault, match="torn"):
        arm.move_to_joint_positions(arm.joints_rad)
    assert arm.calls == ["travel", "halt"]
    assert arm.get_state().faults == ("torn",)


ENDINGS = {
    "stop": (lambda arm: arm.stop_for("the door is open", "anna"), "the door is open", ["travel", "halt", "halt"]),
    "hold": (lambda arm: arm.hold(), r"hold\(\)", ["travel", "hold"]),
    "reset": (lambda arm: arm.forget_target(), "the world was reset", ["travel", "hold"]),
    "disconnect": (lambda arm: arm.disconnect(), r"disconnect\(\)", ["travel", "halt", "close"]),
    "fault": (lambda arm: arm._latch(arm.machine.fault_of(("torn",))), "torn", ["travel", "halt", "halt"]),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_ends_a_joint_motion_ends_it_once_and_says_why(arm, ending):
    call, why, calls = ENDINGS[ending]
    arm.on["underway"] = lambda: call(arm)
    with pytest.raises(rk.MotionFailed, match=why):
        arm.move_to_joint_positions(arm.joints_rad)
    assert arm.calls == calls


def test_a_joint_motion_that_was_ended_begins_no_more(arm):
    """The stop comes when the motion has its right to move, and has not begun to."""
    begin = arm.machine.begin_travel

    def begin_and_stop(rate_max_hz):
        travel = begin(rate_max_hz)
        arm.stop()
        return travel

    arm.machine.begin_travel = begin_and_stop
    with pytest.raises(rk.MotionFailed):
        arm.move_to_joint_positions(arm.joints_rad)
    assert "travel" not in arm.calls


def test_a_later_joint_motion_is_not_ended_by_the_end_of_an_earlier_one(arm):
    first = arm.machine.begin_travel()
    arm.hold()
    second = arm.machine.begin_travel()
    assert not arm.machine.end_travel(first)
    assert not second.is_over
    assert arm.get_state().mode == "travelling"
    assert arm.machine.end_travel(second)
