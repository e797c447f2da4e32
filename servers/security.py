"""`Guard`: the ASGI layer that refuses requests without a token, and those of foreign web pages."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from robotkit.errors import Forbidden, RobotkitError, Unauthorized
from servers import access
from servers.connections import CONNECTION, Peer, has_body
from servers.errors import error_response
from servers.events import Event, EventHub
from servers.settings import LOOPBACK_HOSTS, ServerSettings
from servers.wrong_tokens import MOST, WITHIN_S, WrongTokens

PAGE_PATHS = frozenset({"/", "/dashboard"})
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POSTS_OF_READERS = frozenset(
    {
        "/v1/robot/stop", "/v1/robot/stop/",
        "/getpos", "/getpos_euler", "/getvel", "/getforce", "/gettorque", "/getq", "/getdq", "/getjacobian",
        "/get_gripper", "/getstate", "/startimp",
    }
)  # fmt: skip
"""Paths that a reader may post to: whoever may read may stop; SERL reads by POST, and its `startimp` starts nothing."""
TOO_MANY_TOKENS = 429
_FLOOD = f"more than {MOST} wrong tokens came from this address within {WITHIN_S:g} s"


class Guard:
    """Checks `Host`, `Origin` and the bearer token of every request and every websocket.

    A browser lets any page post to 127.0.0.1. Such a request carries the page's own `Origin`, or, after DNS rebinding,
    the page's own `Host`; both are refused, so that visiting a web site cannot move a robot.

    A browser gets the operator's page without a token: the page holds nothing of the cell, and asks for the token.

    An address that sends wrong tokens without end is answered 429, and what it sends is noted no more; a right token of
    the same address is none of these.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, events: EventHub) -> None:
        self._app = app
        self._events = events
        self._is_loopback = settings.is_loopback
        self._tokens = access.TokenTable(settings.tokens)
        self._wrong_tokens = WrongTokens(self._tell_of_flood)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403 or 429."""
        if scope["type"] in ("http", "websocket"):
            address = (scope.get("client") or ("unknown",))[0]
            try:
                scope[access.SCOPE_KEY] = self._admit(scope, address)
            except RobotkitError as refusal:
                self._events.tell(Event("unauthorized", refusal.message, address=address, code=refusal.code))
                # For a websocket this answers the handshake itself, so that the client sees status and reason.
                await _closing(error_response(refusal), scope)(scope, receive, send)
                return
            except _Flood as flood:
                response = error_response(Unauthorized(f"{_FLOOD}; send the right one, or none"), TOO_MANY_TOKENS)
                response.headers["Retry-After"] = str(math.ceil(flood.wait_s))
                await _closing(response, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _tell_of_flood(self, address: str) -> None:
        message = f"{_FLOOD}; until they are fewer they are answered {TOO_MANY_TOKENS} and noted no more"
        self._events.tell(Event("unauthorized", message, address=address, code=Unauthorized.code))

    def _admit(self, scope: Scope, address: str) -> access.Scope:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._is_loopback and _host_name(host) not in LOOPBACK_HOSTS:
            raise Unauthorized(f"this server only answers to localhost, not to {host!r}")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            raise Unauthorized(f"a page from {origin!r} may not use this robot")
        token = _given_token(scope, headers)
        allowed = self._tokens.scope_of(token)
        if allowed is None and _asks_for_page(scope, headers):
            return access.Scope.READ
        if allowed is None:
            wait_s = self._wrong_tokens.add(address) if token else 0.0
            if wait_s:
                raise _Flood(wait_s)
            raise Unauthorized(
                "the token is missing or wrong: send `Authorization: Bearer <token>` (client: token=, ROBOTKIT_TOKEN)"
            )
        if allowed < access.Scope.COMMAND and scope["type"] == "http" and _acts(scope):
            raise Forbidden("this token is for reading and for stopping; a command needs another")
        peer: Peer | None = scope.get("state", {}).get(CONNECTION)
        if peer is not None:
            peer.is_known = True
        return allowed


class _Flood(Exception):
    """Raised after too many wrong tokens; the answer asks for the next one `wait_s` seconds later."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s


def _closing(response: Response, scope: Scope) -> Response:
    """`response`, after which a connection with an unread body ends: that must not be taken for the next request."""
    if has_body(scope):
        response.headers["Connection"] = "close"
    return response


def _acts(scope: Scope) -> bool:
    return scope["method"] not in _READING_METHODS and scope["path"] not in POSTS_OF_READERS


def _asks_for_page(scope: Scope, headers: Headers) -> bool:
    is_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in PAGE_PATHS
    return is_page and "text/html" in headers.get("accept", "")


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _given_token(scope: Scope, headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip().encode()
    # A browser cannot set a header on the address bar: the operator's page, and only that, takes it from the query.
    if scope["type"] == "http" and scope["path"] in PAGE_PATHS:
        query: str = scope["query_string"].decode("latin-1")
        return parse_qs(query).get("token", [""])[0].encode()
    return b""
