"""What a Robotiq gripper was told reaches it or is reported: busy answers, lost replies, another master, slow eyes."""

from __future__ import annotations

import logging
import time

import pytest

import robotkit as rk
from robotkit.registry import grippers
from tests.robotkit.drivers.test_robotiq import FAST, TRANSPORTS, gripper_on, wait_for_rest, wait_for_state
from tests.support.robotiq_emulator import RobotiqEmulator
from tests.support.waiting import wait_for_error, wait_until


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("trouble", ["busy_reads", "busy_writes"])
@pytest.mark.parametrize("count", [1, 3, 60])
def test_f3_a_busy_gripper_is_asked_again(transport, trouble, count):
    """Sixty refusals outlast the time that one answer may take: then the line is opened again, with the target."""
    with RobotiqEmulator(transport, **FAST) as emulator, gripper_on(emulator, timeout_s=0.2) as gripper:
        for _ in range(3 if count == 1 else 1):
            setattr(emulator, trouble, count)
            gripper.close()
            assert wait_for_rest(gripper).position == 0.0
            gripper.open()
            assert wait_for_rest(gripper).position == 1.0


def test_f3_a_target_survives_a_line_that_breaks_under_it():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        emulator.is_frozen = True
        gripper.close()
        emulator.unplug()
        emulator.is_frozen = False
        emulator.plug()
        assert (wait_for_rest(gripper).position, emulator.model.outputs[1]) == (0.0, 255)


def test_f3_a_reset_survives_a_line_that_breaks_under_it():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.model.fault = 0x0E
        wait_for_error(gripper.get_state, rk.DeviceFault)
        emulator.lost_writes = 1
        gripper.reset()
        assert wait_for_rest(gripper).position > 0.94


def test_f3_a_target_that_is_not_taken_in_time_is_never_sent_and_is_reported_until_the_next():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator, command_timeout_s=0.3) as gripper:
        writes = emulator.model.writes
        emulator.busy_writes = 10**6
        gripper.close()
        error = wait_for_error(gripper.get_state, rk.DeviceFault)
        assert "not sent to 0.00: the gripper did not confirm it within 0.3 s" in str(error)
        emulator.busy_writes = 0
        before_s = time.monotonic()
        with pytest.raises(rk.DeviceFault):
            gripper.get_state()
        wait_until(lambda: gripper._poller.newest().stamp_s > before_s)
        assert emulator.model.writes == writes
        gripper.move(0.5)
        assert wait_for_rest(gripper).target_position == pytest.approx(0.5, abs=0.01)


def test_f3_a_target_that_meets_a_fault_is_reported_as_that_and_not_sent_after_it():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        emulator.busy_reads = 10**6
        gripper.close()
        emulator.model.fault = 0x0E
        emulator.busy_reads = 0
        wait_for_error(gripper.get_state, rk.DeviceFault)
        gripper.activate()
        assert wait_for_rest(gripper).position > 0.94


def test_f3_a_target_is_sent_before_the_line_is_closed():
    with RobotiqEmulator(**FAST) as emulator:
        with gripper_on(emulator, poll_period_s=0.2) as gripper:
            gripper.close()
        assert emulator.model.received[1] == 255


def test_f3_a_target_that_cannot_be_sent_before_the_line_is_closed_is_logged(caplog):
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator, command_timeout_s=0.2) as gripper:
        emulator.is_frozen = True
        gripper.close()
        with caplog.at_level(logging.WARNING):
            gripper.disconnect()
        assert "was not sent to 0.00" in caplog.text


def test_p4_another_master_opens_and_the_next_close_is_sent():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.model.write(0, [0x0900, 0, 0xFFFF])
        wait_until(lambda: gripper.get_state().position == 1.0)
        opened = wait_for_rest(gripper)
        assert opened.target_position == 1.0
        gripper.close()
        assert wait_for_rest(gripper).position == 0.0


def test_p4_one_lost_reply_does_not_lose_the_target():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        emulator.lost_writes = 1
        gripper.close()
        assert wait_for_rest(gripper).position == 0.0


