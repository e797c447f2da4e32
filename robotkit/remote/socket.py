"""`open_socket`: a websocket to a robot server, with typed errors."""

from __future__ import annotations

import time
from contextlib import ExitStack

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from robotkit.errors import ConnectionFailed, RemoteTimeout
from robotkit.remote.session import Session, remote_error
from robotkit.remote.tls_socket import for_two_threads
from robotkit.schema.wire import CLOCK_HEADER

_CLOSE_TIMEOUT_S = 1.0


def open_socket(session: Session, path: str, stack: ExitStack) -> ClientConnection:
    """Connect under the session's client name and token; `stack` closes the connection.

    Raises:
        ConnectionFailed: nobody answers.
        RemoteTimeout: no answer in time.
        Unauthorized: the token is missing or wrong.
    """
    end_s = time.monotonic() + session.timeout_s
    try:
        peer = session.dialer.connect(end_s)
        peer.setblocking(True)
        socket = stack.enter_context(
            connect(
                session.url.replace("http", "ws", 1) + path,
                sock=peer,
                additional_headers=session.headers,
                open_timeout=max(0.0, end_s - time.monotonic()),
                close_timeout=_CLOSE_TIMEOUT_S,
                compression=None,
                proxy=None,
                ssl=session.tls and for_two_threads(session.tls),
            )
        )
    except InvalidStatus as error:
        raise remote_error(error.response.status_code, bytes(error.response.body or b"")) from error
    except TimeoutError as error:
        raise RemoteTimeout(f"{session.url} did not open {path} in time") from error
    except (OSError, WebSocketException) as error:
        raise ConnectionFailed(
            f"no robot server at {session.url} ({error}); is robotkit-serve running there?"
        ) from error
    session.seen.answered(None if socket.response is None else socket.response.headers.get(CLOCK_HEADER))
    return socket
