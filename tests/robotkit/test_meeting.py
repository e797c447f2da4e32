"""Laws of `Meeting`: what several cells ask of one world happens once, for all of them, and in one order."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from robotkit.meeting import Meeting
from tests.support.waiting import wait_until

LEFT, RIGHT = "left", "right"


class World:
    """Writes down what happens to it."""

    def __init__(self):
        self.done: list = []
        self.meeting = Meeting(self._advance, self._reset)
        self.error: Exception | None = None

    def _advance(self, period_s):
        if self.error is not None:
            raise self.error
        self.done.append(round(period_s, 9))

    def _reset(self, starts):
        if self.error is not None:
            raise self.error
        self.done.append(dict(starts))


def together(world: World, **acts):
    """Let members act in a thread each; returns each one's result or error."""

    def act(member):
        try:
            return acts[member](world.meeting)
        except Exception as error:
            return error
        finally:
            world.meeting.leave(member)

    world.meeting.open(acts)
    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def test_who_is_alone_waits_for_nobody():
    world = World()
    world.meeting.advance(LEFT, 0.1)
    world.meeting.reset(LEFT, 5)
    assert world.done == [0.1, {LEFT: 5}]


def test_a_period_that_both_ask_for_passes_once():
    world = World()
    ask = lambda member: lambda meeting: meeting.advance(member, 0.1)  # noqa: E731
    together(world, left=ask(LEFT), right=ask(RIGHT))
    assert world.done == [0.1]


def test_a_long_period_passes_in_the_parts_that_the_other_asks_for():
    world = World()
    seen = []

    def short(meeting):
        for period_s in (0.1, 0.15, 0.3):
            meeting.advance(RIGHT, period_s)
            seen.append(list(world.done))

    together(world, left=lambda meeting: meeting.advance(LEFT, 0.25), right=short)
    assert seen[:2] == [[0.1], [0.1, 0.15]]
    assert world.done == [0.1, 0.15, 0.3], "the left one has left by then"


def test_nothing_happens_while_one_is_still_at_work():
    world = World()
    seen = []

    def work(meeting):
        seen.append(list(world.done))
        meeting.advance(RIGHT, 0.1)

    together(world, left=lambda meeting: [meeting.advance(LEFT, 0.1) for _ in range(3)], right=work)
    assert seen == [[]]
    assert world.done == [0.1] * 3


def test_a_reset_of_both_is_one_with_what_each_asks_for_and_comes_before_the_time_after_it():
    world = World()

    def act(member, before):
        def run(meeting):
            for _ in range(before):
                meeting.advance(member, 0.1)
            meeting.reset(member, member)
            meeting.advance(member, 0.2)

        return run

    together(world, left=act(LEFT, 0), right=act(RIGHT, 2))
    assert world.done == [0.1, 0.1, {LEFT: LEFT, RIGHT: RIGHT}, 0.2]


@pytest.mark.parametrize("name", ["advance", "reset"])
def test_an_error_of_the_world_reaches_all_who_waited_for_it(name):
    world = World()
    world.error = RuntimeError("no")
    ask = lambda member: lambda meeting: getattr(meeting, name)(member, 0.1)  # noqa: E731
    assert together(world, left=ask(LEFT), right=ask(RIGHT)) == [world.error] * 2
    world.error = None
    world.meeting.advance(LEFT, 0.1)
    assert world.done == [0.1]


def test_one_who_fails_elsewhere_keeps_no_other_waiting():
    def fail(_):
        raise ValueError("a wrong action")

    world = World()
    error, _ = together(world, left=fail, right=lambda meeting: meeting.advance(RIGHT, 0.1))
    assert isinstance(error, ValueError)
    assert world.done == [0.1]


def test_two_threads_of_one_member_both_get_their_time():
    """A joint motion that begins while the pair is in the middle of a step asks for time of its own."""
    world = World()
    world.meeting.open((LEFT, RIGHT))
    asking = [
        threading.Thread(target=world.meeting.advance, args=(LEFT, period_s), daemon=True) for period_s in (0.1, 0.3)
    ]
    for thread in asking:
        thread.start()
    wait_until(lambda: len(world.meeting._asked) == 2)
    world.meeting.leave(RIGHT)
    for thread in asking:
        thread.join(60.0)
    assert [thread.is_alive() for thread in asking] == [False, False]
    assert world.done == [0.1, 0.2]


def test_what_an_interrupted_wait_has_asked_for_is_not_done_later():
    world = World()
    world.meeting.open((LEFT, RIGHT))
    world.meeting._changed.wait_for = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        world.meeting.advance(LEFT, 0.1)
    world.meeting.leave(LEFT)
    world.meeting.leave(RIGHT)
    assert world.done == []


def test_ctrl_c_at_any_call_leaves_nobody_waiting_for_the_lock():
    """Python handles signals where it calls a function, also one of a lock that is written in Python."""
    before, calls, was_interrupted = sys.gettrace(), 0, True
    while was_interrupted:
        calls, left, was_interrupted = calls + 1, calls + 1, False
        meeting = World().meeting

        def trace(frame, event, _argument):
            nonlocal left
            # Not what is called as rubbish is collected: an error there ends nothing.
            is_own = frame.f_code.co_filename.endswith(("meeting.py", "threading.py"))
            left -= is_own and event == "call"
            if left == 0 and is_own:
                raise KeyboardInterrupt

        try:
            sys.settrace(trace)
            meeting.open((LEFT, RIGHT))
            meeting.leave(LEFT)
        except KeyboardInterrupt:
            was_interrupted = True
        finally:
            sys.settrace(before)
        other = threading.Thread(target=meeting.leave, args=(RIGHT,), daemon=True)
        other.start()
        other.join(20.0)
        assert not other.is_alive()
    assert calls > 3, "it was interrupted in either call"
