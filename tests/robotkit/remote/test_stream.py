"""The client's stream against a server that does what a test says: nothing old is shown, nothing is sent twice."""

from __future__ import annotations

import functools
import json
import queue
import threading
import time
from functools import partial
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

import robotkit as rk
from robotkit.remote import RemoteStream, Session
from robotkit.remote import stream as remote_stream
from robotkit.remote.handshake import Deadline
from robotkit.schema.wire import StreamError, StreamState
from tests.support.scripted_socket import scripted
from tests.support.waiting import wait_for_error, wait_until


@functools.cache
def _cell_state() -> rk.CellState:
    with rk.make_workcell("fake") as cell:
        return cell.get_state()


def _state(stamp_s: float) -> str:
    """A state, with a stamp to tell it by."""
    robot = _cell_state().robot.model_copy(update={"stamp_s": stamp_s})
    return StreamState(seq=1, state=_cell_state().model_copy(update={"robot": robot})).model_dump_json()


def _half_open(position: float) -> rk.GripperCommand:
    return rk.GripperCommand(position=position)


def _has_received(stream: RemoteStream, count: int) -> bool:
    return stream.received == count


class _Server:
    """Keeps each connection open until the client or the test closes it; what arrives is in `received`."""

    def __init__(self) -> None:
        self.connections: queue.Queue[ServerConnection] = queue.Queue()
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()

    def __call__(self, socket: ServerConnection) -> None:
        self.connections.put(socket)
        for text in socket:
            self.received.put(json.loads(text))

    def accepted(self) -> ServerConnection:
        return self.connections.get(timeout=20.0)

    def got(self) -> dict[str, Any]:
        return self.received.get(timeout=20.0)


@pytest.fixture
def server() -> _Server:
    return _Server()


@pytest.fixture
def session(server: _Server):
    with scripted(server) as session:
        session.handshake.deadline(0.0)  # its connection is none of a stream
        yield session


def test_it_asks_for_its_rate_and_for_states_that_are_acknowledged(session: Session, server: _Server) -> None:
    with RemoteStream(session, rate_hz=12.5):
        assert server.accepted().request.path == "/v1/stream?rate_hz=12.5&window=32"


def test_what_has_arrived_is_acknowledged_long_before_the_window_is_full(session: Session, server: _Server) -> None:
    with RemoteStream(session) as stream:
        socket = server.accepted()
        for index in range(1, 33):
            socket.send(_state(float(index)))
            wait_until(partial(_has_received, stream, index))
        assert [server.got() for _ in range(4)] == [{"type": "ack", "seq": 8 * index} for index in (1, 2, 3, 4)]
        assert server.received.empty()


def test_the_newest_state_is_shown_and_the_first_is_waited_for(session: Session, server: _Server) -> None:
    with RemoteStream(session, max_age_s=60.0) as stream:
        socket, found = server.accepted(), []
        reader = threading.Thread(target=lambda: found.append(stream.latest()))
        reader.start()
        socket.send(_state(1.0))
        reader.join(20.0)
        socket.send(_state(2.0))
        wait_until(lambda: stream.received == 2)
        assert [state.robot.stamp_s for state in (*found, stream.latest())] == [1.0, 2.0]


def test_a_state_that_arrived_too_long_ago_is_refused(session: Session, server: _Server) -> None:
    with RemoteStream(session, max_age_s=60.0) as stream:
        server.accepted().send(_state(1.0))
        assert stream.latest().robot.stamp_s == 1.0
        arrived_s, text = stream._state
        stream._state = (arrived_s - 59.0, text)
        stream.latest()
        stream._state = (arrived_s - 61.0, text)
        with pytest.raises(rk.StaleState, match=r"arrived 6\d\.\d\d\d s ago; allowed are 60 s"):
            stream.latest()


def test_silence_from_the_start_is_a_timeout(session: Session, server: _Server) -> None:
    session.timeout_s = 0.1
    with RemoteStream(session) as stream, pytest.raises(rk.RemoteTimeout, match=r"no state within 0\.1 s"):
        stream.latest()


def test_what_the_server_reports_is_raised_once_and_goes_before_a_state(session: Session, server: _Server) -> None:
    with RemoteStream(session, max_age_s=60.0) as stream:
        socket = server.accepted()
        socket.send(_state(1.0))
        stream.latest()
        socket.send(StreamError(code="control_held", message="anna commands").model_dump_json())
        assert "anna commands" in str(wait_for_error(stream.latest, rk.ControlHeld))
        assert stream.latest().robot.stamp_s == 1.0
        socket.send("<h1>hello</h1>")
        wait_for_error(stream.latest, rk.ProtocolError)
        assert stream.latest().robot.stamp_s == 1.0


def test_an_error_is_raised_before_the_first_state(session: Session, server: _Server) -> None:
    with RemoteStream(session) as stream:
        server.accepted().send(StreamError(code="busy", message="too fast").model_dump_json())
        with pytest.raises(rk.Busy, match="too fast"):
            stream.latest()


def test_a_command_that_meets_an_error_is_not_sent_and_the_next_one_is(session: Session, server: _Server) -> None:
    with RemoteStream(session) as stream:
        server.accepted().send(StreamError(code="robot_stopped", message="stopped").model_dump_json())
        wait_until(lambda: stream._error is not None)
        with pytest.raises(rk.RobotStopped):
            stream.send(gripper=_half_open(0.25))
        stream.send(gripper=_half_open(0.75))
        command = server.got()
        assert (command["type"], command["gripper"]) == ("command", {"position": 0.75})


