"""Nobody without the token, and no foreign web page, reaches the robot."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from servers import ServerSettings, wrong_tokens
from servers.__main__ import Serve, settings_of
from servers.access import Client, Scope
from servers.context import ServerContext
from servers.routes import ROUTERS
from servers.stops import StopOwners
from tests.serving import served

TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(token=TOKEN)) as running:
        yield running


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
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


@pytest.mark.parametrize("kind", ["token", "read_token", "command_token", "operate_token"])
@pytest.mark.parametrize(
    "token", ["", " " * 8, " leading blank", "trailing blank ", "пароль-робота", "schlüssel", "tab\tinside it",
              "line\nbreak",
              "nul\0inside", "delete\x7finside", "\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0"],
)  # fmt: skip
def test_p18_a_token_that_no_client_can_send_is_refused_at_start(kind: str, token: str) -> None:
    with pytest.raises(rk.InvalidConfiguration, match=kind.replace("_", " ")):
        ServerSettings(**{kind: token})


def test_p18_every_token_that_is_taken_opens() -> None:
    for token in ("".join(map(chr, range(0x21, 0x7F))), "inner blanks are fine", "a" * 500):
        with (
            served(rk.make_workcell("fake"), ServerSettings(token=token)) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client,
        ):
            assert client.get("/v1/state", headers=_bearer(token)).status_code == 200


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"port": -1}, "port"), ({"port": 65536}, "port"), ({"stream_rate_max_hz": 0.0}, "stream_rate_max_hz"),
        ({"lease_timeout_s": 0.0}, "lease_timeout_s"), ({"lease_timeout_s": -1.0}, "lease_timeout_s"),
        ({"token": "1234567"}, "8 characters"),
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_refused(options: dict[str, object], name: str) -> None:
    with pytest.raises(rk.InvalidConfiguration, match=name):
        ServerSettings(**options)


def test_numbers_at_the_ends_of_their_ranges_are_taken() -> None:
    for options in ({"port": 0}, {"port": 65535}, {"lease_timeout_s": 1e-9}, {"token": "12345678"}):
        assert ServerSettings(**options)


def test_one_token_for_two_scopes_is_refused() -> None:
    with pytest.raises(rk.InvalidConfiguration, match="differ"):
        ServerSettings(read_token=TOKEN, command_token=TOKEN)


def test_any_token_is_enough_to_listen_beyond_this_machine() -> None:
    for kind in ("token", "read_token", "command_token", "operate_token"):
        assert not ServerSettings(host="0.0.0.0", **{kind: TOKEN}).is_loopback


@pytest.mark.parametrize(("method", "path"), [*_routes(), ("GET", "/openapi.json"), ("GET", "/nothing")])
def test_every_route_asks_for_the_token(
    http: httpx.Client, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_tokens, "MOST", 10**6)
    for headers in ({}, _bearer("wrong"), {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}):
        reply = http.request(method, path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_the_token_opens(http: httpx.Client) -> None:
    assert http.get("/v1/state", headers=_bearer(TOKEN)).status_code == 200
    assert http.post("/getstate", headers=_bearer(TOKEN)).status_code == 200


def test_u9_a_browser_gets_the_page_and_its_login_form_without_a_token(http: httpx.Client) -> None:
    for path in ("/", "/dashboard"):
        reply = http.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert 'type="password"' in reply.text
    for path in ("/v1/state", "/v1/health", "/openapi.json", "/nothing"):
        assert http.get(path, headers={"Accept": "text/html"}).status_code == 401


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
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://localhost.evil.example",
        "http://[",
        "http://[v1.x]",
        "",
    ],
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


READ, COMMAND, OPERATE = "token to read", "token to command", "token to operate"
SCOPED = ServerSettings(token=TOKEN, read_token=READ, command_token=COMMAND, operate_token=OPERATE)
READING_POSTS = {
    "/v1/robot/stop", "/v1/robot/stop/", "/getpos", "/getpos_euler", "/getvel", "/getforce", "/gettorque", "/getq",
    "/getdq", "/getjacobian", "/get_gripper", "/getstate", "/startimp",
}  # fmt: skip


def _as(token: str, key: str | None = None) -> dict[str, str]:
    return _bearer(token) | {"X-Robotkit-Client": key or token, "X-Robotkit-Name": key or token}


@pytest.fixture(scope="module")
def scoped_url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), SCOPED) as running:
        yield running


@pytest.fixture
def scoped(scoped_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scoped_url, trust_env=False, timeout=60.0) as client:
        assert client.post("/v1/robot/recover", headers=_as(TOKEN)).status_code == 204
        yield client


@pytest.mark.parametrize(("method", "path"), _routes())
def test_b9_a_token_to_read_only_reads_and_stops(scoped: httpx.Client, method: str, path: str) -> None:
    reply = scoped.request(method, path, headers=_as(READ))
    if method == "GET" or path in READING_POSTS:
        assert reply.status_code not in (401, 403)
    else:
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), _routes())
def test_b9_a_token_to_command_opens_every_route(scoped: httpx.Client, method: str, path: str) -> None:
    scoped.post("/v1/robot/recover", headers=_as(TOKEN))
    assert scoped.request(method, path, headers=_as(COMMAND)).status_code not in (401, 403)


def test_b9_a_token_to_read_sees_the_stream_and_commands_nothing_on_it(scoped_url: str) -> None:
    pose = [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]
    command = json.dumps({"type": "command", "command": {"kind": "pose", "tcp_pose_in_base": pose}})
    address = scoped_url.replace("http", "ws")
    with connect(address + "/v1/stream", proxy=None, additional_headers=_as(READ)) as socket:
        assert '"type":"state"' in socket.recv()
        socket.send(command)
        while (answer := json.loads(socket.recv()))["type"] == "state":
            pass
        assert answer["code"] == "forbidden"
    with connect(address + "/v1/steps", proxy=None, additional_headers=_as(READ)) as socket:
        socket.send(json.dumps({"period_s": 0.0}))
        assert json.loads(socket.recv())["code"] == "forbidden"


@pytest.mark.parametrize("stopper", [READ, OPERATE, TOKEN])
def test_b9_an_operators_stop_is_recovered_by_an_operator(scoped: httpx.Client, stopper: str) -> None:
    assert scoped.post("/v1/robot/stop", headers=_as(stopper)).status_code == 204
    refused = scoped.post("/v1/robot/recover", headers=_as(COMMAND))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert stopper in refused.json()["message"]
    assert scoped.get("/v1/health", headers=_as(READ)).json()["robot_mode"] == "stopped"
    assert scoped.post("/v1/robot/recover", headers=_as(OPERATE)).status_code == 204


def test_b9_a_program_recovers_from_its_own_stop_unless_another_stopped_too(scoped: httpx.Client) -> None:
    assert scoped.post("/v1/robot/stop", headers=_as(COMMAND)).status_code == 204
    assert scoped.post("/v1/robot/recover", headers=_as(COMMAND)).status_code == 204
    for stopper in (_as(READ), _as(COMMAND)):
        assert scoped.post("/v1/robot/stop", headers=stopper).status_code == 204
    assert scoped.post("/v1/robot/recover", headers=_as(COMMAND)).status_code == 403
    assert scoped.post("/v1/robot/recover", headers=_as(COMMAND, key="another program")).status_code == 403


def test_b9_without_keys_a_program_does_not_undo_the_stop_of_a_person_on_the_same_machine(scoped: httpx.Client) -> None:
    assert scoped.post("/v1/robot/stop", headers=_bearer(OPERATE)).status_code == 204
    assert scoped.post("/v1/robot/recover", headers=_bearer(COMMAND)).status_code == 403
    assert scoped.post("/v1/robot/recover", headers=_bearer(OPERATE)).status_code == 204
    assert scoped.post("/v1/robot/stop", headers=_bearer(COMMAND)).status_code == 204
    assert scoped.post("/v1/robot/recover", headers=_bearer(COMMAND)).status_code == 204


@pytest.mark.parametrize("commander", [_bearer(COMMAND), _as(COMMAND, "one key")])
def test_b9_a_reader_that_leaves_takes_control_from_nobody(commander: dict[str, str]) -> None:
    settings = replace(SCOPED, lease_timeout_s=60.0)
    with (
        served(rk.make_workcell("fake"), settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
    ):
        assert http.post("/v1/step", json={}, headers=commander).status_code == 200
        address, reader = url.replace("http", "ws") + "/v1/steps", commander | _bearer(READ)
        with connect(address, proxy=None, additional_headers=reader) as socket:
            socket.send("{}")
            assert json.loads(socket.recv())["code"] == "forbidden"
        # A second one finds that the first has left.
        with connect(address, proxy=None, additional_headers=reader):
            assert http.get("/v1/health", headers=reader).json()["controlled_by"] is not None


def test_b9_a_stop_during_a_recovery_is_not_forgotten() -> None:
    owners, program, person = StopOwners(), Client("p", "program", scope=Scope.COMMAND), Client("q", "person")
    owners.add(program)
    with owners.recovery(program):
        owners.add(person)
    with pytest.raises(rk.Forbidden, match="person"), owners.recovery(program):
        pass
    with pytest.raises(rk.DeviceFault), owners.recovery(person):
        raise rk.DeviceFault("the fault persists")
    with pytest.raises(rk.Forbidden), owners.recovery(program):
        pass
    with owners.recovery(person):
        pass
    with owners.recovery(program):
        pass


def test_b9_whoever_stops_again_during_a_recovery_has_stopped() -> None:
    owners, program, person = StopOwners(), Client("p", "program", scope=Scope.COMMAND), Client("q", "person")
    owners.add(person)
    with owners.recovery(person):
        owners.add(person)
    with pytest.raises(rk.Forbidden, match="person"), owners.recovery(program):
        pass


def test_b9_a_token_to_read_holds_nothing_by_whatever_way_it_comes() -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, SCOPED)
        with pytest.raises(rk.Forbidden, match="hold"):
            context.control.hold_now(Client("r", "reader", scope=Scope.READ))
        context.control.hold_now(Client("p", "program", scope=Scope.COMMAND))


def test_b9_any_number_of_stops_leaves_one_to_be_recovered_by_an_operator() -> None:
    owners, program = StopOwners(), Client("p", "program", scope=Scope.COMMAND)
    for i in range(1000):
        owners.add(Client(str(i), f"person {i}"))
    assert len(owners._numbers) <= 64
    with pytest.raises(rk.Forbidden), owners.recovery(program):
        pass
    with owners.recovery(Client("o", "operator")):
        pass
    with owners.recovery(program):
        pass


def test_b9_a_stop_that_the_arm_did_not_take_belongs_to_whoever_asked_all_the_same() -> None:
    def unplugged(*why: str) -> None:
        raise rk.NotConnected("unplugged")

    cell = rk.make_workcell("fake")
    context = ServerContext(cell, SCOPED)
    person, program = Client("q", "person"), Client("p", "program", scope=Scope.COMMAND)
    with cell, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell.robot, "stop_for", unplugged)
        with pytest.raises(rk.NotConnected):
            context.stop(person)
        with pytest.raises(rk.Forbidden, match="person"):
            context.recover(program)


@pytest.mark.parametrize("source", ["flags", "environment"])
def test_the_command_line_takes_each_token(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("token", "read_token", "command_token", "operate_token")
    given = dict(zip(names, (TOKEN, READ, COMMAND, OPERATE), strict=True))
    for name, token in given.items():
        monkeypatch.setenv(f"ROBOTKIT_{name.upper()}", token if source == "environment" else "from the environment")
    built = settings_of(Serve(cell="fake", **(given if source == "flags" else {})))
    assert built.tokens == SCOPED.tokens


def test_an_empty_token_on_the_command_line_is_not_taken_for_none() -> None:
    with pytest.raises(rk.InvalidConfiguration, match="8 characters"):
        settings_of(Serve(cell="fake", token=""))
