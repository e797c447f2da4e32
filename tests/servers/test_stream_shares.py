"""Whoever may only read leaves half of what all streams may take to those who command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

import robotkit as rk
from servers import ServerSettings
from tests.serving import served

READ, COMMAND = "token to read", "token to command"
SETTINGS = ServerSettings(read_token=READ, command_token=COMMAND, stream_rate_max_hz=10.0)


@pytest.fixture
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), SETTINGS) as running:
        yield running


def _stream(stack: ExitStack, url: str, token: str) -> ClientConnection:
    address = url.replace("http", "ws") + "/v1/stream?rate_hz=10&window=1"
    return stack.enter_context(connect(address, additional_headers={"Authorization": f"Bearer {token}"}))


def _first(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(socket.recv(20.0)))


def test_f11_readers_take_half_of_the_streams_and_commanders_whatever_is_left(url: str) -> None:
    with ExitStack() as stack:
        for token, types in ((READ, ["state", "state", "error"]), (COMMAND, ["state", "state", "error"])):
            answers = [_first(_stream(stack, url, token)) for _ in range(3)]
            assert [answer["type"] for answer in answers] == types
            assert (answers[-1]["code"], "0 Hz left" in answers[-1]["message"]) == ("busy", True)


def test_f11_commanders_alone_take_all_of_the_streams(url: str) -> None:
    with ExitStack() as stack:
        answers = [_first(_stream(stack, url, COMMAND))["type"] for _ in range(4)]
        assert answers == ["state"] * 4
        assert _first(_stream(stack, url, READ))["code"] == "busy"
