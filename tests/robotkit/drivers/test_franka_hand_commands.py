"""The commands of a Franka Hand one by one: who waits for whom, what is told, and what each packet shows."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import franky
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaHand, hand_commands
from robotkit.drivers.franka import hand as hands
from robotkit.drivers.franka.hand_commands import HandCommands, Wish, _Call
from tests.support.franka_bench import FakeHand
from tests.support.waiting import is_fine, wait_for_error, wait_until


@pytest.fixture
def fingers():
    return FakeHand()


@pytest.fixture
def hand(fingers, monkeypatch) -> Iterator[FrankaHand]:
    monkeypatch.setattr(hand_commands, "_STOP_S", 0.05)
    monkeypatch.setattr(hand_commands, "_END_S", 0.05)
    monkeypatch.setattr(hand_commands, "_WISH_MAX_AGE_S", 0.1)
    monkeypatch.setattr(hands, "opened_within", lambda deadline_s, make, what: fingers)
    built = rk.make_gripper("franka_hand", host="box", speed_m_s=0.05, force_n=30.0)
    assert isinstance(built, FrankaHand)
    with built:
        yield built
        fingers.end()
    fingers.is_deaf = False


def begun(fingers: FakeHand, count: int = 1) -> None:
    wait_until(lambda: len(fingers.calls) >= count)


def rest(hand: FrankaHand) -> rk.GripperState:
    wait_until(lambda: not hand.get_state().is_moving)
    return hand.get_state()


def test_connecting_moves_nothing_and_tells_where_the_fingers_are(hand, fingers):
    state = hand.get_state()
    assert (state.position, state.target_position, state.width_m, state.raw) == (0.5, 0.5, 0.04, 0.04)
    assert (state.is_moving, state.is_grasping) == (False, False)
    assert fingers.calls == []


@pytest.mark.parametrize(
    ("position", "call"), [(1.0, ("move", 0.08, 0.05)), (0.25, ("move", 0.02, 0.05)),
                           (0.0, ("grasp", 0.0, 0.05, 30.0, 1.0, 1.0))],
)  # fmt: skip
def test_a_position_is_a_move_and_closing_a_grasp_that_any_width_satisfies(hand, fingers, position, call):
    hand.move(position)
    begun(fingers)
    assert fingers.calls == [call]
    assert hand.get_state().is_moving
    assert hand.get_state().target_position == position
    named = [thread for thread in threading.enumerate() if thread.name.startswith("franka hand")]
    assert len(named) >= 3
    assert all(thread.daemon for thread in named), "a hand that hangs keeps no program from ending"
    fingers.end()
    rest(hand)


@pytest.mark.parametrize("position", [-1e-9, 1.0 + 1e-9, float("nan"), float("inf")])
def test_a_position_that_there_is_not_is_refused(hand, fingers, position):
    with pytest.raises(rk.InvalidCommand, match=r"not in \[0, 1\]"):
        hand.move(position)
    assert not hand.get_state().is_moving
    assert fingers.calls == []


def test_the_outcome_is_shown_by_a_packet_that_was_asked_for_after_the_end(hand, fingers):
    """Those before still tell of the grasp before."""
    fingers.is_grasped = True
    hand.close()
    begun(fingers)
    assert not hand.get_state().is_grasping
    fingers.sends.clear()
    wait_until(lambda: fingers.packets_wait)
    fingers.end()
    wait_until(lambda: not hand._commands.is_busy)
    state = hand.get_state()
    assert (state.is_moving, state.is_grasping) == (True, False)
    fingers.sends.set()
    assert rest(hand).is_grasping


@pytest.mark.parametrize(("width_m", "is_held"), [(0.0, False), (0.0004, False), (0.0006, True), (0.03, True)])
def test_fingers_that_touch_hold_nothing(hand, fingers, width_m, is_held):
    fingers.width_m, fingers.is_grasped = width_m, True
    wait_until(lambda: hand.get_state().raw == width_m)
    assert hand.get_state().is_grasping == is_held
    fingers.is_grasped = False
    wait_until(lambda: not hand._poller.newest().is_grasped)
    assert not hand.get_state().is_grasping


@pytest.mark.parametrize(("width_m", "position"), [(-0.001, 0.0), (0.09, 1.0)])
def test_a_position_is_a_share_of_the_width(hand, fingers, width_m, position):
    fingers.width_m = width_m
    wait_until(lambda: hand.get_state().raw == width_m)
    state = hand.get_state()
    assert (state.position, state.width_m) == (position, width_m)
    assert state.target_position <= 1.0


def test_p3_the_newest_command_stops_the_one_before_and_those_between_are_never_given(hand, fingers):
    hand.close()
    begun(fingers)
    fingers.answers_late = True
    hand.move(0.5)
    hand.open()
    begun(fingers, 2)
    assert fingers.calls[1] == ("stop",)
    hand.move(0.75)
    fingers.answers_late = False
    fingers.end()
    wait_until(lambda: fingers.calls[-1] == ("move", pytest.approx(0.06), 0.05))
    assert ("move", 0.04, 0.05) not in fingers.calls
    fingers.end()
    rest(hand)


def test_p3_a_stop_that_overtakes_its_command_is_sent_again_and_in_the_end_the_command_is_left(hand, fingers, caplog):
    hand.close()
    begun(fingers)
    fingers.answers_late = True
    hand.open()
    wait_until(lambda: fingers.calls[-1][0] == "move")
    assert fingers.calls[1:-1] == [("stop",)] * 3
    assert "never answered the command to close, which was stopped" in caplog.text
    fingers.end()
    assert not rest(hand).is_grasping


def test_p3_a_hand_that_leaves_too_much_unanswered_is_told_and_takes_no_more(hand, fingers, monkeypatch):
    monkeypatch.setattr(hand_commands, "_UNANSWERED_MAX", 1)
    hand.close()
    begun(fingers)
    fingers.answers_late = True
    hand.open()
    wait_until(lambda: fingers.calls[-1][0] == "move")
    with pytest.raises(rk.DeviceFault, match=r"not answered 1 commands.*disconnect\(\)"):
        hand.close()
    hand.disconnect()
    fingers.end()
    hand.connect()
    hand.close()


def test_p3_what_cannot_be_given_for_long_is_reported_once_and_not_given_later(hand, fingers):
    hand.close()
    begun(fingers)
    fingers.is_deaf = True
    hand.open()
    error = wait_for_error(hand.get_state, rk.DeviceFault)
    assert "command to go to 0.080 m was accepted, but not carried out: the hand did not take it for 0.1 s" in str(
        error
    )
    assert "Look at the fingers" in str(error)
    fingers.is_deaf = False
    fingers.end()
    wait_until(lambda: not hand._commands.is_busy)
    with pytest.raises(rk.DeviceFault):
        hand.get_state()
    assert fingers.calls[-1] == ("stop",)
    hand.open()
    assert is_fine(hand.get_state, rk.DeviceFault)
    wait_until(lambda: fingers.calls[-1][0] == "move")
    fingers.end()
    rest(hand)


def test_p3_each_stop_without_an_answer_counts(hand, fingers, monkeypatch):
    monkeypatch.setattr(hand_commands, "_UNANSWERED_MAX", 2)
    hand.close()
    begun(fingers)
    fingers.is_deaf = True
    hand.open()
    wait_for_error(hand.get_state, rk.DeviceFault)
    with pytest.raises(rk.DeviceFault, match="has not answered"):
        hand.close()
    fingers.is_deaf = False


def test_an_unhomed_hand_is_homed_first_and_a_homing_is_not_stopped(hand, fingers):
    fingers.width_max_m = 0.005
    wait_until(lambda: not hand._poller.newest().is_homed)
    with pytest.raises(rk.DeviceFault, match=r"not homed since power-up.*activate\(\) or reset\(\)"):
        hand.open()
    assert fingers.calls == []
    hand.activate()
    begun(fingers)
    hand.activate()
    hand.reset()
    assert hand.get_state().is_moving
    assert fingers.calls == [("homing",)]
    fingers.width_max_m = 0.08
    fingers.end()
    begun(fingers, 2)
    assert fingers.calls == [("homing",), ("move", 0.08, 0.05)]
    fingers.end()
    rest(hand)
    hand.activate()
    assert len(fingers.calls) == 2, "a hand that is homed is not homed again"


def test_a_homing_that_fails_is_reported_and_a_move_that_meets_something_is_not(hand, fingers):
    fingers.troubles["move"] = franky.CommandException("command aborted")
    hand.open()
    begun(fingers)
    fingers.end()
    rest(hand)
    fingers.width_max_m = 0.0
    fingers.troubles["homing"] = franky.CommandException("homing failed.\nsecond line")
    wait_until(lambda: not hand._poller.newest().is_homed)
    hand.activate()
    begun(fingers, 2)
    fingers.end()
    error = wait_for_error(hand.get_state, rk.DeviceFault)
    assert "command to home was accepted, but not carried out: homing failed. Look" in str(error)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (franky.NetworkException("TCP: gone"), "the connection was lost while it was under way"),
        (RuntimeError("Net Exception"), "Net Exception"),
        (franky.GripperException("busy"), "busy"),
        (SystemExit("out of order"), "out of order"),
    ],
)
def test_f3_a_command_that_fails_otherwise_than_the_fingers_do_is_reported(hand, fingers, trouble, words):
    fingers.troubles["grasp"] = trouble
    hand.close()
    begun(fingers)
    fingers.end()
    error = wait_for_error(hand.get_state, rk.DeviceFault)
    assert f"command to close was accepted, but not carried out: {words}" in str(error)
    assert not hand._commands.is_busy


def test_f3_m11_what_a_cut_took_is_reported_and_not_stopped_over_the_next_connection(hand, fingers):
    hand.close()
    begun(fingers)
    fingers.is_gone = True
    error = wait_for_error(hand.get_state, rk.DeviceFault)
    assert "command to close was accepted, but not carried out: the connection was lost while it was" in str(error)
    fingers.is_gone = False
    wait_until(lambda: hand._commands._hand is not None)
    hand.open()
    begun(fingers, 2)
    assert [call[0] for call in fingers.calls] == ["grasp", "move"]
    fingers.end()
    rest(hand)


def test_p3_how_a_command_that_was_stopped_ends_is_no_failure_of_the_one_that_stopped_it(hand, fingers):
    fingers.troubles["grasp"] = RuntimeError("aborted in an odd way")
    hand.close()
    begun(fingers)
    hand.open()
    wait_until(lambda: fingers.calls[-1][0] == "move")
    hand.get_state()
    fingers.end()
    rest(hand)


def test_a_connection_is_let_go_when_its_last_call_has_returned():
    gate, seen = threading.Event(), []
    hand = FakeHand()
    known = weakref.ref(hand)
    call = _Call(Wish("wait", lambda _: gate.wait(10.0)), hand, lambda _: seen.append(known()))
    del hand
    gate.set()
    assert call.done.wait(10.0)
    assert seen == [None]


def test_m12_a_second_connection_knows_nothing_of_the_first(hand, fingers):
    hand.close()
    begun(fingers)
    hand.move(0.75)
    hand.disconnect()
    with pytest.raises(rk.NotConnected):
        hand.get_state()
    fingers.end()
    fingers.calls.clear()
    hand.connect()
    hand.connect()
    assert rest(hand).target_position == 0.5
    assert fingers.calls == []
    hand.open()
    begun(fingers)
    assert fingers.calls == [("move", 0.08, 0.05)]


def test_a_hand_that_sends_nothing_is_told_with_a_way_out(fingers, monkeypatch):
    monkeypatch.setattr(hands, "opened_within", lambda deadline_s, make, what: fingers)
    line = hands._Line(FrankaHand.Config(host="box"), rk.CellContext(), HandCommands())
    line.open()
    assert line.poll().width_m == 0.04
    fingers.is_gone = True
    with pytest.raises(rk.ConnectionFailed, match=r"reading the Franka hand at box: .*Timeout\. Check power"):
        line.poll()


@pytest.fixture
def commands(monkeypatch):
    """Without a thread that gives them."""
    return HandCommands()


def test_f3_a_wish_that_a_cut_took_before_it_began_is_reported(commands, caplog):
    commands.submit(Wish("close", lambda hand: None))
    assert commands.is_busy
    commands.disconnected()
    assert "close was accepted, but not carried out: the connection was lost before it began" in commands.failure
    assert f"Franka hand: {commands.failure}" in caplog.text
    assert not commands.is_busy
    commands.connected(object())
    commands.submit(Wish("home", lambda hand: None, is_homing=True))
    assert commands.failure is None
    assert commands.is_homing
    commands.disconnected()
    assert "home was accepted" in commands.failure
    assert not commands.is_homing


def test_f3_a_wish_is_given_over_no_other_connection_than_the_one_that_made_room(commands):
    calls: list[object] = []
    wish = Wish("close", calls.append)
    commands.connected("the new one")
    commands.submit(wish)
    assert commands._give(wish, "the old one")
    assert commands._call is None
    assert commands._give(wish, "the new one")
    assert commands._call.done.wait(10.0)
    assert calls == ["the new one"]


def test_f3_how_a_command_of_an_earlier_connection_ends_is_no_failure_of_the_newest():
    begun, goes_on = threading.Event(), threading.Event()

    def fail(hand: FakeHand) -> None:
        begun.set()
        goes_on.wait(20.0)
        raise RuntimeError("the socket was closed")

    commands = HandCommands()
    commands.start()
    try:
        commands.connected(FakeHand())
        commands.submit(Wish("open", fail))
        assert begun.wait(20.0)
        with commands._changed:  # which is held until the call, that has begun, is noted
            old = commands._call
        commands.disconnected()
        assert commands.failure is not None
        commands.connected(FakeHand())
        commands.submit(Wish("close", lambda hand: None))
        wait_until(lambda: not commands.is_busy)
        goes_on.set()
        assert old.done.wait(20.0)
        assert commands.failure is None
    finally:
        goes_on.set()
        commands.stop()
