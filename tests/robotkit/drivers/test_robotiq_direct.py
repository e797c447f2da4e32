"""The Robotiq driver without a line between: what each position is in registers, and what each status means."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

import robotkit as rk
from robotkit.drivers import robotiq_line
from robotkit.drivers.robotiq import RobotiqGripper
from robotkit.drivers.robotiq_config import RobotiqConfig
from robotkit.registry import grippers
from tests.robotkit.drivers.test_robotiq_line import DirectLink, refuse
from tests.support.waiting import wait_for_error, wait_until


@pytest.fixture(autouse=True)
def quick_eyes(monkeypatch):
    """This controller sees what is written to it at once."""
    monkeypatch.setattr(robotiq_line, "_CLEARED_S", 0.002)


@pytest.fixture
def link():
    return DirectLink()


def gripper_on(link: DirectLink, **options: object) -> RobotiqGripper:
    built = grippers.make("robotiq", **{"poll_period_s": 0.001, "max_age_s": 30.0, "command_timeout_s": 10.0} | options)
    assert isinstance(built, RobotiqGripper)
    built._line._link = link
    return built


@pytest.fixture
def gripper(link) -> Iterator[RobotiqGripper]:
    with gripper_on(link) as built:
        link.written.clear()
        yield built


def rest(gripper: RobotiqGripper) -> rk.GripperState:
    wait_until(lambda: not gripper.get_state().is_moving)
    return gripper.get_state()


@pytest.mark.parametrize(("position", "raw"), [(1.0, 0), (0.0, 255), (0.25, 173), (0.75, 60), (0.999, 3), (0.001, 230)])
def test_the_ends_press_all_the_way_and_what_lies_between_is_measured_between_them(gripper, link, position, raw):
    """Open fingers show 3, closed ones 230."""
    gripper.move(position)
    state = rest(gripper)
    assert link.written == [[0x0900, raw, 255 << 8 | 150]]
    assert state.target_position == pytest.approx(position, abs=0.003)
    assert state.position == pytest.approx(position, abs=0.003)
    assert state.width_m == pytest.approx(0.085 * state.position)
    assert state.raw == min(max(raw, 3), 230)


def test_speed_and_force_are_those_of_the_options_in_every_command(link):
    with gripper_on(link, speed=20, force=30) as gripper:
        gripper.close()
        rest(gripper)
    assert [registers[2] for registers in link.written if registers[0]] == [20 << 8 | 30] * 2
    assert [registers[0] for registers in link.written] == [0, 0x0100, 0x0900]


@pytest.mark.parametrize("position", [-1e-9, 1.0 + 1e-9, float("nan"), float("inf")])
def test_a_position_that_there_is_not_is_refused(gripper, link, position):
    with pytest.raises(rk.InvalidCommand, match=r"not in \[0, 1\]"):
        gripper.move(position)
    assert link.written == []


def test_fingers_of_another_range_are_measured_in_it(link):
    link.model.position = 100.0
    with gripper_on(link, raw_open=50, raw_closed=100, width_max_m=0.14) as gripper:
        gripper.move(0.5)
        state = rest(gripper)
        assert (link.model.outputs[1], state.raw, state.position) == (75, 75.0, 0.5)
        assert state.width_m == pytest.approx(0.07)
        gripper.open()
        assert rest(gripper).position == 1.0, "and never more"
        gripper.close()
        assert rest(gripper).position == 0.0


def status(link: DirectLink, contact: int, requested: int, position: int, goes_to: bool = True) -> None:
    """Show this from now on, of a gripper that is activated."""
    registers = [(0x31 | goes_to << 3 | contact << 6) << 8, requested, position << 8]
    link.read = lambda: registers


@pytest.mark.parametrize(
    ("contact", "requested", "position", "goes_to", "is_moving", "is_grasping"),
    [
        (0, 255, 100, True, True, False),
        (0, 255, 100, False, False, False),
        (1, 0, 100, True, False, True),
        (2, 255, 100, True, False, True),
        (3, 100, 100, True, False, False),
    ],
)
def test_a_status_says_whether_the_fingers_move_and_hold(
    gripper, link, contact, requested, position, goes_to, is_moving, is_grasping
):
    status(link, contact, requested, position, goes_to)
    wait_until(lambda: gripper._poller.newest().inputs.position == position)
    state = gripper.get_state()
    assert (state.is_moving, state.is_grasping, state.raw) == (is_moving, is_grasping, position)
    assert state.target_position == pytest.approx(min(1.0, max(0.0, (230 - requested) / 227)))


def test_m12_a_target_is_moved_to_before_its_echo_and_nothing_is_held_meanwhile(gripper, link):
    status(link, contact=2, requested=255, position=100)
    wait_until(lambda: gripper.get_state().is_grasping)
    link.before_write = refuse
    gripper.move(1.0)
    state = gripper.get_state()
    assert (state.is_moving, state.is_grasping, state.target_position) == (True, False, 1.0)
    link.before_write, link.read = lambda: None, link.model.inputs


@pytest.mark.parametrize("asks", ["never", "before it is lost", "after it was lost"])
def test_a_lost_target_that_no_caller_was_told_of_is_logged(link, caplog, asks):
    gripper = gripper_on(link, command_timeout_s=0.05)
    gripper.connect()
    link.before_write = refuse
    gripper.close()
    if asks == "before it is lost":
        assert gripper.get_state().is_moving
    wait_until(lambda: gripper._line.lost is not None)
    if asks == "after it was lost":
        with pytest.raises(rk.DeviceFault, match=r"did not confirm it within 0\.05 s"):
            gripper.get_state()
    with caplog.at_level(logging.WARNING):
        gripper.disconnect()
    assert ("was not sent to 0.00: the gripper did not confirm it" in caplog.text) == (asks != "after it was lost")


def test_a_target_that_was_taken_is_not_logged(gripper, caplog):
    gripper.close()
    with caplog.at_level(logging.WARNING):
        gripper.disconnect()
        gripper.disconnect()
    assert caplog.text == ""


def test_a_second_connect_changes_nothing_and_a_connection_is_closed_once(gripper, link):
    gripper.connect()
    gripper.disconnect()
    wait_until(lambda: link.closed == 1)
    assert link.opened == 1
    for call in (gripper.get_state, gripper.activate, gripper.reset, gripper.open):
        with pytest.raises(rk.NotConnected):
            call()


def test_a_gripper_that_does_not_become_ready_is_let_go(link):
    link.model.blocked = True
    gripper = gripper_on(link, activation_timeout_s=0.05)
    with pytest.raises(rk.DeviceFault, match=r"0x0D.*activation did not end within 0\.05 s"):
        gripper.connect()
    assert not gripper.is_connected
    wait_until(lambda: link.closed == 1)


def test_a_reset_of_a_ready_gripper_opens_it_and_restarts_nothing(gripper, link):
    gripper.close()
    rest(gripper)
    gripper.reset()
    assert rest(gripper).position == 1.0
    assert [registers[0] for registers in link.written] == [0x0900] * 2
    gripper.activate()
    assert not gripper.get_state().is_moving


@pytest.mark.parametrize("call", ["activate", "reset"])
def test_a_fault_is_cleared_by_activation_and_by_reset(gripper, link, call):
    link.model.fault = 0x0E
    wait_for_error(gripper.get_state, rk.DeviceFault)
    with pytest.raises(rk.DeviceFault, match=r"0x0E, the motor current was too high; call reset\(\)"):
        gripper.close()
    getattr(gripper, call)()
    assert gripper.get_state().is_moving
    rest(gripper)
    assert [registers[0] for registers in link.written] == [0, 0x0100, *([0x0900] if call == "reset" else [])]


def test_a_gripper_that_another_master_activates_is_not_activated_again(link):
    with gripper_on(link, activate_on_connect=False) as gripper:
        link.read = lambda: [0x1100, 0, 3 << 8]
        wait_until(lambda: gripper._poller.newest().inputs.activation == 1)
        with pytest.raises(rk.DeviceFault, match="not activated"):
            gripper.get_state()
        gripper.activate()
        assert gripper.get_state().is_moving


@pytest.mark.parametrize(("fault", "is_restarted"), [(0x00, False), (0x05, False), (0x08, True), (0x0D, True)])
def test_an_activation_that_meets_a_fault_is_started_again_when_it_is_asked_for(link, monkeypatch, fault, is_restarted):
    with gripper_on(link, activate_on_connect=False) as gripper:
        link.read = lambda: [0x1100, fault << 8, 3 << 8]
        gripper.activate()
        wait_until(lambda: gripper._poller.newest().inputs.activation == 1)
        restarts: list[object] = []
        monkeypatch.setattr(gripper._line, "restart", lambda raw=None: restarts.append(raw))
        gripper.activate()
        assert restarts == [None] * is_restarted


def test_the_defaults_are_the_gripper_s_own_and_each_deadline_has_room_for_what_it_waits_for():
    config = RobotiqConfig()
    assert (config.transport, config.port, config.device_id) == ("tcp", 502, 9)
    assert (config.speed, config.force, config.width_max_m) == (255, 150, 0.085)
    assert (config.raw_open, config.raw_closed) == (3, 230)
    assert config.activate_on_connect
    assert config.poll_period_s < config.timeout_s < config.max_age_s <= config.command_timeout_s
    assert config.command_timeout_s <= 1.0 < 4.0 < config.activation_timeout_s


def test_a_state_is_as_old_as_its_reading(gripper):
    before_s = time.monotonic()
    wait_until(lambda: gripper.get_state().stamp_s > before_s)
    assert gripper.get_state().stamp_s <= time.monotonic()
