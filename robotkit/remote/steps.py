"""`RemoteSteps`: control steps over one websocket, a request and its answer at a time."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from pydantic import TypeAdapter, ValidationError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from robotkit.errors import ConnectionFailed, ProtocolError, RemoteTimeout, error_from_code
from robotkit.remote.session import Session
from robotkit.remote.socket import open_socket
from robotkit.schema import CellState, StepRequest
from robotkit.schema.wire import StreamDown, StreamError, StreamState

_DOWN: TypeAdapter[StreamState | StreamError] = TypeAdapter(StreamDown)


class RemoteSteps:
    """What `POST /v1/step` does at a fraction of its cost; the connection opens with the first step."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._in_turn = threading.Lock()
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()

    def step(self, request: StepRequest, timeout_s: float) -> CellState:
        """Send `request` once and wait for its answer.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            ConnectionFailed: nobody answers; it is unknown whether the step was carried out.
            RemoteTimeout: no answer in time; likewise.
        """
        with self._in_turn:
            try:
                answer = _DOWN.validate_json(self._exchange(request.model_dump_json(), timeout_s))
            except ValidationError as error:
                self.close()
                raise ProtocolError(f"the server's answer to a step is not a state: {error}") from error
        if isinstance(answer, StreamError):
            raise error_from_code(answer.code, answer.message)
        return answer.state

    def close(self) -> None:
        """Close the connection: the robot holds. The next step opens a new one."""
        self._socket = None
        self._opened.close()

    def _exchange(self, text: str, timeout_s: float) -> str | bytes:
        try:
            if self._socket is None:
                self._socket = open_socket(self._session, "/v1/steps", self._opened)
            self._socket.send(text)
            return self._socket.recv(timeout_s)
        except TimeoutError as error:
            # A late answer must never be taken for the answer to the next step.
            self.close()
            raise RemoteTimeout(f"{self._session.url} did not answer a step within {timeout_s:g} s") from error
        except ConnectionClosed as error:
            self.close()
            raise ConnectionFailed(f"{self._session.url} closed the connection during a step: {error}") from error
