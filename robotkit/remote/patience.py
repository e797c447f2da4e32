"""`PatientBackend`: connections for httpcore on which a whole request, not each read of it, has a time-out."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore


class PatientBackend(httpcore.NetworkBackend):
    """Opens connections whose every wait ends when the request of the thread that waits has had its time.

    A peer that sends a byte every second, or one interim answer after the other, ends no request later than that. A
    connection that another thread closes wakes whoever waits on it.
    """

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._local = threading.local()

    @contextmanager
    def patience(self, timeout_s: float) -> Iterator[None]:
        """Inside, this thread waits for `timeout_s` in all."""
        self._local.end_s = time.monotonic() + timeout_s
        try:
            yield
        finally:
            del self._local.end_s

    def left_s(self, error: type[httpcore.TimeoutException]) -> float:
        """How long this thread may still wait; raises `error` when it may not."""
        left_s: float = self._local.end_s - time.monotonic()
        if left_s <= 0.0:
            raise error("the time for the whole request is over")
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect."""
        left_s = self.left_s(httpcore.ConnectTimeout)
        return _PatientStream(self._inner.connect_tcp(host, port, left_s, local_address, socket_options), self)


class _PatientStream(httpcore.NetworkStream):
    """A connection."""

    def __init__(self, inner: httpcore.NetworkStream, backend: PatientBackend) -> None:
        self._inner, self._backend = inner, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        with suppress(OSError):  # a peer that is gone already
            self._inner.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._backend.left_s(httpcore.ConnectTimeout)
        return _PatientStream(self._inner.start_tls(ssl_context, server_hostname, left_s), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
