"""`Heartbeats`: a client is heard for what it waits for, for as long as it waits, and for nobody else."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import unquote

import pytest
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from robotkit.schema.wire import CLIENT_HEADER
from servers import access
from servers.access import SCOPE_KEY, Scope, get_client, key_of
from servers.gate import RequestGate, _Request
from servers.heartbeats import Heartbeats
from servers.turns import Caller


@pytest.fixture
def heartbeats() -> Heartbeats:
    return Heartbeats()


def _silent() -> Caller:
    caller = Caller()
    caller.heard_s = -1.0
    return caller


def test_b10_a_beat_is_heard_by_all_that_its_client_waits_for_and_by_nobody_else(heartbeats: Heartbeats) -> None:
    one, other, foreign = _silent(), _silent(), _silent()
    with heartbeats.expected("a", one), heartbeats.expected("a", other), heartbeats.expected("b", foreign):
        heartbeats.beat("a")
        heartbeats.beat("c")
    assert one.heard_s > 0.0
    assert other.heard_s > 0.0
    assert foreign.heard_s == -1.0


def test_b10_after_the_wait_nothing_is_heard_or_kept(heartbeats: Heartbeats) -> None:
    one, other = _silent(), _silent()
    with heartbeats.expected("a", other):
        with pytest.raises(ZeroDivisionError), heartbeats.expected("a", one):
            raise ZeroDivisionError
        heartbeats.beat("a")
        assert (one.heard_s, other.heard_s > 0.0) == (-1.0, True)
    heartbeats.beat("a")
    assert not heartbeats._callers


def test_b10_a_server_that_was_itself_suspended_takes_no_client_for_gone() -> None:
    """What the client sent meanwhile lies in the socket, and is read after the timers have been looked at."""
    promised_s, left = 0.2, []

    class Context:
        heartbeats = Heartbeats()

        @property
        def control(self) -> Context:
            return self

        async def leave(self, caller: Caller) -> None:
            left.append(caller)

    async def suspended() -> float:
        caller = Caller()
        listening = asyncio.create_task(RequestGate(None, Context())._listen(caller, "a", promised_s))
        await asyncio.sleep(0)
        time.sleep(2 * promised_s)  # the whole process stands still
        for _ in range(20):
            await asyncio.sleep(0)
        assert not left
        Context.heartbeats.beat("a")
        start_s = time.monotonic()
        await listening
        assert left == [caller]
        return time.monotonic() - start_s

    assert asyncio.run(suspended()) >= promised_s * 0.99


def test_b10_clients_without_a_key_are_told_apart_by_their_address() -> None:
    assert key_of("", "10.0.0.1") != key_of("", "10.0.0.2") != key_of("address 10.0.0.2", "10.0.0.3")
    assert gate_key([], "10.0.0.1") == key_of(None, "10.0.0.1")


def test_b10_of_two_keys_the_first_counts_everywhere() -> None:
    headers = [(CLIENT_HEADER.lower().encode(), value) for value in (b"first", b"second")]
    assert gate_key(headers, "10.0.0.1") == key_of(Headers(raw=headers)[CLIENT_HEADER], "10.0.0.1") == "key first"


def gate_key(headers: list[tuple[bytes, bytes]], address: str) -> str:
    """Under what key the gate waits for heartbeats."""
    return _Request({"headers": headers, "client": (address, 1)}, None).key


def test_f10_of_an_endless_name_no_more_is_decoded_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    monkeypatch.setattr(access, "unquote", lambda text: (decoded.append(text), unquote(text))[1])
    connection = HTTPConnection({"type": "http", "headers": [], "client": ("10.0.0.1", 1), SCOPE_KEY: Scope.READ})
    client = asyncio.run(get_client(connection, None, "%F0%9F%A4%96" * 5000))
    assert client.name == "🤖" * 80
    assert [len(text) for text in decoded] == [960]
