"""Steps over the websocket are `POST /v1/step`, and never get out of step."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection

import robotkit as rk
from robotkit.remote import Session, steps
from robotkit.remote.steps import RemoteSteps
from robotkit.schema.wire import StreamError, StreamState
from tests.serving import served
from tests.support.recording_arm import InThread
from tests.support.scripted_socket import scripted


@pytest.fixture(scope="module")
def served_cell() -> rk.Workcell:
    return rk.make_workcell("fake")


@pytest.fixture(scope="module")
def url(served_cell: rk.Workcell) -> Iterator[str]:
    with served(served_cell) as running:
        yield running


def test_both_ways_of_stepping_are_one(url: str, served_cell: rk.Workcell) -> None:
    with rk.make_workcell("remote", url=url) as cell:
        command = rk.PoseCommand(tcp_pose_in_base=cell.reset(seed=0).robot.tcp_pose_in_base)
        request = rk.StepRequest(command=command, period_s=0.02)
        over_socket = cell.step(command, period_s=0.02)
        over_http = cell.session.ask("/v1/step", request, rk.CellState)
        assert over_socket.accepted == over_http.accepted == command
        assert over_http.robot.stamp_s - over_socket.robot.stamp_s == pytest.approx(0.02)
        assert over_http == served_cell.get_state().model_copy(update={"accepted": command})


def test_threads_may_step_one_after_the_other(url: str) -> None:
    with rk.make_workcell("remote", url=url) as cell:
        cell.step(period_s=0.02)
        assert InThread(lambda: cell.step(period_s=0.02)).join() is None


def test_errors_keep_their_class_and_the_connection(url: str) -> None:
    with rk.make_workcell("remote", url=url) as cell:
        far = cell.reset(seed=0).robot.tcp_pose_in_base.copy()
        far[1] = 0.9
        for _ in range(2):
            with pytest.raises(rk.OutsideWorkspace):
                cell.step(rk.PoseCommand(tcp_pose_in_base=far), period_s=0.02)
            assert cell.step(period_s=0.02).accepted is None


@pytest.mark.parametrize("message", ["{", b"\x00", '{"speed":1}', '{"period_s":NaN}'])
def test_a_bad_message_is_answered(url: str, message: str | bytes) -> None:
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None) as socket:
        for text, kind in ((message, '"invalid_command"'), ("{}", '"state"')):
            socket.send(text)
            assert kind in socket.recv()


def test_when_the_connection_ends_the_robot_holds_and_control_is_free(
    url: str, served_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until_free(url)  # by the clients of the tests before, for which the robot is held too
    held = threading.Event()
    pose = served_cell.robot.get_state().tcp_pose_in_base + np.array((0, 0, 0.01, 0, 0, 0, 0))
    moves = rk.StepRequest(command=rk.PoseCommand(tcp_pose_in_base=pose))
    monkeypatch.setattr(served_cell.robot, "hold", held.set)
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None) as socket:
        socket.send(moves.model_dump_json())
        socket.recv()
        assert not held.is_set()
    assert held.wait(5.0)
    wait_until_free(url)
    with rk.make_workcell("remote", url=url) as cell:
        cell.step()


def wait_until_free(url: str) -> None:
    with closing(Session(url, timeout_s=5.0)) as session:
        deadline_s = time.monotonic() + 5.0
        while json.loads(session.get("/v1/health").content)["controlled_by"] is not None:
            assert time.monotonic() < deadline_s


def _state(seq: object, stamp_s: float) -> str:
    """The answer to step `seq`, with a stamp to tell it by."""
    with rk.make_workcell("fake") as cell:
        state = cell.get_state()
    robot = state.robot.model_copy(update={"stamp_s": stamp_s})
    return StreamState(seq=int(str(seq)), state=state.model_copy(update={"robot": robot})).model_dump_json()


def _seq(text: str | bytes) -> int:
    return int(json.loads(text)["seq"])


def test_m13_a_late_answer_is_never_taken_for_the_next_one() -> None:
    late, connections = threading.Event(), []

    def handler(socket: ServerConnection) -> None:
        connections.append(socket)
        number = len(connections)
        for text in socket:
            if number == 1:
                late.wait(20.0)
            socket.send(_state(_seq(text), float(number)))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        with pytest.raises(rk.RemoteTimeout, match=r"0\.1 s"):
            steps.step(rk.StepRequest(), 0.1)
        late.set()
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 2.0
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 2.0
        steps.close()
    assert len(connections) == 2


@pytest.mark.parametrize("answered", [lambda seq: seq - 1, lambda seq: seq + 1, lambda seq: 0])
def test_b5_the_answer_to_another_step_closes_the_connection(answered: Callable[[int], int]) -> None:
    connections: list[ServerConnection] = []

    def handler(socket: ServerConnection) -> None:
        connections.append(socket)
        number = len(connections)
        for text in socket:
            socket.send(_state(answered(_seq(text)) if number == 1 else _seq(text), float(number)))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        steps._seq = 7
        with pytest.raises(rk.ProtocolError, match="where step 8 was asked"):
            steps.step(rk.StepRequest(), 20.0)
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 2.0
        steps.close()


def test_b5_ctrl_c_in_the_middle_of_a_step_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[ServerConnection] = []

    def handler(socket: ServerConnection) -> None:
        connections.append(socket)
        number = len(connections)
        for text in socket:
            socket.send(_state(_seq(text), float(number)))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 1.0
        monkeypatch.setattr(steps._socket, "recv", lambda timeout: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            steps.step(rk.StepRequest(), 20.0)
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 2.0
        steps.close()


class _InterruptedLock:
    """Ctrl+C comes when the lock has just been taken, or just before."""

    def __init__(self, *, is_taken: bool) -> None:
        self._lock = threading.RLock()
        self._is_taken: bool | None = is_taken

    def acquire(self, timeout: float) -> bool:
        if self._is_taken is None:
            return self._lock.acquire(timeout=timeout)
        if self._is_taken:
            self._lock.acquire()
        self._is_taken = None
        raise KeyboardInterrupt

    def release(self) -> None:
        self._lock.release()


@pytest.mark.parametrize("is_taken", [True, False])
def test_b5_ctrl_c_at_the_beginning_of_a_step_leaves_other_threads_their_turn(is_taken: bool) -> None:
    def handler(socket: ServerConnection) -> None:
        for text in socket:
            socket.send(_state(_seq(text), 1.0))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        steps._in_turn = _InterruptedLock(is_taken=is_taken)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            steps.step(rk.StepRequest(), 20.0)
        assert InThread(lambda: steps.step(rk.StepRequest(), 20.0)).join() is None
        steps.close()


def test_b5_a_refusal_carries_the_number_of_its_step_too(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/steps"
    with connect(address, proxy=None) as socket:
        for text in ('{"seq":41,"period_s":-1}', '{"seq":42,"command":{"kind":"jump"}}', '{"seq":43}'):
            socket.send(text)
        answers = [json.loads(socket.recv()) for _ in range(3)]
    assert [answer["seq"] for answer in answers] == [41, 42, 43]
    assert [answer["type"] for answer in answers] == ["error", "error", "state"]


def test_m14_steps_take_the_direct_way_whatever_the_environment_says(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with rk.make_workcell("remote", url=url) as cell:
        assert cell.step(period_s=0.0).robot.mode
        with cell.stream() as stream:
            assert stream.latest().robot.mode


def test_b4_a_step_that_cannot_end_in_time_does_not_start() -> None:
    told: list[float] = []

    def handler(socket: ServerConnection) -> None:
        for text in socket:
            told.append(json.loads(text)["deadline_s"])
            socket.send(_state(_seq(text), 1.0))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        earliest_s = session.handshake.deadline(17.0).at_s
        steps.step(rk.StepRequest(period_s=3.0), 20.0)
        assert earliest_s <= told[0] <= session.handshake.deadline(17.0).at_s
        steps.close()


def test_b5_a_connection_that_cannot_be_closed_in_peace_is_used_no_more() -> None:
    connections: list[ServerConnection] = []

    def handler(socket: ServerConnection) -> None:
        connections.append(socket)
        for text in socket:
            socket.send(_state(_seq(text), float(len(connections))))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        steps.step(rk.StepRequest(), 20.0)
        steps._opened.callback(interrupt)
        with pytest.raises(KeyboardInterrupt):
            steps.close()
        assert steps.step(rk.StepRequest(), 20.0).robot.stamp_s == 2.0
        steps.close()


def test_b5_no_step_has_the_number_of_an_answer_that_has_none() -> None:
    numbers: list[int] = []

    def handler(socket: ServerConnection) -> None:
        for text in socket:
            numbers.append(_seq(text))
            socket.send(_state(_seq(text), 1.0))

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        for _ in range(3):
            steps.step(rk.StepRequest(), 20.0)
        steps.close()
    assert numbers == [1, 2, 3]
    assert StreamError(code="busy", message="").seq == 0


def test_a_step_whose_connection_breaks_is_not_sent_again() -> None:
    received: list[str | bytes] = []

    def handler(socket: ServerConnection) -> None:
        received.append(socket.recv())

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        with pytest.raises(rk.ConnectionFailed):
            steps.step(rk.StepRequest(), 2.0)
        assert len(received) == 1
        steps.close()


def test_an_answer_of_another_form_is_a_protocol_error() -> None:
    with scripted(lambda socket: [socket.send("<h1>hello</h1>") for _ in socket]) as session:
        steps = RemoteSteps(session)
        with pytest.raises(rk.ProtocolError):
            steps.step(rk.StepRequest(), 2.0)


def test_messages_down_are_told_apart_by_their_type(url: str) -> None:
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None) as socket:
        socket.send("{}")
        assert StreamState.model_validate_json(socket.recv()).state.robot


def test_a_step_whose_cell_is_closed_while_it_connects_is_not_sent(
    url: str, served_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rk.make_workcell("remote", url=url) as cell:
        opened = steps.open_socket

        def closed_meanwhile(*given: Any) -> ClientConnection:
            socket = opened(*given)
            cell._steps.close()
            return socket

        before_s = served_cell.clock.now_s()
        with monkeypatch.context() as patch:
            patch.setattr(steps, "open_socket", closed_meanwhile)
            with pytest.raises(rk.ConnectionFailed, match="closed during a step"):
                cell.step(period_s=0.02)
        assert served_cell.clock.now_s() == before_s
        assert cell.step(period_s=0.02).robot.stamp_s > before_s
