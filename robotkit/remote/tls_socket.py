"""`TlsSocket`: a TLS connection that one thread may read while others write, as websockets does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

_HEADER_BYTES = 5
"""Header of a TLS record; its last two bytes are the length of what follows."""


def for_two_threads(tls: ssl.SSLContext) -> ssl.SSLContext:
    """A context that `websockets.sync.client.connect` takes as `ssl`, to wrap its socket with."""
    return cast(ssl.SSLContext, _Wrapper(tls))


class _Wrapper:
    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    def wrap_socket(self, plain: socket.socket, server_hostname: str | None = None) -> TlsSocket:
        return TlsSocket(plain, self._tls, server_hostname)


class TlsSocket:
    """The client's end of a TLS connection over a connected blocking socket, with the methods that websockets uses.

    OpenSSL allows one thread at a time to use the state of a connection, and `ssl.SSLSocket` leaves that to its callers
    before Python 3.12.8 and 3.13.1. Here a lock guards the state, and nobody holds it while the network is waited for.
    One thread at a time may read. Failures are those of `ssl.SSLSocket`; `fileno` is ready while there is a record that
    was not read. Ctrl+C leaves no lock behind that its own thread would wait for: what it interrupts can be closed.

    Args:
        plain: the socket; closed if the handshake fails. Its time-out is for the whole handshake.
        tls: how the certificate is checked.
        host: name of the server, as the certificate has it.

    Raises:
        ssl.SSLCertVerificationError: the certificate is refused.
        TimeoutError: the handshake did not end in time.
        OSError: the server ends the connection, or does not speak TLS.
    """

    def __init__(self, plain: socket.socket, tls: ssl.SSLContext, host: str | None) -> None:
        self.plain = plain
        """The socket beneath; to shut it down wakes whoever waits, and takes no lock."""
        self.fileno, self.settimeout, self.setsockopt = plain.fileno, plain.settimeout, plain.setsockopt
        self.getsockname, self.getpeername, self.shutdown = plain.getsockname, plain.getpeername, plain.shutdown
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._state = threading.Lock()
        """Guards the three before; taken by `with` alone, in which no Ctrl+C leaves it behind."""
        self._sending = threading.RLock()
        """Held by who sends what OpenSSL has written, in its order; re-entrant, since Ctrl+C may leave it behind."""
        self._error: BaseException | None = None
        """Why nothing can be sent any more."""
        self._header = b""
        self._body_left = 0
        try:
            self._shake_hands()
        except BaseException:
            plain.close()
            raise

    def recv(self, bufsize: int) -> bytes:
        """Up to `bufsize` bytes, b"" at the end of the connection; `bufsize` of 16 KiB leaves none behind unread."""
        while True:
            try:
                data = self._use(lambda: self._tls.read(bufsize))
            except ssl.SSLEOFError:  # it was not announced
                return b""
            if data is not None:
                return data
            self._feed()

    def sendall(self, data: Any) -> None:
        """Send everything; what several threads send leaves in the order of their calls, each in one piece."""
        timeout_s = self.plain.gettimeout()
        if not self._sending.acquire(timeout=-1.0 if timeout_s is None else timeout_s):
            raise TimeoutError("an earlier message was not sent in time")
        try:
            if self._error is not None:
                raise ConnectionError(f"an earlier message could not be sent: {self._error}") from self._error
            sent = 0
            with memoryview(data).cast("B") as view:
                while sent < len(view):
                    with self._state:
                        sent += self._tls.write(view[sent:])
            self._send_written()
        finally:
            self._sending.release()
        self._send_if_free()

    def close(self) -> None:
        """End the connection; a thread that waits for it wakes."""
        with suppress(OSError):  # a peer that is gone already
            self.plain.shutdown(socket.SHUT_RDWR)
        self.plain.close()

    def _shake_hands(self) -> None:
        timeout_s = self.plain.gettimeout()
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._use(self._hello) is None:
            if end_s is not None:
                left_s = end_s - time.monotonic()
                if left_s <= 0.0:
                    raise TimeoutError("the TLS handshake did not end in time")
                self.plain.settimeout(left_s)
            self._feed()
        self.plain.settimeout(timeout_s)

    def _hello(self) -> bytes:
        self._tls.do_handshake()
        return b""

    def _feed(self) -> None:
        """Wait for more of the present record, and take nothing behind it: `fileno` stays ready for that."""
        piece = self.plain.recv(self._body_left or _HEADER_BYTES - len(self._header))
        with self._state:
            if not piece:
                self._incoming.write_eof()
                return
            self._incoming.write(piece)
            if self._body_left:
                self._body_left -= len(piece)
                return
            self._header += piece
            if len(self._header) == _HEADER_BYTES:
                self._body_left, self._header = int.from_bytes(self._header[3:], "big"), b""

    def _use(self, call: Callable[[], bytes | None]) -> bytes | None:
        """Return what `call` does, or None where it needs more of the peer; sends what it wrote, such as an alert."""
        try:
            with self._state:
                return call()
        except ssl.SSLWantReadError:
            return None
        finally:
            self._send_if_free()

    def _send_if_free(self) -> None:
        """Send what was written meanwhile, unless another thread is sending: that one takes it along."""
        while self._is_unsent() and self._sending.acquire(blocking=False):
            try:
                with suppress(OSError):  # the next to write or to read is told
                    self._send_written()
            finally:
                self._sending.release()

    def _is_unsent(self) -> bool:
        with self._state:
            return self._error is None and bool(self._outgoing.pending)

    def _send_written(self) -> None:
        """Send what OpenSSL has written; called by the one thread that is sending."""
        try:
            while True:
                with self._state:
                    piece = self._outgoing.read()
                if not piece:
                    return
                self.plain.sendall(piece)
        except BaseException as error:
            self._error = error
            raise
