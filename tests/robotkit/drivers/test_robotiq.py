"""The Robotiq driver against its emulator: grasps, faults, and a line that breaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import robotkit as rk
from robotkit.drivers.robotiq import RobotiqGripper
from robotkit.registry import grippers
from tests.support.robotiq_emulator import PATIENT, RobotiqEmulator
from tests.support.waiting import is_fine, wait_for_error, wait_until

TRANSPORTS = ("tcp", "rtu", "rtu-over-tcp")
BRISK = {"max_age_s": 0.5, "timeout_s": 0.1}
"""For a line that breaks."""
FAST = {"speed_mm_s": 600.0, "activation_s": 0.05}


@contextmanager
def gripper_on(emulator: RobotiqEmulator, **options: object) -> Iterator[RobotiqGripper]:
    with grippers.make("robotiq", **(emulator.options | PATIENT | options)) as built:
        yield built


def wait_for_rest(gripper: RobotiqGripper) -> rk.GripperState:
    return wait_for_state(gripper, lambda state: not state.is_moving)


def wait_for_state(gripper: RobotiqGripper, fits: Callable[[rk.GripperState], bool]) -> rk.GripperState:
    """The first state that fits; a line that is just being opened again has none."""
    found: list[rk.GripperState] = []

    def is_found() -> bool:
        with contextlib.suppress(rk.StaleState):
            found[:] = [gripper.get_state()]
        return bool(found) and fits(found[0])

    wait_until(is_found)
    return found[0]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_grasp_is_felt_and_measured(transport):
    with RobotiqEmulator(transport, object_mm=30.0, **FAST) as emulator, gripper_on(emulator) as gripper:
        assert gripper.get_state().raw == 3.0
        gripper.close()
        held = wait_for_rest(gripper)
        assert held.is_grasping
        assert held.raw == 153.0
        assert held.width_m == pytest.approx(0.030, abs=0.002)
        gripper.open()
        assert not wait_for_rest(gripper).is_grasping


def test_closing_on_air_is_no_grasp():
    with RobotiqEmulator() as emulator, gripper_on(emulator) as gripper:
        gripper.close()
        closed = wait_for_rest(gripper)
        assert (closed.is_grasping, closed.position, closed.raw) == (False, 0.0, 230.0)


def test_a_ready_gripper_is_connected_without_a_motion():
    with RobotiqEmulator(**FAST) as emulator:
        with gripper_on(emulator) as gripper:
            gripper.move(0.5)
            position = wait_for_rest(gripper).position
        writes = emulator.model.writes
        with gripper_on(emulator) as gripper:
            assert gripper.get_state().position == position
            assert not gripper.get_state().is_moving
            gripper.activate()
            assert emulator.model.writes == writes


def test_without_activation_nothing_moves_until_it_is_asked_for():
    with RobotiqEmulator() as emulator, gripper_on(emulator, activate_on_connect=False) as gripper:
        with pytest.raises(rk.DeviceFault, match="not activated"):
            gripper.get_state()
        with pytest.raises(rk.DeviceFault, match=r"reset\(\)"):
            gripper.close()
        assert emulator.model.writes == 0
        gripper.activate()
        assert gripper.get_state().is_moving
        wait_for_rest(gripper)


def test_blocked_fingers_fail_the_activation_within_its_deadline():
    with RobotiqEmulator() as emulator:
        emulator.model.blocked = True
        with pytest.raises(rk.DeviceFault, match=r"0x0D.*within 0.5 s"), gripper_on(emulator, activation_timeout_s=0.5):
            pass


def test_a_fault_is_told_in_words_and_cleared_by_reset():
    with RobotiqEmulator(**FAST) as emulator, gripper_on(emulator) as gripper:
        gripper.move(0.3)
        wait_for_rest(gripper)
        emulator.model.fault = 0x0E
        error = wait_for_error(gripper.get_state, rk.DeviceFault)
        assert "current was too high" in str(error)
        gripper.reset()
        assert wait_for_rest(gripper).position > 0.94


def test_ends_that_are_swapped_are_refused():
    with pytest.raises(rk.InvalidConfiguration, match="must be smaller than raw_closed"):
        grippers.make("robotiq", raw_open=230, raw_closed=3)


def test_nobody_there():
    with RobotiqEmulator() as emulator:
        options = emulator.options
    with (
        pytest.raises(rk.ConnectionFailed, match=f"{options['port']}.*check power"),
        grippers.make("robotiq", **options),
    ):
        pass
    with (
        pytest.raises(rk.ConnectionFailed, match="no-such-port"),
        grippers.make("robotiq", transport="rtu", address="/dev/no-such-port"),
    ):
        pass


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_line_without_answers_is_stale_and_heals_by_itself(transport):
    with RobotiqEmulator(transport, object_mm=30.0, **FAST) as emulator, gripper_on(emulator, **BRISK) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.is_frozen = True
        error = wait_for_error(gripper.get_state, rk.StaleState)
        assert "(allowed: 0.5 s)" in str(error)
        assert "check its cable" in str(error)
        emulator.is_frozen = False
        wait_for_state(gripper, lambda state: state.is_grasping)


def test_commands_do_not_wait_for_a_frozen_line():
    with RobotiqEmulator() as emulator, gripper_on(emulator, timeout_s=2.0, command_timeout_s=0.1) as gripper:
        emulator.is_frozen = True
        writes = emulator.model.writes
        gripper.close()
        assert gripper.get_state().is_moving
        assert emulator.model.writes == writes, "the line is still frozen"


def test_unplugged_in_a_grasp_and_back_with_power_it_goes_on_holding():
    with RobotiqEmulator(object_mm=30.0, **FAST) as emulator, gripper_on(emulator, **BRISK) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.unplug()
        wait_for_error(gripper.get_state, rk.StaleState)
        with pytest.raises(rk.StaleState):
            gripper.open()
        writes = emulator.model.writes
        emulator.plug()
        wait_for_state(gripper, lambda state: state.is_grasping)
        assert emulator.model.writes == writes, "what was asked while it was away must not move it now"


def test_unplugged_in_a_grasp_and_back_without_power_it_waits_for_reset():
    with RobotiqEmulator(object_mm=30.0, **FAST) as emulator, gripper_on(emulator, **BRISK) as gripper:
        gripper.close()
        wait_for_rest(gripper)
        emulator.unplug()
        wait_for_error(gripper.get_state, rk.StaleState)
        emulator.model.power_cycle()
        emulator.plug()
        fault = wait_for_error(lambda: is_fine(gripper.get_state, rk.StaleState), rk.DeviceFault)
        assert "not activated" in str(fault)
        gripper.reset()
        assert wait_for_rest(gripper).position > 0.94
        gripper.close()
        assert wait_for_rest(gripper).is_grasping
