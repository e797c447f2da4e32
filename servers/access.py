"""`Scope` and `Client`: the rights of a token, and the sender of a request."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header
from starlette.requests import HTTPConnection

from robotkit.errors import Forbidden
from robotkit.schema.wire import CLIENT_HEADER, NAME_HEADER

SCOPE_KEY = "robotkit.scope"
"""Key under which `Guard` leaves the request's `Scope` in the ASGI scope."""
_NAME_MAX_CHARS = 80
_HEADER_MAX_CHARS = 12 * _NAME_MAX_CHARS
"""Longest header of a name: so many characters carry any name; what follows is not even decoded."""


class Scope(IntEnum):
    """The rights of a token; each scope includes those below it. Every token allows to stop."""

    READ = 1
    """Scope to read measurements, images, metrics, the operator's page."""
    COMMAND = 2
    """Scope to move something, and to recover from what no other client's stop has caused."""
    OPERATE = 3
    """Scope to recover from anybody's stop."""


@dataclass(frozen=True)
class Client:
    """The sender of a request. People read its name; its key is a secret.

    Two are the same when their keys and scopes are: without keys, programs and people of one machine differ in those.
    """

    key: str = field(repr=False)
    name: str = field(compare=False)
    address: str = field(compare=False, default="")
    scope: Scope = Scope.OPERATE

    def __str__(self) -> str:
        return self.name

    def require(self, scope: Scope, what: str) -> None:
        """Check that the client's token allows something.

        Raises:
            Forbidden: it does not.
        """
        if self.scope < scope:
            raise Forbidden(
                f"{what} needs a token for {scope.name.lower()!r}; this one is for {self.scope.name.lower()!r}"
            )


class TokenTable:
    """The tokens of a server; without any, everybody may do everything."""

    def __init__(self, tokens: Mapping[str, Scope]) -> None:
        self._tokens = [(token.encode(), scope) for token, scope in tokens.items()]

    def scope_of(self, given: bytes) -> Scope | None:
        """The scope of `given`; None for a wrong token. The time is equal for each wrong token of one length."""
        if not self._tokens:
            return Scope.OPERATE
        found = [scope for token, scope in self._tokens if hmac.compare_digest(given, token)]
        return found[0] if found else None


async def get_client(
    connection: HTTPConnection,
    x_robotkit_client: Annotated[str | None, Header(alias=CLIENT_HEADER)] = None,
    x_robotkit_name: Annotated[str | None, Header(alias=NAME_HEADER)] = None,
) -> Client:
    """The client of a request. One that sends no key is told apart by its address, as SERL's clients are."""
    address = connection.client.host if connection.client else "unknown"
    name = _readable((x_robotkit_name or "")[:_HEADER_MAX_CHARS]) or (
        f"unnamed client at {address}" if x_robotkit_client else f"address {address}"
    )
    return Client(key_of(x_robotkit_client, address), name, address, connection.scope[SCOPE_KEY])


def key_of(header: str | None, address: str) -> str:
    """The key by which a client is told apart from others: the one that it sends, otherwise its address."""
    return f"key {header}" if header else f"address {address}"


async def client_of(connection: HTTPConnection) -> Client:
    """`get_client` for a route that reads its own request."""
    headers = connection.headers
    return await get_client(connection, headers.get(CLIENT_HEADER), headers.get(NAME_HEADER))


ClientDep = Annotated[Client, Depends(get_client)]


@lru_cache(256)
def _readable(name: str) -> str:
    """A name as a log and a page can show it: headers carry it percent-encoded."""
    text = unquote(name)
    return "".join(char if char.isprintable() else " " for char in text)[:_NAME_MAX_CHARS].strip()
