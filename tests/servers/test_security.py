"""Nobody without the token, and no foreign web page, reaches the robot."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from servers import ServerSettings
from servers.routes import ROUTERS
from tests.serving import served

TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(token=TOKEN)) as running:
        yield running


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def _routes() -> list[tuple[str, str]]:
    return [
        (method, route.path.replace("{name}", "front"))
        for router in ROUTERS
        for route in router.routes
        for method in (getattr(route, "methods", None) or ())
    ]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "robot.lab"])
def test_an_address_beyond_this_machine_needs_a_token(host: str) -> None:
    with pytest.raises(rk.InvalidConfiguration, match="ROBOTKIT_TOKEN"):
        ServerSettings(host=host)
    assert not ServerSettings(host=host, token=TOKEN).is_loopback


def test_a_short_token_is_refused() -> None:
    with pytest.raises(rk.InvalidConfiguration, match="8 characters"):
        ServerSettings(token="1234")


@pytest.mark.parametrize(("method", "path"), [*_routes(), ("GET", "/openapi.json"), ("GET", "/nothing")])
def test_every_route_asks_for_the_token(http: httpx.Client, method: str, path: str) -> None:
    for headers in ({}, _bearer("wrong"), {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}):
        reply = http.request(method, path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_the_token_opens(http: httpx.Client) -> None:
    assert http.get("/v1/state", headers=_bearer(TOKEN)).status_code == 200
    assert http.post("/getstate", headers=_bearer(TOKEN)).status_code == 200


def test_only_the_operators_page_takes_the_token_from_its_address(http: httpx.Client) -> None:
    assert http.get("/", params={"token": TOKEN}).status_code == 200
    assert http.get("/", params={"token": "wrong"}).status_code == 401
    assert http.get("/v1/state", params={"token": TOKEN}).status_code == 401


def test_the_websocket_asks_for_the_token_too(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/stream"
    with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
        pass
    assert refused.value.response.status_code == 401
    with connect(address, proxy=None, additional_headers=_bearer(TOKEN)) as socket:
        assert '"state"' in socket.recv()


def test_the_client_raises_unauthorized(url: str) -> None:
    for token in (None, "wrong token"):
        with pytest.raises(rk.Unauthorized, match="token"):
            rk.make_workcell("remote", url=url, token=token)
    with rk.make_workcell("remote", url=url, token=TOKEN) as cell, cell.stream() as stream:
        assert stream.latest().robot.mode


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_a_foreign_page_is_refused(http: httpx.Client, origin: str) -> None:
    reply = http.post("/v1/robot/stop", headers={**_bearer(TOKEN), "Origin": origin})
    assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
    assert "page" in reply.json()["message"]


def test_the_servers_own_page_is_welcome(http: httpx.Client, url: str) -> None:
    assert http.get("/v1/state", headers={**_bearer(TOKEN), "Origin": url}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "", "[", "localhost.x"]
)
def test_a_rebound_name_is_refused(http: httpx.Client, host: str) -> None:
    reply = http.get("/v1/state", headers={**_bearer(TOKEN), "Host": host})
    assert reply.status_code in (400, 401)
    assert "stamp_s" not in reply.text


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "[::1]:5000"])
def test_names_of_this_machine_are_welcome(http: httpx.Client, host: str) -> None:
    assert http.get("/v1/state", headers={**_bearer(TOKEN), "Host": host}).status_code == 200


def test_a_foreign_page_cannot_open_the_websocket(url: str) -> None:
    headers = _bearer(TOKEN)
    with (
        pytest.raises(InvalidStatus),
        connect(
            url.replace("http", "ws") + "/v1/stream",
            proxy=None,
            additional_headers=headers,
            origin="https://evil.example",
        ),
    ):
        pass
