"""Each remote device hands on what it was told, in the right way, and believes no answer that does not fit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

import robotkit as rk
from robotkit.remote.clock import RemoteClock
from robotkit.remote.devices import RemoteCamera, RemoteDevice, RemoteGripper, RemotePoseTracker, RemoteRobot
from robotkit.schema.wire import DEPTH_HEADER, SHAPE_HEADER, STAMP_HEADER, ClockState

CELL = rk.make_workcell("fake")


class _Session:
    """Notes what it is asked, and answers what a test put under the path."""

    motion_timeout_s = 120.0

    def __init__(self, **answers: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = answers
        self.seen = SimpleNamespace(read=lambda state: self.asked.append(("seen", state)), forget=lambda: None)

    def _answer(self, *asked: Any) -> Any:
        self.asked.append(asked)
        answer = self.answers.get(str(asked[1]).rsplit("/", 1)[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get(self, path: str, **query: str) -> Any:
        return self._answer("get", path, *query.items())

    def read(self, path: str, reply: type[rk.Message]) -> Any:
        return self._answer("read", path, reply)

    def post(self, path: str) -> Any:
        return self._answer("post", path)

    def command(self, path: str, body: Any = None, timeout_s: float | None = None) -> Any:
        return self._answer("command", path, body, timeout_s)

    def ask(self, path: str, body: Any, reply: type[rk.Message]) -> Any:
        return self._answer("ask", path, body, reply)

    def move(self, path: str, body: Any = None) -> Any:
        return self._answer("move", path, body)

    def stop(self) -> None:
        self._answer("stop", "/v1/robot/stop")

    @property
    def handshake(self) -> _Session:
        return self

    def require_common_version(self) -> None:
        self._answer("version", "/v1/protocol")


@pytest.fixture
def session() -> _Session:
    return _Session()


def _opened(device: Any, session: _Session) -> Any:
    device.connect()
    session.asked.clear()
    return device


@pytest.fixture
def robot(session: _Session) -> RemoteRobot:
    return _opened(RemoteRobot(session, CELL.robot.spec), session)


def test_connecting_asks_the_server_once_and_fails_as_it_does(session: _Session) -> None:
    device = RemoteDevice(session, "it")
    session.answers["cell"] = rk.Unauthorized("the token is wrong")
    with pytest.raises(rk.Unauthorized):
        device.connect()
    assert not device.is_connected
    session.answers.clear()
    for _ in range(2):
        device.connect()
        assert device.is_connected
    assert session.asked == [("get", "/v1/cell")] * 2
    device.disconnect()
    assert not device.is_connected


def test_an_arm_gives_control_back_once_and_only_if_it_was_connected(session: _Session) -> None:
    robot = RemoteRobot(session, CELL.robot.spec)
    robot.disconnect()
    assert session.asked == []
    _opened(robot, session)
    robot.disconnect()
    robot.disconnect()
    assert session.asked == [("post", "/v1/control/release")]
    assert not robot.is_connected


@pytest.mark.parametrize(("error", "is_raised"), [(rk.ConnectionFailed, False), (rk.DeviceFault, True)])
def test_a_server_that_is_gone_needs_no_farewell(
    session: _Session, robot: RemoteRobot, error: type[Exception], is_raised: bool
) -> None:
    session.answers["release"] = error("why")
    if is_raised:
        with pytest.raises(error):
            robot.disconnect()
    else:
        robot.disconnect()
    assert not robot.is_connected


POSE = rk.PoseCommand(tcp_pose_in_base=[0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
JOINTS = rk.JointCommand(joint_positions_rad=np.zeros(7))


@pytest.mark.parametrize(("command", "kind"), [(POSE, rk.PoseCommand), (JOINTS, rk.JointCommand)])
def test_a_command_is_sent_once_and_the_accepted_one_is_returned(
    session: _Session, robot: RemoteRobot, command: rk.RobotCommand, kind: type
) -> None:
    session.answers["command"] = "what was accepted"
    assert robot.send(command) == "what was accepted"
    assert session.asked == [("ask", "/v1/robot/command", command, kind)]


def test_motions_wait_stops_go_their_own_way_and_recovery_has_no_deadline(
    session: _Session, robot: RemoteRobot
) -> None:
    robot.move_to_joint_positions([0.1] * 7)
    robot.reset()
    robot.stop()
    robot.recover()
    robot.hold()
    params = rk.ComplianceParams()
    robot.set_compliance(params)
    (move, path, request), *others = session.asked
    assert (move, path) == ("move", "/v1/robot/joint_move")
    assert request.joint_positions_rad.tolist() == [0.1] * 7
    assert others == [
        ("move", "/v1/robot/reset", None),
        ("stop", "/v1/robot/stop"),
        ("version", "/v1/protocol"),
        ("post", "/v1/robot/recover"),
        ("command", "/v1/robot/hold", None, None),
        ("command", "/v1/robot/compliance", params, None),
    ]


def test_a_gripper_that_is_made_ready_may_take_as_long_as_a_motion(session: _Session) -> None:
    gripper = _opened(RemoteGripper(session, CELL.gripper.spec), session)
    gripper.move(0.25)
    gripper.activate()
    gripper.reset()
    assert session.asked == [
        ("command", "/v1/gripper/move", rk.GripperCommand(position=0.25), None),
        ("command", "/v1/gripper/activate", None, 120.0),
        ("command", "/v1/gripper/reset", None, 120.0),
    ]


def test_readings_are_the_servers(session: _Session, robot: RemoteRobot) -> None:
    session.answers["state"] = "a state"
    session.answers["cup"] = "a pose"
    assert robot.get_state() == "a state"
    assert _opened(RemoteGripper(session, CELL.gripper.spec), session).get_state() == "a state"
    assert session.asked == [("read", "/v1/gripper/state", rk.GripperState)]
    assert _opened(RemotePoseTracker(session, "cup"), session).get_pose() == "a pose"
    assert session.asked == [("read", "/v1/trackers/cup", rk.TrackedPose)]


def test_r1_the_epoch_is_that_of_the_newest_state_and_is_asked_for_before_there_is_one(
    session: _Session, robot: RemoteRobot
) -> None:
    session.answers["state"] = SimpleNamespace(target_epoch=4)
    assert robot.target_epoch == 4
    robot.newest_epoch = 7
    assert robot.target_epoch == 7
    robot.disconnect()
    robot.connect()
    assert robot.target_epoch == 4


RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
DEPTH_M = np.arange(6, dtype="<f4").reshape(2, 3) / 7
HEADERS = {SHAPE_HEADER: "2,3,3", STAMP_HEADER: "1.25", DEPTH_HEADER: "float32"}


def test_a_name_with_blanks_signs_and_letters_of_any_language_is_one_part_of_the_path(session: _Session) -> None:
    _opened(RemotePoseTracker(session, "left c\u00fap/2?"), session).get_pose()
    assert session.asked[-1][1] == "/v1/trackers/left%20c%C3%BAp%2F2%3F"


def _camera(session: _Session, headers: dict[str, str], content: bytes) -> RemoteCamera:
    session.answers["frame"] = httpx.Response(200, headers=headers, content=content)
    return _opened(RemoteCamera(session, "wrist", CELL.cameras["wrist"].spec), session)


@pytest.mark.parametrize("depth_m", [DEPTH_M, None])
def test_an_image_is_the_pixels_that_were_sent(session: _Session, depth_m: np.ndarray | None) -> None:
    headers = HEADERS | ({} if depth_m is not None else {DEPTH_HEADER: "none"})
    frame = _camera(session, headers, RGB.tobytes() + (b"" if depth_m is None else depth_m.tobytes())).read()
    assert session.asked == [("get", "/v1/cameras/wrist/frame", ("format", "raw"))]
    assert frame.stamp_s == 1.25
    assert np.array_equal(frame.rgb, RGB)
    assert frame.rgb.flags.writeable
    assert (frame.depth_m is None) == (depth_m is None)
    if depth_m is not None:
        assert np.array_equal(frame.depth_m, depth_m)
        assert frame.depth_m.flags.writeable


@pytest.mark.parametrize(
    "headers",
    [
        {SHAPE_HEADER: "2,3,4"}, {SHAPE_HEADER: "2,3"}, {SHAPE_HEADER: "wide"}, {STAMP_HEADER: "now"},
        {SHAPE_HEADER: None}, {STAMP_HEADER: None}, {DEPTH_HEADER: None},
    ],
)  # fmt: skip
def test_an_image_that_does_not_fit_its_headers_is_a_protocol_error(
    session: _Session, headers: dict[str, str | None]
) -> None:
    given = {name: value for name, value in (HEADERS | headers).items() if value is not None}
    with pytest.raises(rk.ProtocolError, match="does not fit"):
        _camera(session, given, RGB.tobytes() + DEPTH_M.tobytes()).read()


class _FarClock(_Session):
    """A server whose clock stands at 5000 s when this machine's stands at 100 s; an answer takes 0.2 s each way."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def read(self, path: str, reply: type[rk.Message]) -> Any:
        super().read(path, reply)
        self.now_s += 0.2
        answer = ClockState(now_s=self.now_s + 4900.0, is_lockstep=False)
        self.now_s += 0.2
        return answer


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> _FarClock:
    clock = _FarClock()
    monkeypatch.setattr("robotkit.remote.clock.time", clock)
    return clock


def test_in_real_time_the_servers_clock_is_asked_once_and_half_of_the_way_is_allowed_for(far: _FarClock) -> None:
    clock = RemoteClock(far, is_lockstep=False)
    for _ in range(2):
        assert clock.now_s() == pytest.approx(far.now_s + 4900.0)
        far.now_s += 3.0
    assert len(far.asked) == 1
    clock.advance(0.0)
    assert len(far.asked) == 1


def test_in_lockstep_every_look_at_the_clock_asks_and_time_passes_there(far: _FarClock) -> None:
    clock = RemoteClock(far, is_lockstep=True)
    assert clock.is_lockstep
    assert clock.now_s() == pytest.approx(5000.2)
    assert clock.now_s() == pytest.approx(5000.6)
    clock.advance(0.25)
    way, path, body, _ = far.asked[-1]
    assert (way, path, body.period_s) == ("ask", "/v1/clock/advance", 0.25)
