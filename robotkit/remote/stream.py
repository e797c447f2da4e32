"""`RemoteStream`: states and commands over one websocket, newest wins both ways."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from robotkit.devices.first_cause import noted_on
from robotkit.errors import (
    CommandExpired,
    ConnectionFailed,
    NotConnected,
    ProtocolError,
    RemoteError,
    RemoteTimeout,
    RobotkitError,
    StaleState,
    error_from_code,
)
from robotkit.remote.handshake import timed_text
from robotkit.remote.session import Session, parse
from robotkit.remote.socket import open_socket
from robotkit.schema import CellState, GripperCommand, RobotCommand
from robotkit.schema.wire import StreamAck, StreamCommand, StreamError, StreamState

_WINDOW = 32
"""States that may be on their way: 64 ms at 500 Hz, so a reader that was held up sees nothing older."""
_ENDED_S = 1.0
"""How long `disconnect` waits for each thread, which in a signal handler may wait for the interrupted call."""


class RemoteStream:
    """A stream of states and commands: states arrive by themselves, and only the newest state and command are kept.

    Args:
        session: the server, and under whose name to command there.
        rate_hz: states per second that the server shall send.
        max_age_s: `latest` refuses a state that arrived longer ago.
    """

    def __init__(self, session: Session, rate_hz: float = 100.0, max_age_s: float = 0.2) -> None:
        self._session = session
        self._rate_hz = rate_hz
        self._max_age_s = max_age_s
        self._changed = threading.Condition()
        self._socket: ClientConnection | None = None
        self._state: tuple[float, str] | None = None
        self._command: StreamCommand | None
        self._error: RobotkitError | None = None
        self.received = 0
        """States that arrived since `connect()`."""

    def connect(self) -> None:
        """Open the stream. Connecting twice changes nothing.

        Raises:
            ConnectionFailed: nobody answers.
            Unauthorized: the token is missing or wrong.
        """
        if self._socket is not None:
            return
        self._session.handshake.forget()  # what it found may be of a server before
        self._state = self._command = self._error = None
        self.received = 0
        with ExitStack() as opened:
            path = f"/v1/stream?rate_hz={self._rate_hz:g}&window={_WINDOW}"
            socket = open_socket(self._session, path, opened)
            self._receiver, self._sender = (
                threading.Thread(target=work, args=(socket,), daemon=True) for work in (self._receive, self._send)
            )
            self._opened = opened.pop_all()
        self._socket = socket
        self._receiver.start()
        self._sender.start()

    def disconnect(self) -> None:
        """Close the stream; if the newest command went over it, the robot holds at once."""
        with self._changed:
            socket, self._socket = self._socket, None
            self._changed.notify_all()
        if socket is not None:
            self._opened.close()
            for thread in (self._receiver, self._sender):
                if thread.is_alive():
                    thread.join(_ENDED_S)

    def latest(self) -> CellState:
        """The newest state; waits for the first one.

        Raises:
            StaleState: nothing arrived for `max_age_s`.
            RobotkitError: what the server reported since the last call, as the class it left as.
            NotConnected: before `connect()`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state or self._error or not self._socket, self._session.timeout_s)
            self._raise_errors()
            if self._state is None:
                raise RemoteTimeout(f"{self._session.url} sent no state within {self._session.timeout_s:g} s")
            arrived_s, text = self._state
        age_s = time.monotonic() - arrived_s
        if age_s > self._max_age_s:
            raise StaleState(f"the newest state arrived {age_s:.3f} s ago; allowed are {self._max_age_s:g} s")
        state = parse(StreamState, text).state
        self._session.seen.read(state.robot)
        return state

    def send(self, command: RobotCommand | None = None, gripper: GripperCommand | None = None) -> None:
        """Hand over new targets and return at once; they replace targets that were not sent yet.

        Raises:
            RobotkitError: what the server reported since the last call; this command is then not sent.
            ConnectionFailed: the stream is broken.
            NotConnected: before `connect()`.
        """
        seen = self._session.seen.text
        with self._changed:
            self._raise_errors()
        if not self._receiver.is_alive():
            raise ConnectionFailed(f"the stream to {self._session.url} is broken; call disconnect() and connect()")
        at_s, clock = self._session.handshake.deadline(self._session.timeout_s)
        message = StreamCommand.unchecked(
            type="command", command=command, gripper=gripper, deadline_s=at_s, clock=clock, seen=seen
        )
        with self._changed:
            self._command = message
            self._changed.notify_all()

    def _raise_errors(self) -> None:
        if self._socket is None:
            raise NotConnected("the stream is not connected; call connect() or use it in a `with` block")
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _receive(self, socket: ClientConnection) -> None:
        try:
            for text in socket:
                self._take(socket, str(text))
            self._fail(ConnectionFailed(f"{self._session.url} closed the stream"))
        except ConnectionClosed as error:
            self._fail(ConnectionFailed(f"the stream from {self._session.url} broke: {error}"))

    def _take(self, socket: ClientConnection, text: str) -> None:
        if text.startswith('{"type":"state"'):
            with self._changed:
                self._state = (time.monotonic(), text)
                self.received += 1
                self._changed.notify_all()
            if self.received % (_WINDOW // 4) == 0:
                socket.send(StreamAck.unchecked(type="ack", seq=self.received).model_dump_json())
        else:
            self._fail(_reported(text))

    def _send(self, socket: ClientConnection) -> None:
        try:
            while (command := self._next_command(socket)) is not None:
                socket.send(timed_text(command))
        except ConnectionClosed as error:
            self._fail(ConnectionFailed(f"the stream to {self._session.url} broke: {error}"))

    def _next_command(self, socket: ClientConnection) -> StreamCommand | None:
        with self._changed:
            self._changed.wait_for(lambda: self._command or self._socket is not socket)
            command, self._command = self._command, None
            return command if self._socket is socket else None

    def _fail(self, error: RobotkitError) -> None:
        if isinstance(error, (CommandExpired, RemoteError)):
            self._session.handshake.forget()
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with noted_on(error):
            self.disconnect()


def _reported(text: str) -> RobotkitError:
    try:
        report = parse(StreamError, text)
    except ProtocolError as error:
        return error
    return error_from_code(report.code, report.message)
