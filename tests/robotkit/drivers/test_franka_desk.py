"""D3: Desk through franky's own client, against an HTTPS server that answers as Desk's API v1 is used by franky."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import robotkit as rk
from robotkit.drivers.franka import desk
from robotkit.drivers.franka.desk import DeskOptions, DeskState

trustme = pytest.importorskip("trustme")

_USER, _PASSWORD = "lab", "secret of the lab"


class Box:
    """What the control box knows, and what was asked of it."""

    def __init__(self) -> None:
        self.mode, self.brakes, self.fci = "Execution", ["Locked"] * 7, "Inactive"
        self.holder: str | None = None
        self.changes: list[str] = []
        self.does_nothing = False
        self.refusal: int | None = None
        self.polls_until_unlocked = 0

    def brakes_now(self) -> list[str]:
        """They unlock one after the other."""
        if "Unlocked" in self.brakes and self.polls_until_unlocked > 0:
            self.polls_until_unlocked -= 1
            return ["Unlocked"] * 3 + ["Locked"] * 4
        return self.brakes


class Handler(BaseHTTPRequestHandler):
    """The routes that franky's client uses."""

    protocol_version = "HTTP/1.1"
    box: Box

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        box = self.box
        token = {} if box.holder is None else {"owner": box.holder, "tokenId": "7"}
        answers = {
            "/api/system": {},
            "/api/system/control-token": token,
            "/api/system/operating-mode": {"status": box.mode},
            "/api/arm/joints": [{"brakeStatus": status} for status in box.brakes_now()],
            "/api/fci": {"status": box.fci},
        }
        self._answer(answers[self.path])

    def do_POST(self) -> None:
        box, body = self.box, self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/system/control-token:take":
            if box.holder not in (None, _USER):
                self._answer({"code": "Timeout"}, 424)
                return
            box.holder = json.loads(body)["owner"]
            self._answer({"tokenId": "7", "token": "abc"})
            return
        if self.path == "/api/system/control-token:release":
            box.holder = None
        else:
            if box.refusal is not None:
                self._answer({"code": "NotNow"}, box.refusal)
                return
            box.changes.append(self.path)
            if not box.does_nothing:
                self._change()
        self._answer({})

    def _change(self) -> None:
        if self.path == "/api/arm/joints:unlock":
            self.box.brakes = ["Unlocked"] * 7
        elif self.path == "/api/fci:activate":
            self.box.fci = "Active"

    def _answer(self, content: object, status: int = 200) -> None:
        expected = base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {expected}":
            content, status = {"code": "Unauthorized"}, 401
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[tuple[Box, str]]:
    """The box, and its address."""
    built = Box()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoxHandler", (Handler,), {"box": built}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    yield built, f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5.0)


def options(host: str, password: str = _PASSWORD) -> DeskOptions:
    return DeskOptions(host=host, username=_USER, password=password, timeout_s=2.0)


def test_reading_changes_nothing_and_takes_no_control(box):
    state, host = box
    assert desk.read_state(options(host)) == DeskState("Execution", "Locked", "Inactive")
    state.brakes[3] = "Unlocked"
    assert desk.read_state(options(host)).brakes == "Mixed"
    assert state.changes == []
    assert state.holder is None


def test_brakes_and_fci_are_told_before_they_are_done_and_control_is_given_back(box):
    state, host = box
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        assert len(state.changes) == len(told) - 1

    assert desk.unlock_brakes(options(host), tell).brakes == "Unlocked"
    assert desk.activate_fci(options(host), tell).fci == "Active"
    assert state.changes == ["/api/arm/joints:unlock", "/api/fci:activate"]
    assert state.holder is None
    assert "unlocking the brakes" in told[0]
    assert "activating FCI" in told[1]


def test_what_is_so_already_is_not_done_again(box):
    state, host = box
    state.brakes, state.fci = ["Unlocked"] * 7, "Active"
    told: list[str] = []
    desk.unlock_brakes(options(host), told.append)
    desk.activate_fci(options(host), told.append)
    assert state.changes == []
    assert all("already" in text for text in told)


