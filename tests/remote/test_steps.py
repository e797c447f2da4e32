"""Steps over the websocket are `POST /v1/step`, and never get out of step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

import robotkit as rk
from robotkit.remote import Session
from robotkit.remote.steps import RemoteSteps
from robotkit.schema.wire import StreamError, StreamState
from tests.serving import served


@contextmanager
def scripted(handler: object) -> Iterator[Session]:
    with serve(handler, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Session(f"http://127.0.0.1:{server.socket.getsockname()[1]}", timeout_s=2.0)
        finally:
            server.shutdown()
            thread.join()


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
    monkeypatch.setattr(served_cell.robot, "hold", held.set)
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None) as socket:
        socket.send("{}")
        socket.recv()
        assert not held.is_set()
    assert held.wait(5.0)
    wait_until_free(url)
    with rk.make_workcell("remote", url=url) as cell:
        cell.step()


def wait_until_free(url: str) -> None:
    with closing(Session(url, timeout_s=5.0)) as session:
        deadline_s = time.monotonic() + 5.0
        while session.get("/v1/health").json()["controlled_by"] is not None:
            assert time.monotonic() < deadline_s


def test_a_late_answer_is_never_taken_for_the_next_one() -> None:
    late = threading.Event()

    def handler(socket: ServerConnection) -> None:
        for _ in socket:
            late.wait(5.0)
            socket.send(StreamError(code="robot_stopped", message="late").model_dump_json())

    with scripted(handler) as session:
        steps = RemoteSteps(session)
        with pytest.raises(rk.RemoteTimeout, match=r"0\.1 s"):
            steps.step(rk.StepRequest(), 0.1)
        late.set()
        with pytest.raises(rk.RobotStopped):
            steps.step(rk.StepRequest(), 2.0)
        steps.close()


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
