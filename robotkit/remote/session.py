"""`Session`: one keep-alive connection to a robot server, with timeouts and typed errors."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal, TypeVar

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
from robotkit.remote.alone import DONE
from robotkit.remote.answer import Answer, Header
from robotkit.remote.handshake import Handshake
from robotkit.remote.heartbeat import kept_up
from robotkit.remote.identity import program_name
from robotkit.remote.seen import Seen
from robotkit.remote.tls import tls_context
from robotkit.remote.transport import Transport
from robotkit.schema import Message
from robotkit.schema.wire import (
    CLIENT_HEADER,
    CLOCK_HEADER,
    DEADLINE_HEADER,
    HEARTBEAT_HEADER,
    NAME_HEADER,
    PROTOCOL_HEADER,
    PROTOCOL_NEWEST,
    SEEN_HEADER,
    STOP_HEADER,
    ErrorReply,
)

MessageT = TypeVar("MessageT", bound=Message)

HEARTBEAT_S = 1.0
"""A client that is silent for this long while a motion of its own runs counts as gone."""

_LAST_TRY_S = 0.5
"""How long a stop that nobody has answered over new connections is given over one that is open already."""

_JSON: Header = (b"Content-Type", b"application/json")


class Session:
    """Talks to one server under one client name; safe to use from several threads.

    Args:
        url: "http://host:port".
        token: the server's bearer token, when it has one; an empty one is none.
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
        address = parse_url(url)
        self.url = str(address).rstrip("/")
        self.timeout_s = timeout_s
        self.motion_timeout_s = motion_timeout_s
        self.headers = {
            CLIENT_HEADER: str(uuid.uuid4()),
            NAME_HEADER: program_name(),
            PROTOCOL_HEADER: str(PROTOCOL_NEWEST),
        }
        if token:
            if not (token.isascii() and token.isprintable()) or token != token.strip():
                raise InvalidConfiguration(
                    "a token is made of printable ASCII characters without blanks at its ends; this one cannot be sent"
                )
            self.headers["Authorization"] = f"Bearer {token}"
        self._own_headers = _raw(self.headers)
        self.tls = tls_context(address.scheme, ca_file)
        self._transport = Transport(address, self.tls)
        self.dialer = self._transport.dialer
        self.handshake = Handshake(self)
        self.seen = Seen()

    def get(self, path: str, **query: str) -> Answer:
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

    def post(self, path: str, body: Message | None = None, timeout_s: float | None = None) -> None:
        """Post a request once: a command whose fate is unknown is never sent again.

        Raises:
            RobotkitError: whatever the server raised, as the class it left as.
            ConnectionFailed: nobody answers; it is unknown whether the command was carried out.
            RemoteTimeout: no answer in time; likewise.
            ProtocolError: something answers that does not do what a robot server does.
        """
        self._require_done(self._post(path, body, timeout_s or self.timeout_s))

    def command(self, path: str, body: Message | None = None, timeout_s: float | None = None) -> None:
        """`post` for a command: it does not start after `timeout_s` from now, when nobody waits for it any more.

        Raises:
            CommandExpired: it could not start in time, and was not carried out.
            ProtocolError: server and client speak no common version; nothing was sent.
            RobotkitError: as `post` does.
        """
        self._require_done(self._command(path, body, timeout_s))

    def move(self, path: str, body: Message | None = None) -> None:
        """`command` for what answers when a motion has arrived; the motion ends when this process does, or hangs.

        Raises:
            RobotkitError: as `command` does.
        """
        self._require_done(self._move(path, body))

    def stop(self) -> None:
        """Stop the robot; only this action is sent again, over new connections, until a server answers.

        It waits for nothing else of this session, also in a signal handler at any line of it.

        Raises:
            RobotkitError: as `post` does.
        """
        path, headers = "/v1/robot/stop", [*self._own_headers, *_raw({STOP_HEADER: str(uuid.uuid4())})]
        try:
            answer = self._transport.post_alone(path, headers, self.timeout_s)
        except Exception as error:  # a connection that is open already may work where no new one does
            silent = isinstance(error, RemoteTimeout)
            timeout_s = min(self.timeout_s, _LAST_TRY_S) if silent else self.timeout_s
            try:
                answer = self._transport.request("POST", path, headers, timeout_s)
            except (ConnectionFailed, RemoteTimeout) as last:
                raise (error if isinstance(error, RobotkitError) else last) from None
        start = answer.headers.get(CLOCK_HEADER.lower())
        self.seen.answered(start)
        self.handshake.answered(start)
        glance = self._require_done(self._accepted(answer))
        if glance is not None and not glance.is_stopped:
            raise ProtocolError(f"{self.url} took the stop, and does not say that the robot is stopped")
        self.seen.stopped(answer.headers.get(SEEN_HEADER.lower()))

    def ask(self, path: str, body: Message, reply: type[MessageT]) -> MessageT:
        """`command` with `body`; parse the answer."""
        return parse(reply, self._command(path, body).content)

    def ask_after_motion(self, path: str, body: Message, reply: type[MessageT]) -> MessageT:
        """`move` with `body`; parse the answer."""
        return parse(reply, self._move(path, body).content)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._transport.close()

    def _beat(self) -> None:
        # One that is lost is made up for by the next; the motion's own answer says what is wrong with the server.
        with suppress(RobotkitError):
            self.post("/v1/control/heartbeat", timeout_s=HEARTBEAT_S)

    def _move(self, path: str, body: Message | None) -> Answer:
        with kept_up(self._beat, HEARTBEAT_S / 4):
            return self._command(path, body, self.motion_timeout_s, {HEARTBEAT_HEADER: f"{HEARTBEAT_S:g}"})

    def _command(
        self,
        path: str,
        body: Message | None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        seen = self.seen.text
        deadline = self.handshake.deadline(self.timeout_s)
        with self.handshake.doubted():
            given = {DEADLINE_HEADER: f"{deadline.at_s:.4f}", **(headers or {})}
            if seen is not None:
                given[SEEN_HEADER] = seen
            if deadline.clock is not None:
                given[CLOCK_HEADER] = deadline.clock
            return self._post(path, body, timeout_s or self.timeout_s, given)

    def _post(
        self, path: str, body: Message | None, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Answer:
        content = body.model_dump_json().encode() if body is not None else None
        return self._request("POST", path, timeout_s, content, headers)

    def _request(
        self,
        method: str,
        path: str,
        timeout_s: float,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = [*self._own_headers, *([_JSON] if content is not None else []), *_raw(headers or {})]
        answer = self._transport.request(method, path, sent, timeout_s, content, query)
        start = answer.headers.get(CLOCK_HEADER.lower())
        self.seen.answered(start)
        self.handshake.answered(start)
        self.seen.told(answer.headers.get(SEEN_HEADER.lower()))  # a refusal may tell it too
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Answer:
        if answer.status >= 400:
            raise remote_error(answer.status, answer.content)
        if answer.status not in (200, 204):
            elsewhere = f" and points to {answer.headers['location'][:200]}" if "location" in answer.headers else ""
            raise ProtocolError(
                f"not a robot server: {self.url} answered {answer.status}{elsewhere}; correct the address"
            )
        return answer

    def _require_done(self, answer: Answer) -> _Glance | None:
        """Raise unless a robot server has given this answer; a server that does not sign it is asked what it is.

        Anybody answers 204: a page that asks for a login, or one by which systems try out their network.
        """
        if answer.status != DONE:
            raise ProtocolError(
                f"not a robot server: {self.url} answered {answer.status} with {answer.content[:200]!r} to what has no "
                "answer"
            )
        if answer.is_signed:
            return None
        try:
            return self.read("/v1/health", _Glance)
        except ProtocolError as error:
            raise ProtocolError(
                f"not a robot server: {self.url} answered {answer.status}, as anybody may, and tells no health of a "
                "robot. Look at what is between; correct the address"
            ) from error


class _Glance(Message):
    """The part of its health that a robot server of any version tells."""

    cell: str
    status: Literal["ok", "stopped", "fault"]
    stop: object = None

    @property
    def is_stopped(self) -> bool:
        return self.status == "stopped" or self.stop is not None


def _raw(headers: Mapping[str, str]) -> list[Header]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


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