def test_fci_needs_execution_mode_and_unlocked_brakes(box):
    state, host = box
    with pytest.raises(rk.DeviceFault, match="brakes are Locked"):
        desk.activate_fci(options(host), lambda _: None)
    state.mode = "Programming"
    with pytest.raises(rk.DeviceFault, match="switch it to Execution"):
        desk.activate_fci(options(host), lambda _: None)
    assert state.changes == []


def test_brakes_that_take_their_time_are_waited_for(box, monkeypatch):
    state, host = box
    monkeypatch.setattr(desk, "_POLL_PERIOD_S", 0.0)
    state.polls_until_unlocked = 3
    assert desk.unlock_brakes(options(host), lambda _: None).brakes == "Unlocked"


def test_an_action_without_effect_is_told(box, monkeypatch):
    state, host = box
    state.does_nothing = True
    monkeypatch.setattr(desk, "_ACTION_S", 0.3)
    with pytest.raises(rk.DeviceFault, match="brakes are not unlocked"):
        desk.unlock_brakes(options(host), lambda _: None)


@pytest.mark.parametrize(("status", "error"), [(409, rk.DeviceFault), (500, rk.DeviceFault), (403, rk.Unauthorized)])
def test_what_desk_refuses_is_told_and_control_is_given_back(box, status, error):
    state, host = box
    state.refusal = status
    with pytest.raises(error, match="refuses"):
        desk.unlock_brakes(options(host), lambda _: None)
    assert state.changes == []
    assert state.holder is None


@pytest.mark.parametrize(("timeout_s", "is_allowed"), [(0.0, False), (0.01, True), (60.0, True), (60.1, False)])
def test_p1_a_wait_for_desk_has_a_range(timeout_s, is_allowed):
    if is_allowed:
        DeskOptions(host="a", username="b", password="", timeout_s=timeout_s)
    else:
        with pytest.raises(ValueError, match="timeout_s"):
            DeskOptions(host="a", username="b", password="", timeout_s=timeout_s)


def test_p1_a_box_and_a_user_have_names():
    for wrong in ({"host": ""}, {"username": ""}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DeskOptions(**{"host": "a", "username": "b", "password": ""} | wrong)


def test_control_of_another_session_is_not_taken_away(box):
    state, host = box
    state.holder = "somebody else"
    with pytest.raises(rk.ControlHeld, match="another session"):
        desk.unlock_brakes(options(host), lambda _: None)
    assert state.changes == []


def test_a_wrong_password_and_a_missing_box_have_their_own_errors(box):
    _, host = box
    with pytest.raises(rk.Unauthorized, match="'lab'"):
        desk.read_state(options(host, "wrong"))
    with pytest.raises(rk.ConnectionFailed, match="does not answer"):
        desk.read_state(options("127.0.0.1:9"))


def test_the_command_line_asks_before_it_changes_anything(box, monkeypatch, capsys):
    state, host = box
    monkeypatch.setenv(desk.PASSWORD_VARIABLE, _PASSWORD)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert desk.main([host, "unlock-brakes", "--user", _USER]) == 1
    assert state.changes == []
    assert capsys.readouterr().out == "nothing was changed\n"
    assert desk.main([host, "state", "--user", _USER]) == 0
    assert capsys.readouterr().out == "mode Execution, brakes Locked, FCI Inactive\n"
    assert state.changes == []
    assert desk.main([host, "unlock-brakes", "--user", _USER, "--yes"]) == 0
    assert state.changes == ["/api/arm/joints:unlock"]
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert desk.main([host, "activate-fci", "--user", _USER]) == 0
    assert state.changes == ["/api/arm/joints:unlock", "/api/fci:activate"]
    assert capsys.readouterr().out.endswith("mode Execution, brakes Unlocked, FCI Active\n")
    assert desk.main(["127.0.0.1:9", "state", "--user", _USER]) == 1
    assert _PASSWORD not in capsys.readouterr().err
