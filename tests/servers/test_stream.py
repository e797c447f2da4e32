"""The websocket: states down, commands up, newest wins both ways, nothing queues up."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import robotkit as rk
from servers import ServerSettings
from tests.serving import served


@pytest.fixture(scope="module")
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture(scope="module")
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell, ServerSettings(lease_timeout_s=60.0)) as running:
        yield running


@pytest.fixture
def remote(url: str) -> Iterator[rk.Workcell]:
    with rk.make_workcell("remote", url=url) as cell:
        cell.robot.recover()
        cell.reset(seed=0)
        yield cell
        cell.connect()
        cell.robot.recover()


def _open(url: str, query: str = "", client: str = "raw") -> ClientConnection:
    address = url.replace("http", "ws") + "/v1/stream?" + query
    return connect(address, proxy=None, compression=None, additional_headers={"X-Robotkit-Client": client})


def _pose(cell: rk.Workcell, dz: float = 0.0) -> rk.PoseCommand:
    pose = cell.get_state().robot.tcp_pose_in_base.copy()
    pose[2] += dz
    return rk.PoseCommand(tcp_pose_in_base=pose)


def _wait_until(condition: Callable[[], object], deadline_s: float = 5.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.005)


def test_states_arrive_in_order_and_get_newer(url: str) -> None:
    with _open(url, "rate_hz=200") as socket:
        messages = [json.loads(socket.recv()) for _ in range(20)]
    assert [message["seq"] for message in messages] == list(range(1, 21))
    stamps = [message["state"]["robot"]["stamp_s"] for message in messages]
    assert stamps == sorted(stamps)
    assert rk.CellState.model_validate(messages[-1]["state"])


def test_a_reader_that_acknowledges_is_never_further_behind_than_its_window(url: str) -> None:
    with _open(url, "rate_hz=500&window=4") as socket:
        time.sleep(0.3)
        for last in range(1, 5):
            assert json.loads(socket.recv())["seq"] == last
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)
        asked_s = time.monotonic()
        socket.send(json.dumps({"type": "ack", "seq": 4}))
        state = json.loads(socket.recv())["state"]["robot"]
        assert state["stamp_s"] >= asked_s - 0.05


def test_an_acknowledgement_from_the_future_opens_nothing(url: str) -> None:
    with _open(url, "rate_hz=500&window=2") as socket:
        socket.recv()
        socket.recv()
        socket.send(json.dumps({"type": "ack", "seq": 10**9}))
        assert [json.loads(socket.recv())["seq"] for _ in range(2)] == [3, 4]
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)


def test_an_acknowledgement_of_something_older_takes_nothing_back(url: str) -> None:
    with _open(url, "rate_hz=500&window=2") as socket:
        for first in (1, 3, 5):
            assert [json.loads(socket.recv(20.0))["seq"] for _ in range(2)] == [first, first + 1]
            for seq in (first + 1, 0):
                socket.send(json.dumps({"type": "ack", "seq": seq}))


def test_a_slow_reader_of_the_client_sees_only_new_states(remote: rk.Workcell) -> None:
    with remote.stream(rate_hz=500) as stream:
        for _ in range(3):
            time.sleep(0.2)
            age_s = remote.clock.now_s() - stream.latest().robot.stamp_s
            assert age_s < 0.2
        assert stream.received > 50


def test_commands_go_up_and_move_the_robot(remote: rk.Workcell) -> None:
    with remote.stream() as stream:
        target = _pose(remote, 0.03)
        stream.send(target, rk.GripperCommand(position=0.0))
        _wait_until(lambda: stream.latest().gripper.target_position == 0.0)
        _wait_until(lambda: abs(stream.latest().robot.tcp_pose_in_base[2] - target.tcp_pose_in_base[2]) < 0.005)


def test_the_newest_command_wins(remote: rk.Workcell) -> None:
    with remote.stream() as stream:
        for index in range(200):
            stream.send(gripper=rk.GripperCommand(position=index / 199))
        _wait_until(lambda: stream.latest().gripper.target_position == 1.0)


def test_the_newest_command_that_came_during_another_is_carried_out_after_it(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[float] = []
    acts, may_go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(
        cell.gripper, "move", lambda position: (moved.append(position), acts.set(), may_go_on.wait(20.0))
    )
    with _open(url, "rate_hz=100&window=1") as socket:
        socket.recv()
        socket.send('{"type":"command","gripper":{"position":0.1}}')
        assert acts.wait(20.0)
        for text in (
            '{"type":"command","gripper":{"position":0.2}}',
            '{"type":"command","gripper":{"position":0.3}}',
            "{",
        ):
            socket.send(text)
        assert json.loads(socket.recv())["type"] == "error"  # so that what came before it has arrived
        assert moved == [0.1]
        may_go_on.set()
        _wait_until(lambda: len(moved) == 2)
    assert moved == [0.1, 0.3]


def test_a_refused_command_comes_back_as_its_own_class(remote: rk.Workcell) -> None:
    far = remote.get_state().robot.tcp_pose_in_base.copy()
    far[1] = 0.9
    with remote.stream() as stream:
        stream.send(rk.PoseCommand(tcp_pose_in_base=far))
        with pytest.raises(rk.OutsideWorkspace):
            _wait_until(lambda: stream.latest() is None)
        assert stream.latest().robot.mode != "stopped"
        remote.robot.stop()
        stream.send(_pose(remote))
        with pytest.raises(rk.RobotStopped):
            _wait_until(lambda: stream.latest() is None)


def test_another_clients_stream_may_read_but_not_command(remote: rk.Workcell, url: str) -> None:
    remote.step(_pose(remote))
    with rk.make_workcell("remote", url=url) as other, other.stream() as stream:
        assert stream.latest()
        stream.send(gripper=rk.GripperCommand(position=0.5))
        with pytest.raises(rk.ControlHeld):
            _wait_until(lambda: stream.latest() is None)
    assert remote.step(_pose(remote)).accepted is not None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{", "JSON"),
        ('{"type":"jump"}', "jump"),
        ('{"type":"command","speed":1}', "speed"),
        ('{"type":"command","gripper":{"position":NaN}}', "position"),
        (b"\x00", "JSON"),
    ],
)
def test_a_bad_message_is_answered_and_the_stream_goes_on(url: str, text: str | bytes, hint: str) -> None:
    with _open(url, "rate_hz=100&window=1") as socket:
        socket.recv()
        socket.send(text)
        error = json.loads(socket.recv())
        assert (error["type"], error["code"]) == ("error", "invalid_command")
        assert hint in error["message"]
        socket.send(json.dumps({"type": "ack", "seq": 1}))
        assert json.loads(socket.recv())["type"] == "state"


@pytest.mark.parametrize(
    "query",
    ["rate_hz=nan", "rate_hz=inf", "rate_hz=-1", "rate_hz=0", "rate_hz=1e-300", "rate_hz=fast", "rate_hz=", "window=-1",
     "window=1e300", "window=nan", "rate_hz=" + "9" * 400],
)  # fmt: skip
def test_f5_an_odd_query_is_answered_before_the_stream_closes(url: str, query: str) -> None:
    with _open(url, query) as socket:
        error = json.loads(socket.recv())
        assert (error["type"], error["code"]) == ("error", "invalid_command")
        assert query.split("=")[0] in error["message"]
        with pytest.raises(ConnectionClosed):
            socket.recv()


@pytest.mark.parametrize("version", ["\xb2", "-2", "1" * 400, "two"])
def test_f5_an_odd_version_reads_and_is_told_why_it_does_not_command(url: str, version: str) -> None:
    headers = {"X-Robotkit-Protocol": version, "X-Robotkit-Client": "odd"}
    address = url.replace("http", "ws")
    with connect(f"{address}/v1/stream", proxy=None, additional_headers=headers) as socket:
        assert json.loads(socket.recv())["type"] == "state"
    with connect(f"{address}/v1/steps", proxy=None, additional_headers=headers) as socket:
        socket.send("{}")
        assert json.loads(socket.recv())["code"] == "protocol_error"


@pytest.mark.parametrize("query", ["", "rate_hz=0.1", "rate_hz=500", "window=0", "window=1000000"])
def test_numbers_at_the_ends_of_their_ranges_are_taken(url: str, query: str) -> None:
    with _open(url, query) as socket:
        assert json.loads(socket.recv())["type"] == "state"


def test_f11_all_streams_together_have_a_rate(url: str) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            assert json.loads(stack.enter_context(_open(url, "rate_hz=500&window=1")).recv())["type"] == "state"
        with _open(url, "rate_hz=1") as socket:
            assert json.loads(socket.recv())["code"] == "busy"
    _wait_until(lambda: _streams(url))


def _streams(url: str) -> bool:
    with _open(url, "rate_hz=500") as socket:
        return bool(json.loads(socket.recv())["type"] == "state")


ODD_TEXTS = [
    "", "null", "[]", "0", '"text"', "[" * 30000, '{"a":' * 8000, "NaN", '{"seq":-1}', '{"seq":1e999}',
    '{"seq":' + "9" * 400 + "}", '{"seq":' + "9" * 6000 + "}", '{"seq":true}', '{"seq":"1"}', '{"seq":1.5}',
    '{"period_s":' + "9" * 400 + "}", '{"period_s":true}', '{"period_s":"0.1"}', '{"deadline_s":' + "9" * 400 + "}",
    '{"deadline_s":NaN}', '{"gripper":{"position":' + "9" * 400 + "}}", '{"gripper":{"position":true}}',
    '{"command":{"kind":"joint","joint_positions_rad":[' + "9" * 400 + "]}}",
    '{"command":{"kind":"joint","joint_positions_rad":[true,false,0,0,0,0,0]}}',
    '{"command":{"kind":"joint","joint_positions_rad":["0",0,0,0,0,0,0]}}',
    '{"command":{"kind":"pose","tcp_pose_in_base":[[0.5],0,0.3,1,0,0,0]}}', "{\"type\":\"command\"",
    '{"command":{"kind":"joint","joint_positions_rad":[1e308,1e308,0,0,0,0,0]}}', r'{"\ud800":1}', "\x00", "é" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/steps", "/v1/stream"])
def test_f5_an_odd_message_is_answered_and_moves_nothing(url: str, cell: rk.Workcell, path: str) -> None:
    before = cell.get_state()
    address = url.replace("http", "ws") + path + "?rate_hz=0.1&window=1"
    with connect(address, proxy=None, compression=None, additional_headers={"X-Robotkit-Client": "raw"}) as socket:
        if path == "/v1/stream":
            socket.recv()
        for text in (*ODD_TEXTS, b"", b"\xff\xfe", b"{"):
            for message in (text, text.encode()) if isinstance(text, str) else (text,):
                socket.send(message)
                error = json.loads(socket.recv(20.0))
                assert error["type"] == "error", (message[:60], error)
                assert error["code"] in ("invalid_command", "joint_limit_exceeded"), (message[:60], error)
    after = cell.get_state()
    assert after.robot.joint_positions_rad == pytest.approx(before.robot.joint_positions_rad, abs=1e-6)


def test_f5_a_text_that_is_no_text_closes_the_websocket_with_a_reason(url: str) -> None:
    with _open(url, "rate_hz=0.1&window=1") as socket:
        socket.recv()
        socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


def test_a_rate_above_the_servers_is_refused(url: str) -> None:
    with _open(url, "rate_hz=1000") as socket:
        assert "500" in json.loads(socket.recv())["message"]
        with pytest.raises(ConnectionClosed):
            socket.recv()


def test_when_the_commanding_stream_closes_the_robot_holds_and_control_is_free(
    remote: rk.Workcell, cell: rk.Workcell, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    hold = cell.robot.hold
    monkeypatch.setattr(cell.robot, "hold", lambda: (held.append(time.monotonic()), hold()))
    remote.disconnect()
    command = {"type": "command", "command": json.loads(_pose(cell, 0.1).model_dump_json())}
    with _open(url) as socket:
        socket.send(json.dumps(command))
        _wait_until(lambda: cell.robot.get_state().tcp_twist_in_base[2] > 0.0)
    _wait_until(lambda: held)
    with rk.make_workcell("remote", url=url) as other:
        other.step(_pose(other))


def test_a_stream_whose_only_command_was_refused_gives_control_up_as_well(url: str, cell: rk.Workcell) -> None:
    with _open(url, "rate_hz=100&window=1", client="refused") as socket:
        socket.recv()
        socket.send('{"type":"command","command":{"kind":"pose","tcp_pose_in_base":[9,0,0.3,1,0,0,0]}}')
        assert json.loads(socket.recv())["code"] == "outside_workspace"
        assert httpx.get(f"{url}/v1/health", trust_env=False, timeout=60.0).json()["controlled_by"] is not None
    _wait_until(lambda: httpx.get(f"{url}/v1/health", trust_env=False, timeout=60.0).json()["controlled_by"] is None)


def test_a_stream_that_only_reads_leaves_the_commander_alone(remote: rk.Workcell, url: str) -> None:
    remote.step(_pose(remote))
    with remote.stream() as stream:
        stream.latest()
    with rk.make_workcell("remote", url=url) as other, pytest.raises(rk.ControlHeld):
        other.step(_pose(other))


def test_a_broken_stream_is_reported_and_never_goes_on_looking_fresh() -> None:
    with served(rk.make_workcell("fake", clock="real")) as url:
        remote = rk.make_workcell("remote", url=url)
        stream = remote.stream()
        with pytest.raises(rk.NotConnected):
            stream.latest()
        stream.connect()
        stream.latest()
    with pytest.raises(rk.ConnectionFailed):
        _wait_until(lambda: stream.latest() is None)
    time.sleep(0.25)
    with pytest.raises(rk.StaleState):
        stream.latest()
    stream.disconnect()
    with pytest.raises(rk.ConnectionFailed):
        stream.connect()


def test_f4_a_refused_pair_of_commands_moves_neither_arm_nor_gripper() -> None:
    bare = rk.Workcell(name="bare", clock=rk.RealClock(), robot=rk.make_robot("fake"))
    with served(bare) as url, rk.make_workcell("remote", url=url) as remote:
        before = remote.get_state().robot
        command, gripper = _pose(remote, 0.05), rk.GripperCommand(position=0.0)
        with remote.stream() as stream:
            stream.send(command, gripper)
            with pytest.raises(rk.Unsupported):
                _wait_until(lambda: stream.latest() is None)
        with pytest.raises(rk.Unsupported):
            remote.step(command, gripper)
        request = rk.StepRequest(command=command, gripper=gripper)
        with pytest.raises(rk.Unsupported):
            remote.session.ask("/v1/step", request, rk.CellState)
        after = remote.get_state().robot
    assert after.tcp_pose_in_base == pytest.approx(before.tcp_pose_in_base, abs=1e-9)
    assert after.mode == before.mode == "holding"
