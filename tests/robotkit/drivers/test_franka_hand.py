"""The Franka Hand: commands that overtake each other, a hand that hangs, one that was not homed, and what it holds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaHand
from tests.support.franky_sim import FrankaSimulator
from tests.support.waiting import is_fine, wait_for_error, wait_until


@pytest.fixture(scope="module")
def simulator() -> Iterator[FrankaSimulator]:
    with FrankaSimulator() as built:
        yield built


@pytest.fixture(params=[True, False], ids=["answers-stopped-commands", "never-answers-them"])
def hand(request: pytest.FixtureRequest) -> Iterator[FrankaHand]:
    """An open hand of its own simulator: a call without an answer keeps its connection for ever."""
    with FrankaSimulator() as own:
        own.inject(hand_aborts=request.param)
        with opened(own) as built:
            yield built


@pytest.fixture
def willing(simulator: FrankaSimulator) -> Iterator[FrankaHand]:
    """An open hand that answers everything."""
    with opened(simulator) as built:
        yield built
    simulator.inject(object_width_m=0.0)


def opened(simulator: FrankaSimulator) -> FrankaHand:
    hand = rk.make_gripper("franka_hand", host=simulator.host)
    assert isinstance(hand, FrankaHand)
    hand.connect()
    hand.reset()
    wait_until(lambda: hand.get_state().position > 0.95 and not hand.get_state().is_moving, deadline_s=20.0)
    return hand


def test_p3_a_close_that_is_taken_back_after_a_moment_opens_the_fingers(hand):
    hand.close()
    wait_until(lambda: hand.get_state().position < 0.9)
    hand.open()
    assert hand.get_state().is_moving
    wait_until(lambda: hand.get_state().position > 0.95, deadline_s=15.0)
    assert hand.get_state().target_position == 1.0


def test_p3_toggling_faster_than_the_fingers_move_neither_blocks_the_measurement_nor_raises(hand):
    stamps_s = []
    for index in range(16):
        (hand.open if index % 2 else hand.close)()
        end_s = time.monotonic() + 0.2
        while time.monotonic() < end_s:
            stamps_s.append(hand.get_state().stamp_s)
            time.sleep(0.01)
    assert max(later - earlier for earlier, later in itertools.pairwise(stamps_s)) < 0.5
    wait_until(lambda: hand.get_state().position > 0.95, deadline_s=20.0)


def test_p3_a_hand_that_hears_no_command_is_measured_and_said_to_hang(willing, simulator):
    simulator.inject(hand_is_deaf=True)
    try:
        willing.close()
        wait_until(lambda: willing._commands._next() is None)  # one that has not begun would be forgotten
        willing.open()
        wait_for_error(willing.get_state, rk.DeviceFault, deadline_s=60.0)
        with pytest.raises(rk.DeviceFault, match=r"go to 0.080 m was accepted, but not carried out.*hangs"):
            willing.get_state()
    finally:
        simulator.inject(hand_is_deaf=False)
    willing.open()
    wait_until(lambda: is_fine(willing.get_state, rk.DeviceError), deadline_s=60.0)
    wait_until(lambda: willing.get_state().position > 0.95, deadline_s=60.0)


def test_c_an_unhomed_hand_refuses_moves_and_says_what_to_do(simulator):
    simulator.inject(hand_forgets_homing=True)
    with rk.make_gripper("franka_hand", host=simulator.host) as hand:
        before = simulator.inject()["hand_commands"]
        for move in (hand.open, hand.close, lambda: hand.move(0.5)):
            with pytest.raises(rk.DeviceFault, match=r"not homed.*activate\(\) or reset\(\)"):
                move()
        assert simulator.inject()["hand_commands"] == before
        assert not hand.get_state().is_moving
        hand.activate()
        assert hand.get_state().is_moving
        hand.close()  # waits for the homing
        wait_until(lambda: not hand.get_state().is_moving, deadline_s=20.0)
        assert hand.get_state().position < 0.02


def test_c_reset_homes_a_hand_that_was_not_and_opens_it(simulator):
    simulator.inject(hand_forgets_homing=True)
    with rk.make_gripper("franka_hand", host=simulator.host) as hand:
        hand.reset()
        wait_until(lambda: not hand.get_state().is_moving, deadline_s=20.0)
        assert hand.get_state().position > 0.95
        hand.close()
        wait_until(lambda: not hand.get_state().is_moving, deadline_s=20.0)


@pytest.mark.parametrize(("width_m", "is_held"), [(0.0016, True), (0.03, True), (0.0, False)])
def test_c_what_is_held_is_what_the_hand_says(willing, simulator, width_m, is_held):
    """A circuit board is 1.6 mm thick."""
    simulator.inject(object_width_m=width_m)
    assert not willing.get_state().is_grasping
    willing.close()
    seen = []
    wait_until(lambda: (seen.append(willing.get_state()), not seen[-1].is_moving)[1], deadline_s=15.0)
    assert not any(state.is_grasping for state in seen if state.is_moving)
    assert willing.get_state().is_grasping == is_held
    assert willing.get_state().raw == pytest.approx(width_m, abs=5e-4)


def is_answering(hand: FrankaHand) -> bool:
    """True when packets come again, whatever they say."""
    try:
        hand.get_state()
    except rk.StaleState:
        return False
    except rk.DeviceFault:
        return True
    return True


def test_f3_m11_a_command_that_a_cut_took_is_reported_and_not_carried_out_later(willing, simulator):
    willing.close()
    wait_until(lambda: willing.get_state().position < 0.9)
    simulator.inject(hand_is_plugged=False)
    wait_until(lambda: not is_answering(willing))
    with pytest.raises(rk.StaleState):
        willing.open()  # nobody is there to take it, so it is not accepted
    heard, width_m = simulator.inject()["hand_commands"], simulator.inject()["hand_width_m"]
    simulator.inject(hand_is_plugged=True)
    wait_until(lambda: is_answering(willing))
    error = wait_for_error(lambda: is_fine(willing.get_state, rk.StaleState), rk.DeviceFault)
    assert "command to close was accepted, but not carried out: the connection" in str(error)
    time.sleep(0.3)  # time in which it might move
    answer = simulator.inject()
    assert answer["hand_commands"] == heard
    assert answer["hand_width_m"] == pytest.approx(width_m, abs=0.085)
    willing.open()
    wait_until(lambda: willing.get_state().position > 0.95, deadline_s=15.0)
    assert simulator.inject()["hand_commands"] == heard + 1
