"""`PatientBackend`: a connection for httpcore whose time-out is for a whole request instead of each read."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import httpcore

from robotkit.remote.dial import Dialer
from robotkit.remote.race import FilelessSelector, hang_up

T = TypeVar("T")


class PatientBackend(httpcore.NetworkBackend):
    """Opens a connection whose every wait ends when its present request has had its time.

    A peer that sends a byte every second, or one interim answer after the other, ends no request later than that. A
    connection that is hung up wakes whoever waits on it.

    Args:
        dialer: opens it.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._peer: socket.socket | None = None
        self.end_s = 0.0
        """When the present request has had its time, in monotonic seconds."""

    def left_s(self) -> float:
        """How long it may still wait.

        Raises:
            TimeoutError: not any more.
        """
        left_s = self.end_s - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError("the time for the whole request is over")
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the server of the dialer."""
        peer = _tried(lambda: self._dialer.connect(self.end_s), httpcore.ConnectTimeout, httpcore.ConnectError)
        self._peer = peer
        return _PatientStream(peer, self)

    def hang_up(self) -> None:
        """End the connection, and whatever wait for it; from any thread."""
        if self._peer is not None:
            hang_up(self._peer)

    def secured(self, peer: socket.socket) -> None:
        """Note that the connection goes on over this socket."""
        self._peer = peer


class _PatientStream(httpcore.NetworkStream):
    def __init__(self, peer: socket.socket, backend: PatientBackend) -> None:
        self._peer, self._backend = peer, backend
        self._unsent = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            self._send()
        return self._waited(lambda: self._peer.recv(max_bytes), httpcore.ReadTimeout, httpcore.ReadError)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Keep the head of a request until its answer is read: sent with its body it wakes the server only once."""
        self._unsent += buffer

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, b""
        with suppress(httpcore.WriteError):  # as httpcore does: the server may have answered before it closed
            self._waited(lambda: self._peer.sendall(unsent), httpcore.WriteTimeout, httpcore.WriteError)

    def close(self) -> None:
        self._peer.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._waited(
            lambda: ssl_context.wrap_socket(self._peer, server_hostname=server_hostname),
            httpcore.ConnectTimeout,
            httpcore.ConnectError,
        )
        self._backend.secured(secured)
        return _PatientStream(secured, self._backend)

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore whether there is something to read: of an idle connection that means that it is over."""
        if info != "is_readable":
            return None
        try:
            with FilelessSelector() as selector:
                selector.register(self._peer, selectors.EVENT_READ)
                return bool(selector.select(0.0))
        except (OSError, ValueError):  # another thread has closed it
            return True

    def _waited(
        self,
        work: Callable[[], T],
        timeout: type[httpcore.TimeoutException],
        failure: type[httpcore.NetworkError],
    ) -> T:
        def wait() -> T:
            self._peer.settimeout(self._backend.left_s())
            return work()

        return _tried(wait, timeout, failure)


def _tried(work: Callable[[], T], timeout: type[httpcore.TimeoutException], failure: type[httpcore.NetworkError]) -> T:
    try:
        return work()
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise failure(str(error)) from error
