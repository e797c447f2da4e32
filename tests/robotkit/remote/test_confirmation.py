"""What a server did not confirm is not said to be done; tokens that cannot be sent are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

import robotkit as rk
from robotkit.cli.remote import Stop
from robotkit.remote import Session
from robotkit.remote.handshake import _Found
from tests.robotkit.remote.test_session import DONE, NO_CONTENT, opened, reply, scripted


def stopped(stamp_s: float, turn_rad: float = 0.0, **also: object) -> bytes:
    place = {"joint_positions_rad": [turn_rad, 0.5], "tcp_pose_in_base": [0.5, 0, 0.3, 1, 0, 0, 0]}
    return reply(
        200, json.dumps({"mode": "stopped", "of": "a version to come", "stamp_s": stamp_s, **place, **also}).encode()
    )


STANDS = [stopped(stamp_s) for stamp_s in (1.0, 1.1, 1.15, 1.2, 1.31)]


def test_b2_the_stop_command_posts_stop_first_and_then_reads_whether_it_is_latched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with scripted([DONE], STANDS) as (url, received):
        assert Stop(url=url, token="correct horse").run() == 0
    look = [b"GET", b"/v1/robot/state"]
    assert [line.split()[:2] for line in received] == [[b"POST", b"/v1/robot/stop"], *[look] * 5]
    assert b"Bearer correct horse" in received[0]
    assert "is stopped" in capsys.readouterr().out


MOVED = b"HTTP/1.1 %d X\r\nLocation: https://robot/v1/robot/stop\r\nContent-Length: 0\r\n\r\n"
PAGE = b"<html>Welcome</html>"


@pytest.mark.parametrize(
    "answers",
    [
        [MOVED % status] for status in (301, 302, 303, 307, 308)
    ] + [[reply(status, b"")] for status in (200, 202, 299, 304, 401, 404, 500)] + [
        [reply(200, PAGE)], [DONE, reply(200, PAGE)], [DONE, reply(200, b"[]")], [DONE, reply(500, PAGE)],
        [DONE, reply(200, b'{"mode":"tracking","stop":null}')], [DONE, MOVED % 301],
        [DONE, reply(200, b'{"mode":"stopped","is_halt_owed":true}')], [DONE, stopped(1.0, moves_on=True)],
    ],
)  # fmt: skip
def test_a_stop_that_nobody_confirms_is_not_said_to_be_one(
    capsys: pytest.CaptureFixture[str], answers: list[bytes | None]
) -> None:
    with scripted(*([answer] for answer in answers)) as (url, _):
        assert Stop(url=url, timeout_s=5.0).run() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: STOP NOT CONFIRMED - USE THE HARDWARE STOP: ")
    assert captured.err.count("\n") == 1


def test_a_redirection_says_where_to() -> None:
    where = "answered 308 and points to https://robot/v1/robot/stop"
    with (
        scripted([MOVED % 308]) as (url, _),
        opened(url) as session,
        pytest.raises(rk.ProtocolError, match=where),
    ):
        session.stop()


@pytest.mark.parametrize("act", [Session.post, Session.command, Session.move])
@pytest.mark.parametrize("answer", [reply(200, b"{}"), reply(202, b"")])
def test_an_action_counts_only_when_the_server_says_that_it_is_done(
    act: Callable[[Session, str], None], answer: bytes
) -> None:
    with scripted([answer]) as (url, _), opened(url) as session:
        session.handshake._found = _Found(0.0, time.monotonic(), None)
        with pytest.raises(rk.ProtocolError, match="not a robot server"):
            act(session, "/v1/robot/hold")


@pytest.mark.parametrize("foreign", [NO_CONTENT, reply(200, b"{}"), reply(200, PAGE), reply(404, PAGE)])
def test_b2_a_stop_or_an_action_that_somebody_else_takes_is_not_done(foreign: bytes) -> None:
    """A login page in the way, or a check of the network, says 204 to everything."""
    for act in (Session.stop, lambda session: session.post("/v1/robot/recover?stops_seen=1")):
        with (
            scripted([NO_CONTENT], [foreign]) as (url, _),
            opened(url) as session,
            pytest.raises(rk.ProtocolError, match=r"^not a robot server: .* answered 204, as anybody may") as said,
        ):
            act(session)
        assert "\n" not in said.value.message, "an operator reads it after a stop"


@pytest.mark.parametrize(
    ("told", "is_stopped"),
    [('"status":"stopped"', True), ('"status":"fault","stop":{}', True), ('"status":"ok","stop":null', False)],
)
def test_b2_an_older_server_that_does_not_sign_its_answer_says_that_the_robot_is_stopped(
    told: str, is_stopped: bool
) -> None:
    health = reply(200, f'{{"cell":"lab",{told}}}'.encode())
    with scripted([NO_CONTENT], [health]) as (url, received), opened(url) as session:
        if is_stopped:
            session.stop()
        else:
            with pytest.raises(rk.ProtocolError, match="does not say that the robot is stopped"):
                session.stop()
    assert [line.split()[1] for line in received] == [b"/v1/robot/stop", b"/v1/health"]


@pytest.mark.parametrize("token", ["swordfish ", " swordfish", "sword\nfish", "swordf\u00efsh"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(rk.InvalidConfiguration) as refused:
        Session("http://127.0.0.1:1", token)
    assert "sword" not in str(refused.value)


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Authorization" not in Session("http://127.0.0.1:1", "").headers
    monkeypatch.setenv("ROBOTKIT_TOKEN", "")
    with scripted([DONE], STANDS) as (url, received):
        assert Stop(url=url).run() == 0
    assert b"uthorization" not in received[0]
