"""Versions that differ, clocks that differ, and commands for which nobody waits any more."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

import robotkit as rk
from robotkit.cli.remote import Stop
from robotkit.remote.handshake import Handshake
from robotkit.remote.session import parse
from robotkit.schema.wire import (
    CLIENT_HEADER,
    CLOCK_HEADER,
    DEADLINE_HEADER,
    PROTOCOL_HEADER,
    PROTOCOL_NEWEST,
    PROTOCOL_OLDEST,
    ProtocolInfo,
)
from servers import clock, versions
from servers.routes import protocol
from tests.serving import served
from tests.support.waiting import wait_until


class _Server:
    """A session that answers handshakes: ahead of this machine by `offset_s`, after `round_trip_s`."""

    url = "http://robot"
    asked = 0
    now_s = 1000.0
    offset_s = 50.0
    round_trip_s = 0.0
    versions = (PROTOCOL_OLDEST, PROTOCOL_NEWEST)
    clock = ""

    def __call__(self) -> float:
        return self.now_s

    def read(self, path: str, reply: type[ProtocolInfo]) -> ProtocolInfo:
        self.asked += 1
        self.now_s += self.round_trip_s / 2
        told_s = self.now_s + self.offset_s
        self.now_s += self.round_trip_s / 2
        return ProtocolInfo(oldest=self.versions[0], newest=self.versions[1], now_s=told_s, clock=self.clock)


@pytest.fixture
def server() -> _Server:
    return _Server()


@pytest.fixture
def handshake(server: _Server) -> Handshake:
    return Handshake(server, server)


@pytest.mark.parametrize("round_trip_s", [0.0, 0.2])
def test_b4_a_deadline_is_in_the_servers_time_and_never_later_than_the_patience(
    server: _Server, handshake: Handshake, round_trip_s: float
) -> None:
    server.round_trip_s = round_trip_s
    for _ in range(2):
        latest_s = handshake.deadline(5.0).at_s - (server.now_s + 50.0)
        assert 5.0 - round_trip_s - 1e-9 <= latest_s <= 5.0
        server.now_s += 7.0
    assert server.asked == 1


def test_b4_clocks_are_compared_again_before_they_have_drifted_apart(server: _Server, handshake: Handshake) -> None:
    handshake.deadline(5.0)
    server.offset_s += 0.03
    server.now_s += 301.0
    assert handshake.deadline(5.0).at_s == pytest.approx(server.now_s + 50.03 + 5.0)


@pytest.mark.parametrize("error", [rk.CommandExpired, rk.ConnectionFailed, rk.RemoteTimeout])
def test_b4_after_a_failure_that_a_wrong_time_explains_clocks_are_compared_again(
    server: _Server, handshake: Handshake, error: type[rk.RobotkitError]
) -> None:
    handshake.deadline(5.0)
    server.offset_s = -900.0
    with pytest.raises(error), handshake.doubted():
        raise error("why")
    assert handshake.deadline(5.0).at_s == pytest.approx(server.now_s - 900.0 + 5.0)


def test_b4_a_refusal_of_another_kind_costs_no_further_handshake(server: _Server, handshake: Handshake) -> None:
    handshake.deadline(5.0)
    with pytest.raises(rk.OutsideWorkspace), handshake.doubted():
        raise rk.OutsideWorkspace("why")
    handshake.deadline(5.0)
    assert server.asked == 1


def test_b4_a_deadline_says_of_which_server_it_was_made(server: _Server, handshake: Handshake) -> None:
    assert handshake.deadline(1.0).clock is None, "a server that does not tell"
    server.clock = "one"
    assert handshake.deadline(1.0).clock is None
    handshake.forget()
    assert [handshake.deadline(1.0).clock for _ in range(2)] == ["one", "one"]
    assert server.asked == 2


@pytest.mark.parametrize(("versions", "fits"), [((1, 1), False), ((3, 4), False), ((1, 2), True), ((2, 9), True)])
def test_b3_versions_fit_when_one_is_common(
    server: _Server, handshake: Handshake, versions: tuple[int, int], fits: bool
) -> None:
    server.versions = versions
    if fits:
        handshake.deadline(1.0)
    else:
        for _ in range(2):
            with pytest.raises(rk.ProtocolError, match=r"read and stopped.*same robotkit"):
                handshake.deadline(1.0)


def test_b3_after_a_handshake_that_failed_the_one_before_counts_no_more(server: _Server, handshake: Handshake) -> None:
    handshake.deadline(1.0)
    server.versions = (8, 9)
    for ask in (handshake.require_common_version, lambda: handshake.deadline(1.0).at_s):
        with pytest.raises(rk.ProtocolError, match="version 8 to 9"):
            ask()
    server.versions = (PROTOCOL_OLDEST, PROTOCOL_NEWEST)
    assert handshake.deadline(1.0).at_s == pytest.approx(server.now_s + 51.0)


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real", **{"limits.watchdog_s": 5.0})


@pytest.fixture
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell) as running:
        yield running


def test_b3_a_server_of_another_version_can_be_read_and_stopped_and_not_commanded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (protocol, versions):
        monkeypatch.setattr(module, "PROTOCOL_OLDEST", 8)
        monkeypatch.setattr(module, "PROTOCOL_NEWEST", 9)
    with rk.make_workcell("remote", url=url) as remote:
        pose = remote.get_state().robot.tcp_pose_in_base
        command = rk.PoseCommand(tcp_pose_in_base=pose)
        with remote.stream() as stream:
            assert stream.latest().robot.mode == "holding"
            for use in (
                lambda: remote.step(command),
                lambda: remote.robot.send(command),
                lambda: remote.robot.reset(),
                lambda: remote.gripper.close(),
                lambda: remote.robot.hold(),
                lambda: remote.robot.recover(),
                lambda: stream.send(command),
            ):
                with pytest.raises(rk.ProtocolError, match="version 8 to 9"):
                    use()
        remote.robot.stop()
        assert remote.get_state().robot.mode == "stopped"
    assert Stop(url=url).run() == 0


@pytest.mark.parametrize("version", ["1", "3", "", "-2", "9" * 400, "two"])
def test_b3_a_client_of_another_version_may_read_and_stop_and_not_command(
    url: str, version: str, cell: rk.Workcell
) -> None:
    with httpx.Client(base_url=url, headers={PROTOCOL_HEADER: version}, trust_env=False, timeout=60.0) as client:
        acts = ("/v1/robot/reset", "/open_gripper", "/v1/robot/recover", "/v1/robot/hold", "/v1/clock/advance")
        for path, body in (("/v1/step", {}), *((act, None) for act in acts)):
            reply = client.post(path, json=body)
            assert reply.json()["code"] == "protocol_error", path
            assert 400 <= reply.status_code < 600
            assert "read and stop" in reply.json()["message"]
        assert client.get("/v1/state").status_code == 200
        assert client.post("/getq").status_code == 200
        assert client.post("/v1/control/release").status_code == 204
        assert client.post("/v1/robot/stop").status_code == 204
        assert client.post("/v1/robot/recover").status_code >= 400
    assert cell.get_state().robot.mode == "stopped"
    for path, message in (("/v1/steps", "{}"), ("/v1/stream?rate_hz=1&window=1", '{"type":"command"}')):
        headers = {PROTOCOL_HEADER: version}
        with connect(url.replace("http", "ws") + path, proxy=None, additional_headers=headers) as socket:
            socket.send(message)
            answers = [json.loads(socket.recv(10.0))]
            while answers[-1]["type"] == "state":
                answers.append(json.loads(socket.recv(10.0)))
        assert answers[-1]["code"] == "protocol_error"


def test_b3_a_server_that_knows_of_no_versions_is_told_in_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rk.make_workcell("remote", url=url) as remote:
        read = remote.session.read
        monkeypatch.setattr(
            remote.session, "read", lambda path, reply: read("/v1/prehistory" if "protocol" in path else path, reply)
        )
        with pytest.raises(rk.ProtocolError, match=r"does not tell which versions.*read and stopped"):
            remote.step()
        remote.robot.stop()
        assert remote.get_state().robot.mode == "stopped"


def _with_news(value: Any) -> Any:
    """A message as a newer server would send it: one more field in every object that is a message."""
    if isinstance(value, list):
        return [_with_news(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {**{key: _with_news(item) for key, item in value.items()}, "news": {"from": "the future"}}


def test_b3_answers_ignore_what_they_do_not_know_and_requests_refuse_it(cell: rk.Workcell) -> None:
    with cell:
        state = cell.get_state().model_copy(update={"poses": {}})
    news = _with_news(json.loads(state.model_dump_json()))
    news["poses"].clear()
    news["errors"].clear()
    assert parse(rk.CellState, json.dumps(news)) == state
    spec = _with_news(json.loads(cell.spec().model_dump_json()))
    spec["cameras"].pop("news")
    assert parse(rk.CellSpec, json.dumps(spec)) == cell.spec()
    with pytest.raises(ValueError, match="news"):
        rk.StepRequest.model_validate_json('{"news": 1}')


@pytest.fixture
def slow(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[object], threading.Event]]:
    """The arm's commands, each of which takes until the event is set."""
    sent: list[object] = []
    may_go_on = threading.Event()
    send = cell.robot.send

    def hang(command: rk.RobotCommand, target_epoch: int | None = None) -> rk.RobotCommand:
        sent.append(command)
        assert may_go_on.wait(30.0)
        return send(command, target_epoch)

    monkeypatch.setattr(cell.robot, "send", hang)
    yield sent, may_go_on
    may_go_on.set()


