"""`Session`: one keep-alive connection to a robot server, with timeouts and typed errors."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from robotkit.errors import (
    ConnectionFailed,
    InvalidConfiguration,
    ProtocolError,
    RemoteTimeout,
    RobotkitError,
    error_from_code,
)
from robotkit.remote.address import parse_url
from robotkit.remote.handshake import Handshake
from robotkit.remote.heartbeat import kept_up
from robotkit.remote.identity import program_name
from robotkit.remote.tls import tls_context
from robotkit.schema import Message
from robotkit.schema.wire import (
    CLIENT_HEADER,
    DEADLINE_HEADER,
    HEARTBEAT_HEADER,
    NAME_HEADER,
    PROTOCOL_HEADER,
    PROTOCOL_NEWEST,
    ErrorReply,
)

MessageT = TypeVar("MessageT", bound=Message)

HEARTBEAT_S = 1.0
"""A client that is silent for this long while a motion of its own runs counts as gone."""

_JSON = {"Content-Type": "application/json"}


class Session:
    """Talks to one server under one client name; safe to use from several threads.

    Args:
        url: "http://host:port".
        token: the server's bearer token, when it has one.
        timeout_s: how long to wait for an answer, beyond the time that the request itself asks for.
        motion_timeout_s: the same for requests that answer when a motion has arrived.
        ca_file: certificates to trust instead of the system's; None: as ROBOTKIT_TLS_CA says.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout_s: float = 5.0,
        motion_timeout_s: float = 120.0,
        ca_file: str | None = None,
    ) -> None:
        self._base_url = parse_url(url)
        self.url = str(self._base_url).rstrip("/")
        self.timeout_s = timeout_s
        self.motion_timeout_s = motion_timeout_s
        self.headers = {
            CLIENT_HEADER: str(uuid.uuid4()),
            NAME_HEADER: program_name(),
            PROTOCOL_HEADER: str(PROTOCOL_NEWEST),
        }
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise InvalidConfiguration("a token is made of printable ASCII characters; this one cannot be sent")
            self.headers["Authorization"] = f"Bearer {token}"
        # No proxy from the environment: a command to a robot takes the direct way or none.
        self.tls = tls_context(self._base_url.scheme, ca_file)
        self._transport = self._new_transport()
        self._urls: dict[tuple[Any, ...], httpx.URL] = {}
        self.handshake = Handshake(self)

    def get(self, path: str, **query: str) -> httpx.Response:
        """Read something. A connection that the server dropped meanwhile is replaced once.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            ConnectionFailed: nobody answers.
            RemoteTimeout: no answer in time.
        """
        try:
            return self._request("GET", path, self.timeout_s, query=query)
        except ConnectionFailed:
            return self._request("GET", path, self.timeout_s, query=query)

    def read(self, path: str, reply: type[MessageT]) -> MessageT:
        """GET `path` and parse the answer."""
        return parse(reply, self.get(path).content)

    def post(
        self,
        path: str,
        body: Message | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Do something, once: a command whose fate is unknown is never sent again.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            ConnectionFailed: nobody answers; it is unknown whether the command was carried out.
            RemoteTimeout: no answer in time; likewise.
        """
        content = body.model_dump_json() if body is not None else None
        return self._request("POST", path, timeout_s or self.timeout_s, content, headers)

    def command(
        self,
        path: str,
        body: Message | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """`post` for a command: it does not start after `timeout_s` from now, when nobody waits for it any more.

        Raises:
            CommandExpired: it could not start in time, and was not carried out.
            ProtocolError: server and client speak no common version; nothing was sent.
            RobotkitError: as `post` does.
        """
        deadline_s = self.handshake.deadline_s(self.timeout_s)
        with self.handshake.doubted():
            return self.post(path, body, timeout_s, {DEADLINE_HEADER: f"{deadline_s:.4f}", **(headers or {})})

    def move(self, path: str, body: Message | None = None) -> httpx.Response:
        """`command` for what answers when a motion has arrived; the motion ends when this process does, or hangs.

        Raises:
            RobotkitError: as `command` does.
        """
        with kept_up(self._beat, HEARTBEAT_S / 4):
            return self.command(path, body, self.motion_timeout_s, {HEARTBEAT_HEADER: f"{HEARTBEAT_S:g}"})

    def stop(self) -> None:
        """Stop the robot; the one action that is sent again when its connection turns out to be closed.

        Raises:
            RobotkitError: as `post` does.
        """
        try:
            self.post("/v1/robot/stop")
        except ConnectionFailed:
            self.post("/v1/robot/stop")

    def ask(self, path: str, body: Message, reply: type[MessageT]) -> MessageT:
        """`command` with `body`; parse the answer."""
        return parse(reply, self.command(path, body).content)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        transport, self._transport = self._transport, self._new_transport()
        transport.close()

    def _new_transport(self) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(trust_env=False, verify=self.tls or True)

    def _beat(self) -> None:
        # One that is lost is made up for by the next; the motion's own answer says what is wrong with the server.
        with suppress(RobotkitError):
            self.post("/v1/control/heartbeat", timeout_s=HEARTBEAT_S)

    def _request(
        self,
        method: str,
        path: str,
        timeout_s: float,
        content: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        # The transport alone: httpx's client above it (cookies, redirects, authentication) costs half as much again.
        request = httpx.Request(
            method,
            self._url(path, query or {}),
            headers={**self.headers, **(_JSON if content is not None else {}), **(headers or {})},
            content=content,
            extensions={"timeout": httpx.Timeout(timeout_s).as_dict()},
        )
        try:
            response = self._transport.handle_request(request)
            response.read()
        except httpx.TimeoutException as error:
            raise RemoteTimeout(f"{self.url} did not answer {method} {path} within {timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise ConnectionFailed(
                f"no robot server at {self.url} ({error or type(error).__name__}); is robotkit-serve running there?"
            ) from error
        if response.is_error:
            raise remote_error(response.status_code, response.content)
        return response

    def _url(self, path: str, query: Mapping[str, str]) -> httpx.URL:
        key = (path, *query.items())
        if key not in self._urls:
            self._urls[key] = self._base_url.copy_with(path=path, params=query or None)
        return self._urls[key]


def parse(reply: type[MessageT], content: bytes | str) -> MessageT:
    """Parse an answer; what a newer server adds to it is left out.

    Raises:
        ProtocolError: it is not a `reply`.
    """
    try:
        return reply.model_validate_json(content, extra="ignore")
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ProtocolError(f"the server's answer is not a {reply.__name__}: {error}") from error


def remote_error(status: int, content: bytes) -> RobotkitError:
    """The error that the server raised, as the class it left as."""
    try:
        answer = ErrorReply.model_validate_json(content, extra="ignore")
    except ValidationError:
        return ProtocolError(f"not a robot server: it answered {status} with {content[:200]!r}")
    return error_from_code(answer.code, answer.message)