def test_b4_a_command_goes_up_once_with_a_deadline_of_the_sessions_patience(session: Session, server: _Server) -> None:
    with RemoteStream(session) as stream:
        server.accepted()
        earliest_s = session.handshake.deadline(session.timeout_s).at_s
        stream.send(gripper=_half_open(0.5))
        command = server.got()
        assert earliest_s <= command["deadline_s"] <= session.handshake.deadline(session.timeout_s).at_s
        assert command["command"] is None
        with pytest.raises(queue.Empty):
            server.received.get(timeout=0.05)


def test_b4_a_stream_asks_for_the_servers_time_after_it_connects_and_after_a_command_came_too_late(
    session: Session, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    make = session.handshake._make
    monkeypatch.setattr(session.handshake, "_make", lambda: (made.append(1), make())[1])
    with RemoteStream(session) as stream:
        socket = server.accepted()
        for _ in range(2):
            stream.send(gripper=_half_open(0.5))
        assert len(made) == 1
        socket.send(StreamError(code="command_expired", message="late").model_dump_json())
        wait_until(lambda: stream._error is not None)
        with pytest.raises(rk.CommandExpired):
            stream.send(gripper=_half_open(0.5))
        stream.send(gripper=_half_open(0.5))
    assert len(made) == 2


def test_connecting_twice_is_one_connection(session: Session, server: _Server) -> None:
    with RemoteStream(session, max_age_s=60.0) as stream:
        server.accepted().send(_state(1.0))
        stream.latest()
        stream.connect()
        assert (stream.received, stream.latest().robot.stamp_s) == (1, 1.0)
    assert server.connections.empty()


def test_m13_a_command_given_while_the_stream_ends_is_never_sent_over_the_next(
    session: Session, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = RemoteStream(session)
    stream.connect()
    server.accepted()
    monkeypatch.setattr(session.handshake, "deadline", lambda patience_s: stream.disconnect() or Deadline(0.0, None))
    stream.send(gripper=_half_open(0.1))
    monkeypatch.undo()
    with stream:
        server.accepted()
        stream.send(gripper=_half_open(0.9))
        assert server.got()["gripper"] == {"position": 0.9}


def test_a_stream_that_broke_takes_no_command_until_it_is_connected_again(session: Session, server: _Server) -> None:
    with RemoteStream(session) as stream:
        server.accepted().close()
        stream._receiver.join(20.0)
        for _ in range(3):
            with pytest.raises(rk.ConnectionFailed):
                stream.send(gripper=_half_open(0.1))
        stream.disconnect()
        stream.connect()
        server.accepted()
        stream.send(gripper=_half_open(0.9))
        assert server.got()["gripper"] == {"position": 0.9}


def test_after_a_reconnect_neither_states_nor_errors_of_before_are_shown(session: Session, server: _Server) -> None:
    stream = RemoteStream(session, max_age_s=60.0)
    stream.connect()
    socket = server.accepted()
    socket.send(_state(1.0))
    stream.latest()
    socket.close()
    wait_until(lambda: stream._error is not None)
    stream.disconnect()
    stream.connect()
    socket = server.accepted()
    assert stream.received == 0
    reader: list[rk.CellState] = []
    thread = threading.Thread(target=lambda: reader.append(stream.latest()))
    thread.start()
    socket.send(_state(2.0))
    thread.join(20.0)
    assert [state.robot.stamp_s for state in reader] == [2.0]
    stream.disconnect()


def test_disconnecting_ends_a_wait_and_every_thread(session: Session, server: _Server) -> None:
    session.timeout_s = 60.0
    stream, errors = RemoteStream(session), []
    stream.connect()
    socket = server.accepted()

    def wait() -> None:
        try:
            stream.latest()
        except rk.RobotkitError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    stream.disconnect()
    waiting.join(20.0)
    assert [type(error) for error in errors] == [rk.NotConnected]
    assert not stream._receiver.is_alive()
    assert not stream._sender.is_alive()
    wait_until(lambda: socket.close_code is not None)
    stream.disconnect()
    for use in (stream.latest, lambda: stream.send(gripper=_half_open(0.5))):
        with pytest.raises(rk.NotConnected, match="connect"):
            use()


class _Leisurely(RemoteStream):
    """Takes its time to end."""

    ended = 0

    def _receive(self, socket: object) -> None:
        super()._receive(socket)
        time.sleep(0.02)
        self.ended += 1

    def _send(self, socket: object) -> None:
        super()._send(socket)
        time.sleep(0.05)
        self.ended += 1


def test_when_it_is_disconnected_nothing_of_it_goes_on(session: Session, server: _Server) -> None:
    stream = _Leisurely(session)
    with stream:
        server.accepted()
    assert stream.ended == 2


def test_a_server_that_goes_is_told_apart_from_one_that_breaks_off(session: Session, server: _Server) -> None:
    for close, words in (
        (lambda socket: socket.close(), "closed the stream"),
        (lambda socket: socket.close(1011), "broke"),
    ):
        with RemoteStream(session) as stream:
            close(server.accepted())
            assert words in str(wait_for_error(stream.latest, rk.ConnectionFailed))


def test_a2_a_signal_handler_may_disconnect_a_stream_whose_lock_its_thread_holds(
    session: Session, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_stream, "_ENDED_S", 0.05)
    stream = RemoteStream(session)
    stream.connect()
    socket = server.accepted()
    with stream._changed:
        socket.send(_state(1.0))
        stream.disconnect()
    with pytest.raises(rk.NotConnected):
        stream.latest()
    stream._receiver.join(20.0)
    stream._sender.join(20.0)
    assert not stream._receiver.is_alive()
    assert not stream._sender.is_alive()