def test_b4_commands_that_timed_out_at_the_client_are_never_carried_out(
    url: str, cell: rk.Workcell, slow: tuple[list[object], threading.Event]
) -> None:
    sent, may_go_on = slow
    pose = cell.get_state().robot.tcp_pose_in_base
    command = rk.PoseCommand(tcp_pose_in_base=pose)
    with rk.make_workcell("remote", url=url, timeout_s=0.5) as remote:
        ways: tuple[Callable[[], object], ...] = (
            lambda: remote.robot.send(command),
            lambda: remote.step(command),
            lambda: remote.session.ask("/v1/step", rk.StepRequest(command=command), rk.CellState),
        )
        for use in ways:
            with pytest.raises((rk.RemoteTimeout, rk.CommandExpired, rk.Busy)):
                use()
        may_go_on.set()
        # The first one had begun; by the time a further one is answered, the others would have been carried out.
        wait_until(lambda: _fine(lambda: remote.robot.send(command)))
        assert len(sent) <= 3


def _fine(call: Callable[[], object]) -> bool:
    try:
        call()
    except (rk.CommandExpired, rk.ControlHeld, rk.RemoteTimeout):
        return False
    return True


@pytest.mark.parametrize("deadline", ["0", "-5.5", "1e-300"])
def test_b4_a_deadline_in_the_past_is_refused(url: str, deadline: str, cell: rk.Workcell) -> None:
    name = {CLIENT_HEADER: "tester"}
    headers = {**name, DEADLINE_HEADER: deadline}
    reply = httpx.post(
        f"{url}/v1/step", json={"gripper": {"position": 0.0}}, headers=headers, trust_env=False, timeout=60.0
    )
    assert (reply.status_code, reply.json()["code"]) == (409, "command_expired")
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None, additional_headers=name) as socket:
        socket.send(json.dumps({"gripper": {"position": 0.0}, "deadline_s": float(deadline), "seq": 3}))
        answer = json.loads(socket.recv())
        assert (answer["code"], answer["seq"]) == ("command_expired", 3)
    with connect(
        url.replace("http", "ws") + "/v1/stream?rate_hz=1&window=1", proxy=None, additional_headers=name
    ) as socket:
        socket.recv()
        socket.send(json.dumps({"type": "command", "gripper": {"position": 0.0}, "deadline_s": float(deadline)}))
        assert json.loads(socket.recv())["code"] == "command_expired"
    assert cell.get_state().gripper.target_position != 0.0


