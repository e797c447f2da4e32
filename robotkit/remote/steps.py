"""`RemoteSteps`: control steps over one websocket, a request and its answer at a time."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from robotkit.errors import ConnectionFailed, ProtocolError, RemoteTimeout, error_from_code
from robotkit.remote.session import Session
from robotkit.remote.socket import open_socket
from robotkit.schema import CellState, StepRequest
from robotkit.schema.wire import NumberedStep, StreamDown, StreamError, StreamState

_DOWN: TypeAdapter[StreamState | StreamError] = TypeAdapter(StreamDown)


class RemoteSteps:
    """What `POST /v1/step` does at a fraction of its cost; the connection opens with the first step.

    Steps are numbered, and so are their answers. Anything but a clean answer closes the connection, so that a late one
    is never taken for the answer to another step.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._in_turn = threading.Lock()
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()
        self._seq = 0

    def step(self, request: StepRequest, timeout_s: float) -> CellState:
        """Send `request` once and wait for its answer.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            CommandExpired: it could not start in time, and was not carried out.
            ConnectionFailed: nobody answers; it is unknown whether the step was carried out.
            RemoteTimeout: no answer in time; likewise.
            ProtocolError: something else was answered, or server and client speak no common version.
        """
        with self._in_turn, self._session.handshake.doubted():
            deadline_s = self._session.handshake.deadline_s(timeout_s - request.period_s)
            self._seq += 1
            try:
                answer = self._exchange(self._seq, request, deadline_s, timeout_s)
            except BaseException:
                self.close()
                raise
            if isinstance(answer, StreamError):
                raise error_from_code(answer.code, answer.message)
            return answer.state

    def close(self) -> None:
        """Close the connection: the robot holds. The next step opens a new one."""
        self._socket = None
        self._opened.close()

    def _exchange(
        self, seq: int, request: StepRequest, deadline_s: float, timeout_s: float
    ) -> StreamState | StreamError:
        message = NumberedStep.trusted(**vars(request), seq=seq, deadline_s=deadline_s)
        try:
            if self._socket is None:
                self._socket = open_socket(self._session, "/v1/steps", self._opened)
            self._socket.send(message.model_dump_json())
            answer = _DOWN.validate_json(self._socket.recv(timeout_s), extra="ignore")
        except TimeoutError as error:
            raise RemoteTimeout(f"{self._session.url} did not answer a step within {timeout_s:g} s") from error
        except ConnectionClosed as error:
            raise ConnectionFailed(f"{self._session.url} closed the connection during a step: {error}") from error
        except (ValueError, TypeError, ArithmeticError) as error:
            raise ProtocolError(f"the server's answer to a step is not a state: {error}") from error
        if answer.seq != seq:
            raise ProtocolError(f"the server answered step {answer.seq} where step {seq} was asked")
        return answer
