"""Each thing that can go wrong has its own error, names what to do, and leaves the robot where it was."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

import robotkit as rk
from robotkit.errors import RobotkitError
from servers.errors import STATUS, error_response, parse, reported, status_of
from servers.streaming import error_text
from tests.serving import served

HOME = [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]


def _pose(*position: float) -> dict[str, Any]:
    return {"command": {"kind": "pose", "tcp_pose_in_base": [*position, *HOME[3:]]}, "period_s": 0.02}


BAD_STEPS: dict[str, tuple[Any, int, str, str]] = {
    "nan": (_pose(float("nan"), 0, 0.3), 422, "invalid_command", "tcp_pose_in_base"),
    "infinite": (_pose(0.5, float("inf"), 0.3), 422, "invalid_command", "finite"),
    "nan period": ({"period_s": float("nan")}, 422, "invalid_command", "period_s"),
    "negative period": ({"period_s": -1.0}, 422, "invalid_command", "period_s"),
    "long period": ({"period_s": 11.0}, 422, "invalid_command", "period_s"),
    "wrong length": (
        {"command": {"kind": "pose", "tcp_pose_in_base": HOME[:6]}}, 422, "invalid_command", "tcp_pose_in_base",
    ),
    "no unit quaternion": (
        {"command": {"kind": "pose", "tcp_pose_in_base": [0.5, 0, 0.3, 1, 1, 0, 0]}}, 422, "invalid_command", "length",
    ),
    "joint count": ({"command": {"kind": "joint", "joint_positions_rad": [0.0] * 6}}, 422, "invalid_command", "7"),
    "unknown field": ({**_pose(0.5, 0, 0.3), "speed": 1}, 422, "invalid_command", "speed"),
    "unknown kind": ({"command": {"kind": "velocity"}}, 422, "invalid_command", "velocity"),
    "gripper range": ({"gripper": {"position": 1.5}}, 422, "invalid_command", "gripper.position"),
    "text": ({"period_s": "soon"}, 422, "invalid_command", "period_s"),
    "a list": ([1, 2], 422, "invalid_command", "body"),
    "outside the box": (_pose(0.5, 0.9, 0.3), 409, "outside_workspace", "y"),
    "too far": (_pose(0.5, 0.25, 0.3), 409, "step_too_large", "0.12"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_STEPS)
def test_a_bad_step_is_refused_and_changes_nothing(http: httpx.Client, app_cell: rk.Workcell, name: str) -> None:
    body, status, code, hint = BAD_STEPS[name]
    before = app_cell.get_state()
    reply = http.post("/v1/step", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert hint in reply.json()["message"]
    assert set(reply.json()) == {"code", "message"}
    assert app_cell.get_state() == before


def test_what_is_not_json_is_refused(http: httpx.Client) -> None:
    reply = http.post("/v1/step", content="{", headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command")


def test_while_stopped_commands_are_refused_and_reading_works(http: httpx.Client) -> None:
    assert http.post("/v1/robot/stop").status_code == 204
    for path, body in (
        ("/v1/step", _pose(0.5, 0.0, 0.3)),
        ("/v1/robot/command", _pose(0.5, 0.0, 0.3)["command"]),
        ("/v1/robot/joint_move", {"joint_positions_rad": [0, 0, 0, -1.9, 0, 2, 0]}),
        ("/v1/robot/reset", None),
    ):
        reply = http.post(path, json=body)
        assert (reply.status_code, reply.json()["code"]) == (409, "robot_stopped"), path
        assert "recover" in reply.json()["message"]
    assert http.get("/v1/state").json()["robot"]["mode"] == "stopped"
    assert http.post("/v1/robot/recover").status_code == 204
    assert http.post("/v1/step", json={"period_s": 0.0}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/cameras/side/frame", "/v1/trackers/cup"])
def test_unknown_devices_are_named_with_the_known_ones(http: httpx.Client, path: str) -> None:
    reply = http.get(path)
    assert (reply.status_code, reply.json()["code"]) == (404, "unknown_plugin")
    assert "Known" in reply.json()["message"]


def test_unknown_paths_and_methods_answer_in_the_same_form(http: httpx.Client) -> None:
    for reply, status in ((http.get("/v2/state"), 404), (http.get("/v1/step"), 405)):
        assert (reply.status_code, reply.json()["code"]) == (status, "protocol_error")


def test_a_cell_without_a_gripper_or_a_world_says_so() -> None:
    bare = rk.Workcell(name="bare", clock=rk.RealClock(), robot=rk.make_robot("fake"))
    with served(bare) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        for path, body in (
            ("/v1/gripper/close", None),
            ("/v1/step", {"gripper": {"position": 1.0}}),
            ("/v1/reset", {"object_poses_in_base": {"block": HOME}}),
            ("/open_gripper", None),
        ):
            reply = client.post(path, json=body)
            assert (reply.status_code, reply.json()["code"]) == (501, "unsupported"), path
        assert client.post("/getstate").json()["gripper_pos"] == 0


def test_a_device_that_is_gone_is_unavailable() -> None:
    cell = rk.make_workcell("fake")
    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        cell.robot.disconnect()
        for reply in (client.get("/v1/state"), client.post("/v1/step", json=_pose(0.5, 0.0, 0.3))):
            assert (reply.status_code, reply.json()["code"]) == (503, "not_connected")
        health = client.get("/v1/health").json()
        assert health["status"] == "fault"
        assert "not_connected" in health["problems"][0]


@pytest.mark.parametrize(
    ("count", "named", "more"), [(1, 1, ""), (8, 8, ""), (9, 8, "and 1 more"), (100, 8, "and 92 more")]
)
def test_f10_so_many_faults_are_named_and_the_others_counted(count: int, named: int, more: str) -> None:
    with pytest.raises(rk.InvalidCommand) as refused:
        parse(TypeAdapter(rk.StepRequest), json.dumps({f"field{index}": 0 for index in range(count)}))
    parts = refused.value.message.split("; ")
    assert [part.split(":")[0] for part in parts[:named]] == [f"field{index}" for index in range(named)]
    assert parts[named:] == ([more] if more else [])


def test_f10_of_more_than_a_hundred_faults_the_number_is_told() -> None:
    with pytest.raises(rk.InvalidCommand, match=r"^101 fields do not validate$"):
        parse(TypeAdapter(rk.StepRequest), json.dumps({f"field{index}": 0 for index in range(101)}))


def test_f10_a_sentence_has_an_end_whatever_it_quotes() -> None:
    for body in (error_response(rk.InvalidCommand("x" * 10**5)).body, error_text(rk.InvalidCommand("x" * 10**5))):
        assert json.loads(body)["message"] == "x" * 4000


def test_an_error_that_is_none_of_ours_is_logged_and_told_as_the_servers_own(caplog: pytest.LogCaptureFixture) -> None:
    told = reported(ZeroDivisionError("by zero"))
    assert (type(told), status_of(told)) == (RobotkitError, 500)
    assert "ZeroDivisionError: by zero" in told.message
    assert "by zero" in caplog.text
    ours = rk.Busy("wait")
    assert reported(ours) is ours


def _tree(cls: type[RobotkitError]) -> list[type[RobotkitError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _tree(child))]


def test_every_error_of_the_tree_has_a_status() -> None:
    for cls in _tree(RobotkitError):
        assert 400 <= status_of(cls("why")) < 600
    assert status_of(rk.ControlHeld("x")) == status_of(rk.OutsideWorkspace("x")) == STATUS[rk.CommandRejected]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (rk.InvalidCommand, 422), (rk.Unsupported, 501), (rk.StepTooLarge, 409), (rk.Busy, 409), (rk.StaleState, 503),
        (rk.Unauthorized, 401), (rk.Forbidden, 403), (rk.RemoteTimeout, 504), (rk.ConnectionFailed, 502),
        (rk.UnknownPlugin, 404), (rk.InvalidConfiguration, 400), (RobotkitError, 500),
    ],
)  # fmt: skip
def test_a_status_says_whose_fault_it_is(error: type[RobotkitError], status: int) -> None:
    assert status_of(error("why")) == status


ODD_VALUES = [
    "9" * 400,
    "-1",
    "true",
    '"1"',
    '"١"',
    "1e999",
    "NaN",
    "null",
    "[]",
    "{}",
    "[" * 5000,
    "[[0.5]]",
    '"\\ud800"',
]


def test_f5_an_odd_body_is_refused_whatever_the_route(http: httpx.Client, app_cell: rk.Workcell) -> None:
    document = http.get("/openapi.json").json()
    before = app_cell.get_state().robot.joint_positions_rad
    tried = 0
    for path, methods in document["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            for name in example["value"]:
                for odd in ODD_VALUES:
                    body = json.dumps({**example["value"], name: "ODD"}).replace('"ODD"', odd)
                    reply = http.post(path, content=body.encode(), headers={"Content-Type": "application/json"})
                    if reply.status_code in (200, 204):
                        # What may be left out may be null, and some fields may be negative or empty.
                        assert odd in ("null", "-1", "[]", "{}"), (path, body[:200])
                        continue
                    assert reply.status_code in (409, 422, 501), (path, body[:200], reply.text)
                    assert set(reply.json()) == {"code", "message"}
                    tried += 1
    assert tried > 300
    http.post("/v1/reset", json={"seed": 0})
    assert app_cell.get_state().robot.joint_positions_rad == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x00", b'{"a":1', b"[]", b'"x"', b"1" * 5000])
def test_f5_what_is_no_object_is_refused_whatever_the_route(http: httpx.Client, content: bytes) -> None:
    for path in ("/v1/step", "/v1/reset", "/v1/robot/command", "/v1/robot/joint_move", "/v1/gripper/move", "/pose"):
        reply = http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command"), (path, reply.text)