def test_b4_a_deadline_of_another_servers_time_is_refused(url: str, cell: rk.Workcell) -> None:
    name, body = {CLIENT_HEADER: "tester"}, {"gripper": {"position": 0.0}}
    deadline_s = time.monotonic() + 60.0
    headers = {**name, DEADLINE_HEADER: f"{deadline_s}", CLOCK_HEADER: "that before the restart"}
    reply = httpx.post(f"{url}/v1/step", json=body, headers=headers, trust_env=False, timeout=60.0)
    assert (reply.status_code, reply.json()["code"]) == (409, "command_expired")
    assert "GET /v1/protocol" in reply.json()["message"]
    late = {**body, "deadline_s": deadline_s, "clock": "that before the restart"}
    for path, message in (("/v1/steps", late), ("/v1/stream?rate_hz=1&window=1", {**late, "type": "command"})):
        with connect(url.replace("http", "ws") + path, proxy=None, additional_headers=name) as socket:
            socket.send(json.dumps(message))
            answers = [json.loads(socket.recv(10.0))]
            while answers[-1]["type"] == "state":
                answers.append(json.loads(socket.recv(10.0)))
        assert answers[-1]["code"] == "command_expired"
    assert cell.get_state().gripper.target_position != 0.0


def test_b4_a_client_whose_server_was_started_anew_asks_for_its_time_again(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose = cell.get_state().robot.tcp_pose_in_base
    with rk.make_workcell("remote", url=url) as remote, remote.stream() as stream:
        uses: tuple[Callable[[], object], ...] = (
            lambda: remote.gripper.close(),
            lambda: remote.step(gripper=rk.GripperCommand(position=0.0)),
            lambda: stream.send(rk.PoseCommand(tcp_pose_in_base=pose)),
        )
        for number, use in enumerate(uses):
            remote.gripper.open()
            monkeypatch.setattr(clock, "CLOCK", f"start {number}")
            if number == 2:
                use()
                use = stream.latest
                wait_until(lambda: stream._error is not None)
            with pytest.raises(rk.CommandExpired):
                use()
            assert cell.get_state().gripper.target_position == 1.0
            assert cell.get_state().robot.mode == "holding"
            uses[number]()
        wait_until(lambda: cell.get_state().robot.mode == "tracking")


@pytest.mark.parametrize("deadline", ["nan", "inf", "soon", ""])
def test_b4_a_deadline_that_is_no_number_is_refused(url: str, deadline: str) -> None:
    reply = httpx.post(f"{url}/v1/step", json={}, headers={DEADLINE_HEADER: deadline}, trust_env=False, timeout=60.0)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command")
    assert DEADLINE_HEADER in reply.json()["message"]
