"""`Transport`: web requests to one server over connections that stay open, with robotkit's errors."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import h11
import httpcore
import httpx

from robotkit.errors import ConnectionFailed, InvalidConfiguration, ProtocolError, RemoteTimeout
from robotkit.remote.alone import answered_alone
from robotkit.remote.answer import Answer, Header, answer_of
from robotkit.remote.dial import Dialer
from robotkit.remote.patience import PatientBackend

_KEPT_OPEN_S = 60.0
"""A connection that is idle for longer is replaced: a server closes it after 75 s, perhaps as a command is sent."""
_ANSWER_BYTES_MAX = 2**28
"""Largest answer in bytes: several times the largest picture with its depths."""
_FAILURES = (httpcore.NetworkError, httpcore.RemoteProtocolError, OSError)
_PORTS = {"http": 80, "https": 443}


class Transport:
    """The transport of requests to one server.

    It is safe to use from several threads, and from a signal handler at any line of it: it takes no lock.

    It speaks to httpcore, without httpx above it, whose models of a request and its answer cost a control step a tenth
    of its time; and without httpcore's pool, whose lock a signal handler's request would wait for in the very thread
    that holds it. No proxy from the environment: a command to a robot takes the direct way or none.

    Args:
        url: of the server; nothing stands behind its port.
        tls: how its certificate is checked; None for one without TLS.
    """

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._name = str(url).rstrip("/")
        self._host: Header = (b"Host", url.netloc)
        port = url.port or _PORTS[url.scheme]
        self._origin = httpcore.Origin(url.raw_scheme, url.raw_host, port)
        self._tls = tls
        self.dialer = Dialer(url.raw_host.decode("ascii"), port)
        self._idle: deque[_Kept] = deque()
        """The connections over which no request runs; the longest idle one is the first."""
        self._replaced: deque[_Kept] = deque()
        """The connections that are closed once another has answered: to the server a client without any is gone."""
        self._open: set[_Kept] = set()

    def request(
        self,
        method: str,
        path: str,
        headers: list[Header],
        timeout_s: float,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, once, and read its whole answer.

        Args:
            method: "GET" or "POST".
            path: percent-encoded.
            headers: beside those that every request has.
            timeout_s: for everything together.
            content: of a POST.
            query: of the path.

        Raises:
            ConnectionFailed: nobody answers; it is unknown whether the request was carried out.
            RemoteTimeout: no whole answer in time; likewise.
            ProtocolError: the answer is larger than any of a robot server.
            InvalidConfiguration: a header cannot be sent; nothing was.
        """
        end_s = time.monotonic() + timeout_s
        target = f"{path}?{urlencode(query)}" if query else path
        length = b"%d" % len(content or b"")
        origin = self._origin
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target),
            headers=[self._host, *headers, *([(b"Content-Length", length)] if method == "POST" else [])],
            content=content,
        )
        with self._errors(method, path, timeout_s):
            return self._answer(request, end_s)

    def post_alone(self, path: str, headers: list[Header], timeout_s: float) -> Answer:
        """Send a POST without a body over new connections, to every address of the server, until one answers.

        Only for what may be carried out several times: nothing that this transport waits for delays it.

        Raises:
            ConnectionFailed: nobody answers.
            RemoteTimeout: no whole answer in time.
            InvalidConfiguration: a header cannot be sent; nothing was.
        """
        end_s = time.monotonic() + timeout_s
        sent = [self._host, *headers, (b"Content-Length", b"0"), (b"Connection", b"close")]
        with self._errors("POST", path, timeout_s):
            request = h11.Request(method=b"POST", target=path.encode(), headers=sent)
            return answered_alone(self.dialer, self._tls, self._origin.host.decode("ascii"), request, end_s)

    @contextmanager
    def _errors(self, method: str, path: str, timeout_s: float) -> Iterator[None]:
        try:
            yield
        except (httpcore.TimeoutException, TimeoutError) as error:
            raise RemoteTimeout(f"{self._name} did not answer {method} {path} within {timeout_s:g} s") from error
        except (httpcore.LocalProtocolError, h11.LocalProtocolError):
            # Its text quotes the header, which may be the token.
            raise InvalidConfiguration(
                f"a header of the request to {self._name} has characters that cannot be sent; give a token of "
                "printable ASCII characters without blanks"
            ) from None
        except _FAILURES as error:
            why = str(error) or type(error).__name__
            raise ConnectionFailed(
                f"no robot server at {self._name} ({why}); is robotkit-serve running there?"
            ) from error

    def _answer(self, request: httpcore.Request, end_s: float) -> Answer:
        while True:
            kept = self._take()
            kept.network.end_s = end_s
            try:
                response = kept.http.handle_request(request)
                try:
                    body = self._read(response)
                finally:
                    response.close()
            except httpcore.ConnectionNotAvailable:  # another thread closed it before anything was sent
                self._drop(kept)
            except BaseException:
                self._drop(kept)
                raise
            else:
                self._give_back(kept)
                self._drop_all(self._replaced)
                return answer_of(response.status, response.headers, body)

    def _take(self) -> _Kept:
        """A connection that is this caller's alone; a deque gives each to one of them."""
        while True:
            try:
                kept = self._idle.popleft()
            except IndexError:
                kept = _Kept(self._origin, self._tls, self.dialer)
                self._open.add(kept)
                return kept
            if kept.http.is_idle() and not kept.http.has_expired():
                return kept
            self._replaced.append(kept)

    def _give_back(self, kept: _Kept) -> None:
        if kept in self._open and kept.http.is_idle():
            self._idle.append(kept)
        else:
            self._drop(kept)

    def _drop(self, kept: _Kept) -> None:
        self._open.discard(kept)
        kept.http.close()

    def _drop_all(self, connections: deque[_Kept]) -> None:
        while connections:
            with suppress(IndexError):  # another thread took the last one
                self._drop(connections.popleft())

    def _read(self, response: httpcore.Response) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_stream():
            pieces.append(piece)
            size += len(piece)
            if size > _ANSWER_BYTES_MAX:
                raise ProtocolError(f"not a robot server: {self._name} answered more than {_ANSWER_BYTES_MAX} bytes")
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connections, also of requests that wait; the next request opens new ones."""
        self._drop_all(self._idle)
        self._drop_all(self._replaced)
        for kept in list(self._open):
            # Whoever uses it closes it: the number of its file must not become that of another connection meanwhile.
            self._open.discard(kept)
            kept.network.hang_up()


class _Kept:
    """A connection, and what bounds the time of its present request."""

    def __init__(self, origin: httpcore.Origin, tls: ssl.SSLContext | None, dialer: Dialer) -> None:
        self.network = PatientBackend(dialer)
        self.http = httpcore.HTTPConnection(
            origin, ssl_context=tls, keepalive_expiry=_KEPT_OPEN_S, network_backend=self.network
        )
