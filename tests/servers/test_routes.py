"""Every route answers what the cell itself would say."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from hashlib import sha256

import httpx
import numpy as np
import pytest
from imageio.v3 import imread
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from robotkit.schema.wire import ClockState


def test_cell_and_state_are_the_cells_own(http: httpx.Client, app_cell: rk.Workcell) -> None:
    assert rk.CellSpec.model_validate_json(http.get("/v1/cell").content) == app_cell.spec()
    assert rk.CellState.model_validate_json(http.get("/v1/state").content) == app_cell.get_state()
    assert rk.RobotState.model_validate_json(http.get("/v1/robot/state").content) == app_cell.robot.get_state()
    assert rk.GripperState.model_validate_json(http.get("/v1/gripper/state").content) == app_cell.gripper.get_state()
    pose = rk.TrackedPose.model_validate_json(http.get("/v1/trackers/block").content)
    assert pose == app_cell.trackers["block"].get_pose()


def test_step_sends_waits_and_measures(http: httpx.Client) -> None:
    start = http.get("/v1/state").json()["robot"]
    target = [*start["tcp_pose_in_base"]]
    target[2] += 0.02
    request = {"command": {"kind": "pose", "tcp_pose_in_base": target}, "gripper": {"position": 0.25}, "period_s": 0.5}
    state = http.post("/v1/step", json=request).json()
    assert state["accepted"]["tcp_pose_in_base"] == pytest.approx(target)
    assert state["robot"]["stamp_s"] == pytest.approx(start["stamp_s"] + 0.5)
    assert state["robot"]["tcp_pose_in_base"][2] > start["tcp_pose_in_base"][2] + 0.01
    assert state["gripper"]["target_position"] == 0.25


def test_clock_advances_by_exactly_what_is_asked(http: httpx.Client) -> None:
    before = ClockState.model_validate_json(http.get("/v1/clock").content)
    after = ClockState.model_validate_json(http.post("/v1/clock/advance", json={"period_s": 0.25}).content)
    assert before.is_lockstep
    assert after.now_s - before.now_s == pytest.approx(0.25)


def test_reset_places_objects(http: httpx.Client) -> None:
    pose = [0.4, 0.1, 0.02, 0.0, 0.0, 0.0, 1.0]
    state = http.post("/v1/reset", json={"seed": 1, "object_poses_in_base": {"block": pose}}).json()
    assert state["poses"]["block"]["pose_in_base"] == pose


def test_robot_actions(http: httpx.Client, app_cell: rk.Workcell) -> None:
    joints = app_cell.robot.spec.reset_joint_positions_rad + 0.1
    assert http.post("/v1/robot/joint_move", json={"joint_positions_rad": joints.tolist()}).status_code == 204
    assert app_cell.robot.get_state().joint_positions_rad == pytest.approx(joints, abs=0.02)
    assert http.post("/v1/robot/reset").status_code == 204
    rest = app_cell.robot.spec.reset_joint_positions_rad
    assert app_cell.robot.get_state().joint_positions_rad == pytest.approx(rest, abs=0.02)
    assert http.post("/v1/robot/compliance", json={"translational_stiffness_n_m": 800.0}).status_code == 204


def test_gripper_actions(http: httpx.Client, app_cell: rk.Workcell) -> None:
    for path, body, target in (("close", None, 0.0), ("open", None, 1.0), ("move", {"position": 0.3}, 0.3)):
        assert http.post(f"/v1/gripper/{path}", json=body).status_code == 204
        assert app_cell.gripper.get_state().target_position == target
    assert http.post("/v1/gripper/activate").status_code == 204
    assert http.post("/v1/gripper/reset").status_code == 204


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_images_arrive_with_shape_and_stamp(http: httpx.Client, app_cell: rk.Workcell, camera: str) -> None:
    frame = app_cell.cameras[camera].read()
    raw = http.get(f"/v1/cameras/{camera}/frame")
    assert raw.headers["X-Robotkit-Shape"] == "128,128,3"
    assert float(raw.headers["X-Robotkit-Stamp"]) == frame.stamp_s
    assert np.array_equal(np.frombuffer(raw.content, np.uint8).reshape(128, 128, 3), frame.rgb)
    png = http.get(f"/v1/cameras/{camera}/frame", params={"format": "png"})
    assert png.headers["content-type"] == "image/png"
    assert np.array_equal(imread(io.BytesIO(png.content)), frame.rgb)
    assert raw.headers["X-Robotkit-Depth"] == "none"
    assert raw.headers["Cache-Control"] == png.headers["Cache-Control"] == "no-store"
    jpeg = http.get(f"/v1/cameras/{camera}/frame", params={"format": "jpeg"})
    assert imread(io.BytesIO(jpeg.content)).shape == frame.rgb.shape


def test_health_says_who_commands_and_what_is_wrong(http: httpx.Client) -> None:
    health = http.get("/v1/health").json()
    assert (health["status"], health["controlled_by"]) == ("ok", "tester")
    http.post("/v1/robot/stop")
    health = http.get("/v1/health").json()
    assert health["status"] == "stopped"
    assert "recover" in health["problems"][0]


def test_health_says_that_the_device_has_not_taken_the_stop(
    http: httpx.Client, app_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise rk.DeviceFault("busy")

    monkeypatch.setattr(app_cell.robot.inner, "_halt", fail)
    assert http.post("/v1/robot/stop").status_code >= 500
    assert http.get("/v1/robot/state").json()["is_halt_owed"] is True
    problems = http.get("/v1/health").json()["problems"]
    assert "may still move" in problems[0]
    assert "recover" in problems[1]


def test_health_says_of_an_arm_that_moves_although_it_is_stopped_what_is_true_of_a_guided_one(
    http: httpx.Client, app_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.post("/v1/robot/stop")
    monkeypatch.setattr(app_cell.robot._standstill, "is_left_by", lambda *_, **__: True)
    assert http.get("/v1/robot/state").json()["moves_on"] is True
    problems = http.get("/v1/health").json()["problems"]
    assert problems[0] == "the arm moves although it is stopped: use the hardware stop, unless somebody guides it"
    assert len(problems) == 2


def test_health_names_the_faults_of_the_arm_and_how_long_it_has_stood(
    http: httpx.Client, app_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert http.get("/v1/health").json()["problems"] == []
    http.post("/v1/robot/stop")
    state = app_cell.robot.get_state()
    monkeypatch.setattr(app_cell.clock, "now_s", lambda: state.stop.since_s + 2.5)
    health = http.get("/v1/health").json()
    assert health["stopped_for_s"] == pytest.approx(2.5)
    assert health["stop"]["author"] == "tester"
    assert health["cell"] == app_cell.name
    assert health["clock"] == "lockstep"
    assert 0.0 < health["uptime_s"] < 3600.0
    faulty = state.model_copy(update={"mode": "fault", "faults": ("a reflex", "another")})
    monkeypatch.setattr(app_cell.robot, "get_state", lambda: faulty)
    health = http.get("/v1/health").json()
    assert (health["status"], health["robot_mode"]) == ("fault", "fault")
    assert health["problems"] == ["a reflex", "another"]


@pytest.mark.parametrize("path", ["/", "/dashboard"])
def test_the_operators_page_needs_nothing_from_elsewhere(http: httpx.Client, path: str) -> None:
    page = http.get(path)
    assert page.headers["content-type"].startswith("text/html")
    assert "STOP" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)[1]
        assert f"{tag}-src 'sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}'" in policy
    for name, value in (
        ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
    ):  # fmt: skip
        assert page.headers[name] == value


def test_every_request_body_in_the_document_has_an_example_that_works(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    tried = 0
    for path, methods in document["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        if not content:
            continue
        examples = content["application/json"].get("examples")
        assert examples, path
        for name, example in examples.items():
            http.post("/v1/reset", json={"seed": 0})
            reply = http.post(path, json=example["value"])
            # Where the arm stands is the cell's business: a limit may refuse, but the form is right.
            assert reply.status_code in (200, 204, 409, 501), (path, name, reply.text)
            tried += 1
    assert tried >= 12


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_reference_in_the_document_leads_somewhere(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    references = set(_references(document))
    assert references
    for reference in references:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_f10_a_stop_with_a_slash_behind_it_stops(http: httpx.Client, app_cell: rk.Workcell) -> None:
    assert http.post("/v1/robot/stop/").status_code == 204
    assert app_cell.robot.get_state().mode == "stopped"


@pytest.mark.parametrize(
    "path", ["/v1/robot/hold/", "/v1/robot/recover/", "/v1/step/", "/v1/control/release/", "/stopimp/", "/v1/stop"]
)
def test_f10_a_wrong_address_is_answered_with_a_sentence_and_never_with_a_redirection(
    http: httpx.Client, path: str
) -> None:
    answer = http.post(path, follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "protocol_error")
    assert path in answer.json()["message"]


def test_f10_a_websocket_where_none_is_hears_so(http: httpx.Client) -> None:
    url = str(http.base_url).replace("http", "ws")
    with pytest.raises(InvalidStatus) as refusal, connect(f"{url}/v1/nothing"):
        pass
    assert refusal.value.response.status_code == 404
    assert b"WEBSOCKET /v1/nothing" in (refusal.value.response.body or b"")
