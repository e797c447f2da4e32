"""What a client has seen only grows, in whatever order the answers arrive, and begins anew with each connection."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import robotkit as rk
from robotkit.remote import seen as seen_module
from robotkit.remote.cell import RemoteWorkcell
from robotkit.remote.seen import Seen
from servers import ServerSettings, clock, create_app
from servers.access import Client
from servers.context import ServerContext, gripper_of
from servers.runner import BackgroundServer
from servers.seen import Moments, seen_with
from servers.turns import CURRENT_CALLER, Caller
from tests.support.waiting import wait_until

PERSON = Client("p", "person")


@pytest.fixture
def context() -> Iterator[ServerContext]:
    app = create_app(rk.make_workcell("fake"), ServerSettings(port=0))
    with BackgroundServer(app) as server:
        app.state.context.url = server.url
        yield app.state.context


@pytest.fixture
def cell(context: Any) -> Iterator[RemoteWorkcell]:
    with rk.make_workcell("remote", url=context.url) as remote:
        assert isinstance(remote, RemoteWorkcell)
        yield remote


def _stop_and_recover(context: ServerContext) -> None:
    context.stop(PERSON)
    token = CURRENT_CALLER.set(Caller())
    context.recover(PERSON)
    CURRENT_CALLER.reset(token)


def _stay(context: ServerContext) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=context.workcell.robot.get_state().tcp_pose_in_base)


def _start_anew(context: ServerContext, patch: pytest.MonkeyPatch) -> None:
    """As far as a client can tell: another name of its time, and nothing has come."""
    patch.setattr(clock, "CLOCK", "another start")
    machine = context.workcell.robot.machine
    machine.stops = machine.recoveries = machine.holds = 0


@pytest.mark.parametrize("order", list(itertools.permutations(["2,1,4", "2,2,5", "3,2,5", "3,2,4", "1,2,6"])))
def test_r1_each_number_is_the_largest_that_was_told_in_whatever_order(order: tuple[str, ...]) -> None:
    seen = Seen()
    for text in order:
        seen.told(text)
    assert seen.text == "3,2,6"


@pytest.mark.parametrize("text", [None, "", "1,2", "1,2,3,4", "a,b,c", "1,-2,3"])
def test_r1_an_answer_that_tells_nothing_changes_nothing(text: str | None) -> None:
    seen = Seen()
    seen.told("1,2,3")
    seen.told(text)
    assert seen.text == "1,2,3"


@pytest.mark.parametrize(
    ("seen", "told", "then"),
    [
        ("1,0,2", "2,0,2", "2,0,2"),
        ("1,0,2", "3,0,2", "1,0,2"),
        ("1,0,2", "2,1,2", "1,0,2"),
        ("1,0,2", "2,0,3", "1,0,2"),
        (None, "2,0,2", None),
        ("1,0,2", None, "1,0,2"),
    ],
)
def test_r1_a_stop_of_its_own_is_seen_where_nothing_else_had_come_with_it(seen, told, then) -> None:
    session = Seen()
    session.told(seen)
    session.stopped(told)
    assert session.text == then


def test_r1_another_start_of_the_server_counts_anew() -> None:
    seen = Seen()
    for start, text, known in [("a", "5,5,5", "5,5,5"), ("a", "1,1,1", "5,5,5"), (None, "6,5,5", "6,5,5")]:
        seen.answered(start)
        seen.told(text)
        assert seen.text == known
    seen.answered("b")
    assert seen.text is None
    seen.told("0,0,1")
    assert seen.text == "0,0,1"


def _told_at_line(number: int, told: Callable[[], None], handle: Callable[[], None]) -> bool:
    """Call `told`, and `handle` before its line of this number; False when it has fewer."""
    lines = itertools.count()

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename != seen_module.__file__:
            return None
        if event == "line" and next(lines) == number:
            sys.settrace(None)
            handle()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        told()
    finally:
        sys.settrace(before)
    return next(lines) > number


@pytest.mark.parametrize(("text", "handled"), list(itertools.permutations(["1,0,0", "2,1,1", "1,0,1"], 2)))
def test_a2_a_signal_handler_takes_nothing_back_at_any_line(text: str, handled: str) -> None:
    expected = ",".join(map(max, text.split(","), handled.split(",")))
    for number in itertools.count():
        seen = Seen()
        seen.told("1,0,0")
        has_come = _told_at_line(number, lambda seen=seen: seen.told(text), lambda seen=seen: seen.told(handled))
        if not has_come:
            break
        assert seen.text == expected
    assert number > 3


def test_what_was_told_is_kept_once_however_long_a_client_runs() -> None:
    seen = Seen()
    for index in range(100):
        seen.told(f"{index},{index // 2},0")
    assert seen.text == "99,49,0"
    assert len(seen._told) == 1


@pytest.mark.parametrize("own", ["hold", "recover"])
def test_r1_a_state_that_arrives_after_the_clients_own_hold_or_recovery_takes_nothing_back(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    cell.get_state()
    request = cell.session._transport.request

    def overtaken(method: str, path: str, *args: Any) -> Any:
        answer = request(method, path, *args)
        monkeypatch.undo()
        getattr(cell.robot, own)()  # of another thread of the program
        return answer

    monkeypatch.setattr(cell.session._transport, "request", overtaken)
    cell.get_state()
    cell.robot.send(_stay(context))


@pytest.mark.parametrize("own", ["hold", "recover"])
def test_r1_nor_does_the_newest_state_of_a_stream(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    with cell.stream(max_age_s=60.0) as states:
        states.latest()
        take = states._take
        monkeypatch.setattr(states, "_take", lambda *args: None if '"state"' in args[1][:20] else take(*args))
        getattr(cell.robot, own)()
        states.latest()
        taken = context.workcell.robot.machine.targets
        states.send(_stay(context))
        wait_until(lambda: states._error is not None or context.workcell.robot.machine.targets > taken)
        assert states._error is None


def test_r1_a_new_connection_has_seen_nothing(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.get_state()
    cell.disconnect()
    _stop_and_recover(context)
    cell.connect()
    cell.robot.reset()
    cell.reset()
    _stop_and_recover(context)
    with pytest.raises(rk.TargetReplaced):
        gripper_of(cell).close()


def test_b4_a_server_that_was_started_anew_refuses_what_was_made_before_and_nothing_after_it(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_and_recover(context)
    cell.get_state()
    cell.robot.send(_stay(context))
    _start_anew(context, monkeypatch)
    with pytest.raises(rk.CommandExpired):
        cell.robot.send(_stay(context))
    cell.robot.send(_stay(context))


@pytest.mark.parametrize("has_commanded", [True, False])
def test_b4_what_was_read_since_the_new_start_counts(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, has_commanded: bool
) -> None:
    _stop_and_recover(context)
    cell.get_state()
    if has_commanded:
        cell.robot.send(_stay(context))
    _start_anew(context, monkeypatch)
    cell.get_state()
    _stop_and_recover(context)
    with pytest.raises(rk.TargetReplaced):
        cell.robot.send(_stay(context))
    cell.get_state()
    cell.robot.send(_stay(context))


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/steps"])
def test_b4_a_websocket_tells_of_which_start_it_is(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _stop_and_recover(context)
    cell.get_state()
    _start_anew(context, monkeypatch)
    if path == "/v1/steps":
        cell.step()
    else:
        with cell.stream() as states:
            states.latest()
    assert cell.session.seen.text == "0,0,0"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_r1_holds_of_one_client_that_overlap_are_its_own(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    cell.get_state()
    hold, has_begun, may_end = context.workcell.robot.hold, threading.Event(), threading.Event()

    def slow() -> None:
        has_begun.set()
        assert may_end.wait(20.0)
        hold()

    monkeypatch.setattr(context.workcell.robot, "hold", slow)
    threads = [threading.Thread(target=cell.robot.hold) for _ in range(count)]
    threads[0].start()
    assert has_begun.wait(20.0)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(context.lanes.holds._next) == 1)
    may_end.set()
    for thread in threads:
        thread.join(20.0)
    cell.robot.send(_stay(context))


def test_f4_a_hold_of_its_own_after_the_stop_keeps_a_client_from_no_gripper(
    cell: RemoteWorkcell, context: ServerContext
) -> None:
    cell.get_state()
    context.stop(PERSON)
    cell.robot.hold()
    gripper_of(cell).open()
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(_stay(context))


@pytest.mark.parametrize("owners", [owners for n in range(1, 5) for owners in itertools.product("ab-", repeat=n)])
def test_r1_a_hold_shows_its_client_those_of_before_that_were_its_own(owners: tuple[str, ...]) -> None:
    with rk.make_workcell("fake") as fake:
        moments = Moments(fake.robot)
        asked_at = [moments.now]
        for number, owner in enumerate(owners):
            holds = fake.robot.machine.note_hold() if owner == "-" else moments.note_hold_of(Client(owner, owner))
            for seen, asked in enumerate(asked_at):
                if owner != "-":
                    told = seen_with(holds, asked)
                    is_own = set(owners[seen : number + 1]) == {owner}
                    assert told == (moments.now if is_own else None)
            asked_at.append(moments.now)
