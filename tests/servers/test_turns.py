"""Commands act one at a time, few wait, and none acts for a caller that is gone; every interleaving is forced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

import robotkit as rk
from servers import turns as turns_room
from servers.turns import QUEUE_LENGTH, QUEUE_WAIT_S, Caller, Turns
from tests.support.waiting import wait_until


class _Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class _Client(threading.Thread):
    """One command in a thread: acts until it is told to end; keeps what was raised instead."""

    def __init__(self, turns: Turns, caller: Caller | None = None, client: str = "a", is_motion: bool = False) -> None:
        super().__init__(daemon=True)
        self.turns, self.caller, self.client, self.is_motion = turns, caller or Caller(), client, is_motion
        self.acts, self.may_end = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.turns.turn(self.client, self.caller, self.is_motion):
                self.acts.set()
                assert self.may_end.wait(20.0)
        except rk.RobotkitError as error:
            self.error = error

    def ended(self) -> Exception | None:
        self.join(20.0)
        assert not self.is_alive()
        return self.error


@pytest.fixture
def turns() -> Turns:
    return Turns()


@contextmanager
def acting(turns: Turns, **options: object) -> Iterator[_Client]:
    client = _Client(turns, **options)
    assert client.acts.wait(20.0)
    try:
        yield client
    finally:
        client.may_end.set()
        client.join(20.0)


def _waiting(turns: Turns, count: int) -> None:
    wait_until(lambda: len(turns._queue) == count)


def test_m16_commands_of_one_client_never_overlap(turns: Turns) -> None:
    inside: list[str] = []
    most: list[int] = []

    def command(name: str) -> None:
        with turns.turn("a", Caller()):
            inside.append(name)
            most.append(len(inside))
            inside.remove(name)

    threads = [threading.Thread(target=command, args=(str(i),)) for i in range(QUEUE_LENGTH)]
    with acting(turns, client="other") as first:
        for thread in threads:
            thread.start()
        _waiting(turns, 1 + len(threads))
        assert not most
        first.may_end.set()
        for thread in threads:
            thread.join(20.0)
    assert most == [1] * len(threads)


def test_they_act_in_the_order_in_which_they_came(turns: Turns) -> None:
    order: list[int] = []

    def command(index: int) -> None:
        with turns.turn("a", Caller()):
            order.append(index)

    with acting(turns, client="other"):
        threads = []
        for index in range(5):
            threads.append(threading.Thread(target=command, args=(index,)))
            threads[-1].start()
            _waiting(turns, 2 + index)
    for thread in threads:
        thread.join(20.0)
    assert order == list(range(5))


def test_b2_beyond_a_full_queue_a_client_is_refused_at_once_and_another_is_not(turns: Turns) -> None:
    with acting(turns):
        waiting = [_Client(turns) for _ in range(QUEUE_LENGTH - 1)]
        _waiting(turns, QUEUE_LENGTH)
        assert isinstance(_Client(turns).ended(), rk.Busy)
        other = _Client(turns, client="b")
        _waiting(turns, QUEUE_LENGTH + 1)
        for client in (*waiting, other):
            client.may_end.set()
    assert [client.ended() for client in (*waiting, other)] == [None] * QUEUE_LENGTH


@pytest.mark.parametrize("is_motion", [False, True])
def test_b4_during_a_blocking_motion_every_command_is_refused_at_once(turns: Turns, is_motion: bool) -> None:
    with acting(turns, is_motion=True):
        refused = _Client(turns, is_motion=is_motion)
        assert isinstance(refused.ended(), rk.Busy)
        assert not refused.acts.is_set()


def test_b4_what_waited_before_the_motion_began_is_refused_when_it_begins(turns: Turns) -> None:
    with acting(turns) as step:
        motion = _Client(turns, is_motion=True)
        _waiting(turns, 2)
        later = _Client(turns)
        _waiting(turns, 3)
        step.may_end.set()
        assert motion.acts.wait(20.0)
        assert isinstance(later.ended(), rk.Busy)
        motion.may_end.set()
        assert motion.ended() is None


def test_b4_a_command_that_expires_at_the_head_of_the_queue_lets_the_next_one_act() -> None:
    now_s = _Time()
    turns = Turns(now_s)
    with acting(turns) as first:
        expiring = _Client(turns, Caller(100.5))
        _waiting(turns, 2)
        following = _Client(turns, Caller(1e12))
        _waiting(turns, 3)
        now_s.now_s += 0.6
        first.may_end.set()
        assert isinstance(expiring.ended(), rk.CommandExpired)
        assert following.acts.wait(20.0)
        following.may_end.set()
        assert following.ended() is None


def test_f9_what_waits_for_a_caller_that_is_gone_never_acts(turns: Turns) -> None:
    gone = Caller()
    brakes: list[str] = []
    with acting(turns) as first:
        waiting = [_Client(turns, gone) for _ in range(3)]
        other = _Client(turns)
        _waiting(turns, 5)
        turns.end(partial(brakes.append, "hold"), lambda: None, gone)
        assert all(isinstance(client.ended(), rk.ConnectionFailed) for client in waiting)
        assert not brakes
        first.may_end.set()
        other.may_end.set()
        assert other.ended() is None
    assert not any(client.acts.is_set() for client in waiting)
    assert isinstance(_Client(turns, gone).ended(), rk.ConnectionFailed)


def test_b10_a_command_that_acts_for_a_caller_that_is_gone_is_braked_and_the_next_waits_for_the_brake(
    turns: Turns,
) -> None:
    gone, may_brake, braked = Caller(), threading.Event(), threading.Event()

    def brake(client: _Client) -> None:
        client.may_end.set()
        assert may_brake.wait(20.0)
        braked.set()

    with acting(turns, caller=gone) as acts:
        following = _Client(turns, client="b")
        _waiting(turns, 2)
        ender = threading.Thread(target=turns.end, args=(partial(brake, acts), lambda: None, gone))
        ender.start()
        wait_until(lambda: turns._queue[0].is_done)
        assert not following.acts.is_set()
        may_brake.set()
        assert following.acts.wait(20.0)
        assert braked.is_set()
        following.may_end.set()
        ender.join(20.0)
        assert isinstance(acts.ended(), rk.ConnectionFailed)


def test_a_wait_is_woken_until_the_command_has_ended(turns: Turns) -> None:
    gone, woken = Caller(), threading.Semaphore(0)
    with acting(turns, caller=gone) as acts:
        ender = threading.Thread(target=turns.end, args=(lambda: None, woken.release, gone))
        ender.start()
        for _ in range(3):
            assert woken.acquire(timeout=20.0)
        acts.may_end.set()
        ender.join(20.0)
        assert not ender.is_alive()


def test_b10_a_brake_that_fails_leaves_no_command_waiting(turns: Turns) -> None:
    gone = Caller()

    def fail() -> None:
        raise ValueError("a driver's own")

    with acting(turns, caller=gone) as acts:
        with pytest.raises(ValueError, match="own"):
            turns.end(fail, acts.may_end.set, gone)
        assert isinstance(acts.ended(), rk.ConnectionFailed)


def test_f9_a_last_stop_that_fails_leaves_no_command_waiting(turns: Turns) -> None:
    def fail() -> None:
        raise ValueError("a driver's own")

    with acting(turns) as acts:
        with pytest.raises(ValueError, match="own"):
            turns.close(fail, acts.may_end.set)
        assert isinstance(acts.ended(), rk.RobotStopped)


def test_who_leaves_while_a_command_of_somebody_else_is_ending_brakes_nothing(turns: Turns) -> None:
    gone, other = Caller(), Caller()
    brakes: list[str] = []
    with acting(turns, caller=gone) as acts:
        waiting = _Client(turns, other, client="b")
        _waiting(turns, 2)
        braked = threading.Event()
        ender = threading.Thread(target=turns.end, args=(braked.set, lambda: None, gone))
        ender.start()
        assert braked.wait(20.0)
        turns.end(partial(brakes.append, "b"), lambda: None, other)
        assert isinstance(waiting.ended(), rk.ConnectionFailed)
        assert not brakes
        acts.may_end.set()
        ender.join(20.0)


def test_f9_after_shutdown_begins_no_command_starts(turns: Turns) -> None:
    stops: list[str] = []
    with acting(turns) as acts:
        waiting = [_Client(turns) for _ in range(3)]
        _waiting(turns, 4)

        def stop() -> None:
            assert all(isinstance(client.ended(), rk.RobotStopped) for client in waiting)
            stops.append("stop")
            acts.may_end.set()

        turns.close(stop, lambda: None)
        assert stops == ["stop"]
        assert all(isinstance(client.ended(), rk.RobotStopped) for client in (acts, *waiting))
        assert not any(client.acts.is_set() for client in waiting)
    assert isinstance(_Client(turns).ended(), rk.RobotStopped)


def test_f9_a_signal_handler_needs_no_lock_to_keep_commands_from_starting(turns: Turns) -> None:
    with turns._changed:
        turns.is_closed = True
    assert isinstance(_Client(turns).ended(), rk.RobotStopped)


@pytest.mark.parametrize(("deadline_s", "starts"), [(99.0, False), (100.0, False), (100.5, True), (None, True)])
def test_b4_a_command_whose_deadline_has_passed_never_starts(deadline_s: float | None, starts: bool) -> None:
    turns = Turns(_Time())
    client = _Client(turns, Caller(deadline_s))
    client.may_end.set()
    assert (client.ended() is None) == starts == client.acts.is_set()
    if not starts:
        assert isinstance(client.error, rk.CommandExpired)


@pytest.mark.parametrize("deadline_s", [100.5, None])
def test_b4_a_command_whose_deadline_passes_while_it_waits_never_starts(deadline_s: float | None) -> None:
    now_s = _Time()
    turns = Turns(now_s)
    with acting(turns) as first:
        waiting = _Client(turns, Caller(deadline_s))
        _waiting(turns, 2)
        now_s.now_s += QUEUE_WAIT_S
        first.may_end.set()
        assert isinstance(waiting.ended(), rk.CommandExpired)
        assert not waiting.acts.is_set()


def test_a_command_that_fails_gives_its_turn_on(turns: Turns) -> None:
    with pytest.raises(rk.OutsideWorkspace), turns.turn("a", Caller()):
        raise rk.OutsideWorkspace("no")
    with turns.turn("b", Caller()):
        pass


def test_of_a_client_that_gives_up_control_nothing_acts_any_more(turns: Turns) -> None:
    ended: list[Callable[[], None]] = []
    with acting(turns) as acts:
        waiting, other = _Client(turns), _Client(turns, client="b")
        _waiting(turns, 3)

        def brake() -> None:
            ended.append(acts.may_end.set)
            acts.may_end.set()

        with turns.ended("a", lambda: True, brake, lambda: None):
            assert isinstance(acts.ended(), rk.Busy)
            assert isinstance(waiting.ended(), rk.Busy)
            late = _Client(turns)
            _waiting(turns, 3)
            assert not other.acts.is_set()
            assert not late.acts.is_set()
        for later in (other, late):
            later.may_end.set()
            assert later.ended() is None
    assert len(ended) == 1


def test_nothing_ends_of_a_client_that_is_back_by_the_time_at_which_no_command_can_begin(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_room, "_BRAKE_WAIT_S", 0.01)
    with acting(turns) as acts:
        waiting = _Client(turns)
        _waiting(turns, 2)
        with turns.ended("a", lambda: not turns._changed._is_owned(), lambda: None, lambda: None):
            assert len(turns._queue) == 3
        acts.may_end.set()
        waiting.may_end.set()
        assert acts.ended() is None
        assert waiting.ended() is None


def test_f9_a_command_that_hangs_keeps_nobody_from_what_follows_its_end(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_room, "_BRAKE_WAIT_S", 0.01)
    with acting(turns), turns.ended("a", lambda: True, lambda: None, lambda: None):
        assert len(turns._queue) == 2


@pytest.mark.parametrize("deadline_s", [1e12, 1e300])
def test_f5_a_deadline_later_than_any_clock_can_wait_for_is_one(turns: Turns, deadline_s: float) -> None:
    with acting(turns) as first:
        second = _Client(turns, Caller(deadline_s))
        _waiting(turns, 2)
        first.may_end.set()
        second.may_end.set()
        assert second.ended() is None
        assert second.acts.is_set()


def test_f17_no_block_without_commands_begins_before_the_command_that_acts_has_ended(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_room, "_BRAKE_WAIT_S", 60.0)
    order: list[str] = []

    def block() -> None:
        with turns.ended("b", lambda: False, lambda: None, lambda: None):
            order.append("block")

    with turns.turn("a", Caller()):
        thread = threading.Thread(target=block, daemon=True)
        thread.start()
        _waiting(turns, 2)
        order.append("command")
    thread.join(20.0)
    assert order == ["command", "block"]


def test_f9_a_command_that_has_ended_is_braked_by_nobody_while_it_waits_for_a_brake(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_room, "_BRAKE_WAIT_S", 60.0)
    may_return, caller = threading.Event(), Caller()
    with acting(turns, caller=caller) as client:
        braking = threading.Thread(
            target=turns.end, args=(lambda: may_return.wait(20.0), lambda: None, caller), daemon=True
        )
        braking.start()
        wait_until(lambda: turns._queue[0].brakes == 1)
        client.may_end.set()
        wait_until(lambda: turns._queue[0].is_done)
        turns.end(lambda: pytest.fail("it is braked"), lambda: None, caller)
        may_return.set()
        braking.join(20.0)
        assert isinstance(client.ended(), rk.ConnectionFailed)
