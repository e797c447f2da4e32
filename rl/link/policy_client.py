"""`PolicyClient`: asks a policy behind a websocket for actions, over the protocol of openpi's policy server."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from rl.errors import CodecError, PolicyUnavailable
from rl.link.policy_codec import pack, unpack
from rl.utils.subprocesses import Stop

TOKEN_VARIABLE = "RL_BASE_TOKEN"
"""Environment variable with the secret of the server."""

MAX_ANSWER_BYTES = 4 << 20
"""Largest message of the server: a chunk of a thousand actions is a tenth of it."""
_MAX_CHUNK = 1000
_CLOSE_TIMEOUT_S = 0.2
_POLL_TIMEOUT_S = 0.2  # the longest wait between two checks of the stop signal
_STOPPED = "was waited for no longer: somebody asked for the end"


class PolicyClient:
    """One connection to a policy server; after an error there is none until `connect`.

    A late answer belongs to a connection that was given up: it is never taken for that of a newer question.

    Args:
        url: `ws://host:port` or `wss://…`.
        stop: ends every wait for the server.
    """

    def __init__(self, url: str, stop: Stop | None = None) -> None:
        self.url = url
        self._stop = stop
        self._socket: ClientConnection | None = None
        self._stack = ExitStack()

    def connect(self, timeout_s: float) -> Mapping[str, Any]:
        """Connect anew, and return what the server tells of its policy.

        Raises:
            PolicyUnavailable: nobody answers in time, or refuses the token.
        """
        self.close()
        try:
            self._socket, self._stack = self._opened(timeout_s)
        except InvalidStatus as error:
            status = error.response.status_code
            how = f": set {TOKEN_VARIABLE} to its token" if status in (401, 403) else ""
            raise PolicyUnavailable(f"the policy at {self.url} refuses the connection ({status}){how}") from error
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise PolicyUnavailable(f"no policy answers at {self.url}: {error or type(error).__name__}") from error
        with self._limited(timeout_s):
            metadata = self._read()
        if isinstance(metadata, Mapping):
            return metadata
        raise self._given_up("begins with no description of its policy: it is no policy server")

    def infer(self, observation: Mapping[str, Any], action_dim: int, timeout_s: float) -> np.ndarray:
        """The next actions (H, A) for an observation, H at least 1, all finite.

        Args:
            observation: arrays and plain values by name.
            action_dim: how many numbers an action has, A.
            timeout_s: of everything together.

        Raises:
            PolicyUnavailable: there is no connection, no answer in time, or one that is no such actions.
        """
        packed = pack(observation)
        with self._limited(timeout_s):
            self._connected().send(packed)
            answer = self._read()
        actions = answer.get("actions") if isinstance(answer, Mapping) else None
        if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "fiu":
            raise self._given_up("answers without `actions`")
        chunk = np.atleast_2d(actions)
        if chunk.ndim != 2 or chunk.shape[1] != action_dim or not 1 <= len(chunk) <= _MAX_CHUNK:
            raise self._given_up(
                f"answers with actions of shape {actions.shape}, and (1 to {_MAX_CHUNK}, {action_dim}) is right"
            )
        if not np.isfinite(chunk).all():
            raise self._given_up("answers with actions that are not finite")
        return chunk

    def close(self) -> None:
        """Give up the connection."""
        if self._socket is not None:
            _cut(self._socket)
            _close(self._stack)
            self._socket = None

    def _opened(self, timeout_s: float) -> tuple[ClientConnection, ExitStack]:
        """A connection; it is opened in a thread, which a stop leaves behind: it closes what it then still opens."""
        token = os.environ.get(TOKEN_VARIABLE)
        opening: Future[tuple[ClientConnection, ExitStack]] = Future()

        def work() -> None:
            try:
                stack = ExitStack()
                connection = stack.enter_context(
                    connect(
                        self.url,
                        additional_headers={"Authorization": f"Api-Key {token}"} if token else None,
                        compression=None,
                        open_timeout=timeout_s,
                        close_timeout=_CLOSE_TIMEOUT_S,
                        ping_interval=None,  # a server may not answer pings while it computes; every wait has a limit
                        max_size=MAX_ANSWER_BYTES,
                        proxy=None,
                    )
                )
            except Exception as error:
                if opening.set_running_or_notify_cancel():
                    opening.set_exception(error)
                return
            if opening.set_running_or_notify_cancel():
                opening.set_result((connection, stack))
            else:
                _close(stack)

        threading.Thread(target=work, name="policy connection", daemon=True).start()
        while not wait((opening,), _POLL_TIMEOUT_S).done:
            if self._is_stopped() and opening.cancel():
                raise PolicyUnavailable(f"the policy at {self.url} {_STOPPED}")
        return opening.result()

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise PolicyUnavailable(f"the connection to the policy at {self.url} was given up in this episode")
        return self._socket

    def _read(self) -> Any:
        message = self._connected().recv()
        if isinstance(message, str):
            raise self._given_up(f"says: {message.strip()[-300:]}")
        return unpack(bytes(message))

    @contextmanager
    def _limited(self, timeout_s: float) -> Iterator[None]:
        """Cut the connection when the time is over or a stop is asked for, whatever waits on it then."""
        connection, has_ended, reasons = self._connected(), threading.Event(), list[str]()
        deadline_s = time.monotonic() + timeout_s

        def watch() -> None:
            left_s = timeout_s
            while left_s > 0.0 and not self._is_stopped():
                if has_ended.wait(min(left_s, _POLL_TIMEOUT_S)):
                    return
                left_s = deadline_s - time.monotonic()
            reasons.append(f"did not answer within {timeout_s:g} s" if left_s <= 0.0 else _STOPPED)
            _cut(connection)

        threading.Thread(target=watch, name="policy limit", daemon=True).start()
        try:
            yield
        except (ConnectionClosed, OSError) as error:
            raise self._given_up(reasons[0] if reasons else f"is gone: {error}") from error
        except CodecError as error:
            raise self._given_up(f"does not speak openpi's protocol: {error}") from error
        finally:
            has_ended.set()
        if reasons:
            raise self._given_up(reasons[0])

    def _given_up(self, fault: str) -> PolicyUnavailable:
        """The error that gives up the connection."""
        self.close()
        return PolicyUnavailable(f"the policy at {self.url} {fault}")


def _close(stack: ExitStack) -> None:
    with suppress(OSError, WebSocketException):
        stack.close()


def _cut(connection: ClientConnection) -> None:
    with suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)
