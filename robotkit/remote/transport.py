"""`Transport`: web requests to one server over connections that stay open, with robotkit's errors."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import httpcore
import httpx

from robotkit.errors import ConnectionFailed, InvalidConfiguration, ProtocolError, RemoteTimeout
from robotkit.remote.patience import PatientBackend

_KEPT_OPEN_S = 5.0
"""A connection that is idle for longer is replaced: the server may have closed it meanwhile."""
_CONNECTIONS_MAX = 100
_ANSWER_BYTES_MAX = 2**28
"""Several times the largest picture with its depths."""
_FAILURES = (httpcore.NetworkError, httpcore.RemoteProtocolError)

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Answer:
    """What a server answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport:
    """Safe to use from several threads.

    It speaks to httpcore, without httpx above it, whose models of a request and its answer cost a control step a tenth
    of its time. No proxy from the environment: a command to a robot takes the direct way or none.

    Args:
        url: of the server; nothing stands behind its port.
        tls: how its certificate is checked; None for one without TLS.
    """

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._name = str(url).rstrip("/")
        self._scheme, self._address, self._port = url.raw_scheme, url.raw_host, url.port
        self._host: Header = (b"Host", url.netloc)
        self._tls = tls
        self._network = PatientBackend()
        self._pool = self._new_pool()

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
        target = f"{path}?{urlencode(query)}" if query else path
        length = b"%d" % len(content or b"")
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=self._scheme, host=self._address, port=self._port, target=target),
            headers=[self._host, *headers, *([(b"Content-Length", length)] if method == "POST" else [])],
            content=content,
            extensions={"timeout": {"pool": timeout_s}},
        )
        try:
            with self._network.patience(timeout_s):
                response = self._pool.handle_request(request)
                try:
                    body = self._read(response)
                finally:
                    response.close()
        except httpcore.TimeoutException as error:
            raise RemoteTimeout(f"{self._name} did not answer {method} {path} within {timeout_s:g} s") from error
        except httpcore.LocalProtocolError:
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
        names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, names, body)

    def _read(self, response: httpcore.Response) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_stream():
            pieces.append(piece)
            size += len(piece)
            if size > _ANSWER_BYTES_MAX:
                raise ProtocolError(f"not a robot server: {self._name} answered more than {_ANSWER_BYTES_MAX} bytes")
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()

    def _new_pool(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            self._tls,
            max_connections=_CONNECTIONS_MAX,
            keepalive_expiry=_KEPT_OPEN_S,
            network_backend=self._network,
        )
