"""A websocket server that answers the handshake of the protocol, and then what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from robotkit.remote import Session
from robotkit.schema.wire import PROTOCOL_NEWEST, PROTOCOL_OLDEST, ProtocolInfo


def _greet(peer: ServerConnection, request: Request) -> Response | None:
    """Answer the handshake, which is a web request."""
    if request.path != "/v1/protocol":
        return None
    info = ProtocolInfo(oldest=PROTOCOL_OLDEST, newest=PROTOCOL_NEWEST, now_s=time.monotonic())
    return peer.respond(HTTPStatus.OK, info.model_dump_json())


@contextmanager
def scripted(handler: Callable[[ServerConnection], object]) -> Iterator[Session]:
    """A session with a server that does `handler` with each of its connections."""
    with serve(handler, "127.0.0.1", 0, process_request=_greet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with closing(Session(f"http://127.0.0.1:{server.socket.getsockname()[1]}", timeout_s=20.0)) as session:
                yield session
        finally:
            server.shutdown()
            thread.join()
