"""`Guard`: the ASGI layer that lets nobody in who has no token, and no foreign web page."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from robotkit.errors import Unauthorized
from servers.errors import error_response
from servers.settings import LOOPBACK_HOSTS, ServerSettings

_DASHBOARD_PATHS = frozenset({"/", "/dashboard"})


class Guard:
    """Checks `Host`, `Origin` and the bearer token of every request and every websocket.

    A browser lets any page post to 127.0.0.1. Such a request carries the page's own `Origin`, or, after DNS rebinding,
    the page's own `Host`; both are refused, so that visiting a web site cannot move a robot.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._is_loopback = settings.is_loopback
        self._token = settings.token.encode() if settings.token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refusal(scope)
            if refusal is not None:
                # For a websocket this answers the handshake itself, so that the client sees status and reason.
                await error_response(Unauthorized(refusal))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._is_loopback and _host_name(host) not in LOOPBACK_HOSTS:
            return f"this server only answers to localhost, not to {host!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"a page from {origin!r} may not use this robot"
        if self._token is not None and not hmac.compare_digest(_given_token(scope, headers), self._token):
            return (
                "the token is missing or wrong: send `Authorization: Bearer <token>` (client: token=, ROBOTKIT_TOKEN)"
            )
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
    if scope["type"] == "http" and scope["path"] in _DASHBOARD_PATHS:
        return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0].encode()
    return b""