def test_p4_another_master_that_wins_does_not_keep_it_moving_for_ever():
    """What is reported is what the gripper does, not what it was told here."""
    with RobotiqEmulator(sample_s=0.05, **FAST) as emulator, gripper_on(emulator) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.model.write(0, [0x0100, 80, 0xFFFF])
        wait_until(lambda: gripper.get_state().target_position == pytest.approx(150 / 227))
        assert not gripper.get_state().is_moving


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_p5_a_reset_waits_until_the_controller_has_seen_it(transport):
    with RobotiqEmulator(transport, sample_s=0.05, **FAST) as emulator, gripper_on(emulator) as gripper:
        for _ in range(5):
            emulator.model.emergency_stop()
            assert "not activated" in str(wait_for_error(gripper.get_state, rk.DeviceFault))
            gripper.reset()
            assert wait_for_rest(gripper).position > 0.94


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_p5_a_controller_that_echoes_before_it_looks_is_given_the_time(transport):
    slow = RobotiqEmulator(transport, sample_s=0.05, echoes_at_once=True, **FAST)
    with slow as emulator, gripper_on(emulator) as gripper:
        for _ in range(5):
            emulator.model.emergency_stop()
            wait_for_error(gripper.get_state, rk.DeviceFault)
            gripper.reset()
            assert wait_for_rest(gripper).position > 0.94


def test_an_activation_under_way_is_not_started_again():
    with RobotiqEmulator(activation_s=0.3) as emulator, gripper_on(emulator, activate_on_connect=False) as gripper:
        gripper.activate()
        wait_until(lambda: gripper._poller.newest().inputs.activation == 1)
        writes = emulator.model.writes
        gripper.activate()
        wait_for_rest(gripper)
        assert emulator.model.writes == writes


def test_f3_an_activation_survives_a_line_and_a_supply_that_break_under_it():
    options = {"activate_on_connect": False, "activation_timeout_s": 60.0}
    with RobotiqEmulator(activation_s=0.5) as emulator, gripper_on(emulator, **options) as gripper:
        gripper.activate()
        wait_until(lambda: gripper._poller.newest().inputs.activation == 1)
        emulator.unplug()
        emulator.model.power_cycle()
        emulator.plug()
        assert wait_for_rest(gripper).position > 0.94


def test_m12_what_opens_does_not_grasp():
    with RobotiqEmulator(object_mm=30.0, **FAST) as emulator, gripper_on(emulator) as gripper:
        for _ in range(5):
            gripper.close()
            assert wait_for_rest(gripper).is_grasping
            emulator.is_frozen = True
            gripper.open()
            state = gripper.get_state()
            emulator.is_frozen = False
            assert (state.is_moving, state.is_grasping, state.target_position) == (True, False, 1.0)
            assert not wait_for_rest(gripper).is_grasping


def test_m12_a_second_connection_knows_nothing_of_the_first():
    with RobotiqEmulator(**FAST) as emulator:
        gripper = grippers.make("robotiq", **(emulator.options | {"timeout_s": 0.1, "command_timeout_s": 0.2}))
        with gripper:
            emulator.is_frozen = True
            gripper.close()
        emulator.is_frozen = False
        writes = emulator.model.writes
        with gripper:
            before_s = time.monotonic()
            wait_until(lambda: gripper._poller.newest().stamp_s > before_s)
            state = gripper.get_state()
            assert (state.is_moving, state.target_position, emulator.model.writes) == (False, 1.0, writes)


def test_m12_what_a_slow_controller_still_tells_of_the_grasp_before_does_not_count():
    slow = RobotiqEmulator(object_mm=30.0, sample_s=0.1, echoes_at_once=True, **FAST)
    with slow as emulator, gripper_on(emulator) as gripper:
        for _ in range(5):
            gripper.close()
            wait_for_state(gripper, lambda state: state.is_grasping)
            gripper.open()
            states: list[rk.GripperState] = []
            wait_for_state(gripper, lambda state, states=states: states.append(state) or state.position == 1.0)
            assert not any(state.is_grasping for state in states)
