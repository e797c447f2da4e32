"""`RemoteSteps`: control steps over one websocket, a request and its answer at a time."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress

from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from robotkit.errors import Busy, ConnectionFailed, ProtocolError, RemoteTimeout, error_from_code
from robotkit.remote.handshake import timed_text
from robotkit.remote.race import hang_up
from robotkit.remote.session import Session
from robotkit.remote.socket import open_socket
from robotkit.schema import CellState, StepRequest
from robotkit.schema.wire import NumberedStep, StreamDown, StreamError, StreamState

_DOWN: TypeAdapter[StreamState | StreamError] = TypeAdapter(StreamDown)


class RemoteSteps:
    """Control steps as with `POST /v1/step`, at a fraction of its cost; the first step opens the connection.

    Steps are numbered, and so are their answers. Anything but a clean answer closes the connection, so that a late one
    is never taken for the answer to another step.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._in_turn = threading.RLock()
        """Re-entrant lock: a signal handler may come in the thread that holds it."""
        self._stepping: int | None = None
        """The thread of the step that is under way."""
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()
        self._closings = 0
        self._seq = 0

    def step(self, request: StepRequest, timeout_s: float) -> CellState:
        """Send `request` once and wait for its answer.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            CommandExpired: it could not start in time, and was not carried out.
            ConnectionFailed: nobody answers; it is unknown whether the step was carried out.
            RemoteTimeout: no answer in time; likewise.
            ProtocolError: something else was answered, or server and client speak no common version.
            Busy: it is asked for by a signal handler that has interrupted another.
        """
        commands_nothing = request.command is None and request.gripper is None  # and was made from no state
        closings, seen = self._closings, None if commands_nothing else self._session.seen.text
        try:
            if not self._in_turn.acquire(timeout=timeout_s):
                raise RemoteTimeout(f"another step to {self._session.url} did not end within {timeout_s:g} s")
            if self._stepping == threading.get_ident():
                raise Busy("a step of this thread is under way; a signal handler may stop, hold and disconnect")
            with self._session.handshake.doubted():
                answer = self._step(request, timeout_s, closings, seen)
        finally:
            with suppress(RuntimeError):  # this thread does not have it: another has, or Ctrl+C came before
                self._in_turn.release()
        return answer

    def close(self) -> None:
        """Close the connection: the robot holds, and a step that is under way fails. The next one opens a new one."""
        self._closings += 1
        socket = self._socket
        if socket is not None and self._stepping is not None:
            hang_up(socket.socket)
        if self._stepping != threading.get_ident():  # else the step that a signal handler interrupted does it
            self._forget()

    def _forget(self) -> None:
        self._socket = None
        self._opened.close()

    def _step(self, request: StepRequest, timeout_s: float, closings: int, seen: str | None) -> CellState:
        try:
            self._stepping = threading.get_ident()
            deadline = self._session.handshake.deadline(timeout_s - request.period_s)
            self._seq += 1
            message = NumberedStep.unchecked(
                **vars(request), seq=self._seq, deadline_s=deadline.at_s, clock=deadline.clock, seen=seen
            )
            if self._socket is None:
                self._socket = open_socket(self._session, "/v1/steps", self._opened)
            if self._closings != closings:
                raise ConnectionFailed(f"the connection to {self._session.url} was closed during a step")
            answer = self._exchange(self._socket, message, timeout_s)
        except BaseException:
            self._forget()
            raise
        finally:
            self._stepping = None
        if isinstance(answer, StreamError):
            raise error_from_code(answer.code, answer.message)
        return answer.state

    def _exchange(self, socket: ClientConnection, message: NumberedStep, timeout_s: float) -> StreamState | StreamError:
        try:
            socket.send(timed_text(message))
            answer = _DOWN.validate_json(socket.recv(timeout_s), extra="ignore")
        except TimeoutError as error:
            raise RemoteTimeout(f"{self._session.url} did not answer a step within {timeout_s:g} s") from error
        except ConnectionClosed as error:
            raise ConnectionFailed(f"{self._session.url} closed the connection during a step: {error}") from error
        except (ValueError, TypeError, ArithmeticError) as error:
            raise ProtocolError(f"the server's answer to a step is not a state: {error}") from error
        if answer.seq != message.seq:
            raise ProtocolError(f"the server answered step {answer.seq} where step {message.seq} was asked")
        return answer
