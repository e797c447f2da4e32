"""`PolicyScript`: a policy server whose answers a test writes, and which it may silence or end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from rl.link.policy_codec import pack, unpack


class PolicyScript:
    """What a server sends.

    Args:
        answer: gives the message for an observation: bytes, text, or None for silence.
    """

    def __init__(self, answer: Callable[[Any], bytes | str | None]) -> None:
        self.answer = answer
        self.metadata: Any = {"policy": "script"}
        self.begins = True
        """False leaves a connection without the description."""
        self.asked: list[Any] = []
        self.connections = 0
        self.may_answer = threading.Event()
        """Cleared, answers are late: they leave when it is set."""
        self.may_answer.set()

    def handle(self, connection: ServerConnection) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            if self.begins:
                connection.send(pack(self.metadata))
            for message in connection:
                self.asked.append(unpack(bytes(message)))
                answer = self.answer(self.asked[-1])
                self.may_answer.wait()
                if answer is not None:
                    connection.send(answer)
        except ConnectionClosed:
            return


def actions(*rows: float | list[float]) -> bytes:
    """A chunk of actions, one row each."""
    return pack({"actions": np.array([np.atleast_1d(row) for row in rows], np.float64)})


@contextmanager
def serving(script: PolicyScript, port: int = 0) -> Iterator[str]:
    """The address of a server of this process."""
    with serve(script.handle, "127.0.0.1", port, compression=None, close_timeout=0.1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            script.may_answer.set()
            server.shutdown()
            thread.join()


@contextmanager
def silent_socket() -> Iterator[str]:
    """The address of a port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
