"""F15: no web page is accepted by a learner, on whatever address it listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from rl.data.journal import TransitionJournal
from rl.errors import LinkUnavailable
from rl.link.client import LearnerLink
from rl.link.hub import LearnerHub
from rl.link.server import LinkServer, is_loopback
from rl.utils.subprocesses import StopSignal

from .conftest import SPEC, handshake, settings

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture
def open_to_all(journal: TransitionJournal) -> Iterator[LinkServer]:
    """A learner on every address of the machine."""
    with LinkServer(LearnerHub(journal, SPEC.env), "0.0.0.0", 0, token="secret") as running:
        yield running


def status(port: int, **headers: str) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/v1/status", headers=headers, trust_env=False, timeout=60.0).status_code


def is_accepted(port: int, **headers: str) -> bool:
    """Whether a websocket with these headers is accepted."""
    host, origin = headers.pop("Host", f"127.0.0.1:{port}"), headers.pop("Origin", None)
    sock = socket.create_connection(("127.0.0.1", port))
    try:
        with connect(f"ws://{host}/v1/link", origin=origin, additional_headers=headers, proxy=None, sock=sock):
            return True
    except InvalidStatus as error:
        return error.response.status_code != 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "evil"])
def test_f15_a_page_of_another_origin_gets_neither_a_connection_nor_the_status(server: LinkServer, origin: str):
    assert not is_accepted(server.port, Origin=origin)
    assert status(server.port, Origin=origin) == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.7"])
def test_f15_a_name_that_was_bound_to_the_loopback_address_is_refused(server: LinkServer, host: str):
    host = host.format(port=server.port)
    assert not is_accepted(server.port, Host=host)
    assert not is_accepted(server.port, Host=host, Origin=f"http://{host}")
    assert status(server.port, Host=host) == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1.2.3", "[::1]"])
def test_f15_whoever_calls_it_by_a_loopback_name_is_accepted(server: LinkServer, name: str):
    host = f"{name}:{server.port}"
    assert is_accepted(server.port, Host=host)
    assert status(server.port, Host=host) == 200
    assert status(server.port, Host=host, Origin=f"http://{host}") == 200, "the page of this very address"


def test_f15_an_open_address_has_any_name_and_no_foreign_page_even_with_the_token(open_to_all: LinkServer):
    port = open_to_all.port
    assert status(port, Host="learner.lab", **TOKEN) == 200
    assert is_accepted(port, Host="learner.lab", **TOKEN)
    assert status(port, Host="learner.lab", Origin="http://evil.example", **TOKEN) == 403
    assert not is_accepted(port, Host="learner.lab", Origin="http://evil.example", **TOKEN)
    with LearnerLink(settings(port, token="secret"), handshake()) as link:
        assert link.handshake_reply.last_sequence == -1


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("evil.example", False), ("", False)],
)
def test_what_is_a_loopback_address(host: str, expected: bool):
    assert is_loopback(host) is expected


def test_whoever_waits_for_a_learner_can_be_stopped():
    stop = StopSignal()
    stop.set()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = LearnerLink(settings(silent.getsockname()[1]), handshake(), connect_timeout_s=1e6, stop=stop)
        with pytest.raises(LinkUnavailable, match="stopped while waiting"), link:
            raise AssertionError("there is no learner")
