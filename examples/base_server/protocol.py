"""openpi's protocol on the side of the server; it needs no PyTorch, so that any policy's own environment can use it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from rl.link.policy_client import TOKEN_VARIABLE
from rl.link.policy_codec import pack, unpack

logger = logging.getLogger(__name__)

MAX_OBSERVATION_BYTES = 64 << 20
"""Largest message of a client: sixty raw images of 640 x 480 pixels."""

Act = Callable[[Mapping[str, Any]], np.ndarray]
"""Gives the next actions (H, A) for an observation, arrays by name."""


class PolicyServer:
    """Serves a policy. Each connection is an episode.

    Args:
        begin: called when an episode begins; gives the function that acts in it.
        description: of the policy, and of no other one.
    """

    def __init__(self, begin: Callable[[], Act], description: Mapping[str, Any]) -> None:
        self._begin, self._description = begin, dict(description)

    def handle(self, connection: ServerConnection) -> None:
        """Serve one connection until the client closes it; it is told what goes wrong."""
        try:
            connection.send(pack(self._description))
            act = self._begin()
            for message in connection:
                if isinstance(message, str):
                    raise TypeError("an observation is a binary message")
                connection.send(pack({"actions": act(unpack(message))}))
        except ConnectionClosed:
            return
        except Exception as error:
            logger.exception("an episode has ended with an error")
            connection.send(f"{type(error).__name__}: {error}")

    def listen(self, host: str, port: int) -> Server:
        """A server that listens; port 0 takes a free one."""
        return serve(
            self.handle,
            host,
            port,
            process_request=refuse_strangers,
            compression=None,
            max_size=MAX_OBSERVATION_BYTES,
        )

    def serve(self, host: str, port: int) -> None:
        """Listen until the process is ended, and say where."""
        with self.listen(host, port) as listening:
            port = listening.socket.getsockname()[1]
            print(f"{self._description.get('policy')} at ws://{host}:{port}", flush=True)
            listening.serve_forever()


def one_at_a_time(begin: Callable[[], Act]) -> Callable[[], Act]:
    """Episodes of a policy that keeps something between its steps: only the newest one goes on.

    A client that has given up a question begins the next episode while the policy may still compute its answer.
    """
    lock, newest = threading.Lock(), [object()]

    def begin_alone() -> Act:
        with lock:
            act, own = begin(), object()
            newest[0] = own

        def act_alone(sent: Mapping[str, Any]) -> np.ndarray:
            with lock:
                if newest[0] is not own:
                    raise RuntimeError("another episode has begun, and this policy acts in one at a time")
                return act(sent)

        return act_alone

    return begin_alone


def refuse_strangers(connection: ServerConnection, request: Request) -> Response | None:
    """Refuse a client without the token of RL_BASE_TOKEN, where that is set."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None or request.headers.get("Authorization") == f"Api-Key {token}":
        return None
    return connection.respond(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong\n")
