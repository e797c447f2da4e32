"""A SERL client runs unchanged: its routes, its order of calls, its units and its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

import robotkit as rk
from robotkit.schema import GripperSpec, GripperState, PluginConfig
from servers import ServerSettings
from servers.serl import LoadRequest, check_load, compliance_from_serl, gripper_from_serl, gripper_to_serl
from tests.serving import served
from tests.support.serl_client import CellTime, HilSerlPegClient
from tests.support.waiting import wait_until


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def serl(cell: rk.Workcell) -> Iterator[httpx.Client]:
    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        yield client


COMPLIANCE = {
    "translational_stiffness": 2000,
    "translational_damping": 89,
    "rotational_stiffness": 150,
    "rotational_damping": 7,
    "translational_Ki": 0,
    "translational_clip_x": 0.006,
    "translational_clip_y": 0.006,
    "translational_clip_z": 0.005,
    "translational_clip_neg_x": 0.005,
    "translational_clip_neg_y": 0.006,
    "translational_clip_neg_z": 0.004,
    "rotational_clip_x": 0.03,
    "rotational_clip_y": 0.03,
    "rotational_clip_z": 0.02,
    "rotational_clip_neg_x": 0.03,
    "rotational_clip_neg_y": 0.03,
    "rotational_clip_neg_z": 0.01,
    "rotational_Ki": 0,
}


def test_an_episode_in_serls_order(serl: httpx.Client, cell: rk.Workcell) -> None:
    assert serl.post("/update_param", json=COMPLIANCE).text == "Updated compliance parameters"
    assert serl.post("/jointreset").text == "Reset Joint"
    start = np.array(serl.post("/getstate").json()["pose"])
    for height in np.linspace(0.0, 0.03, 4):
        assert serl.post("/clearerr").text == "Clear"
        target = np.add(start, [0, 0, height, 0, 0, 0, 0]).astype(np.float32)
        moved = serl.post("/pose", json={"arr": target.tolist()})
        assert (moved.status_code, moved.text) == (200, "Moved")
        assert moved.headers["content-type"].startswith("text/html")
        state = serl.post("/getstate").json()
    assert serl.post("/close_gripper").text == "Closed"
    assert set(state) == {"pose", "vel", "force", "torque", "q", "dq", "jacobian", "gripper_pos"}
    assert np.reshape(state["jacobian"], (6, 7)).shape == (6, 7)
    law = cell.robot.compliance
    assert law.translational_clip_max_m.tolist() == [0.006, 0.006, 0.005]
    assert law.translational_clip_min_m.tolist() == [-0.005, -0.006, -0.004]
    assert law.rotational_clip_min.tolist() == [-0.03, -0.03, -0.01]
    assert serl.get("/v1/health").json()["serl_clear_requests"] == 4


def test_single_readings_are_parts_of_the_whole(serl: httpx.Client) -> None:
    serl.post("/stopimp")
    state = serl.post("/getstate").json()
    for path, key in (
        ("getpos", "pose"), ("getvel", "vel"), ("getforce", "force"), ("gettorque", "torque"), ("getq", "q"),
        ("getdq", "dq"), ("getjacobian", "jacobian"),
    ):  # fmt: skip
        assert np.allclose(serl.post(f"/{path}").json()[key], state[key], atol=1e-6), path
    assert serl.post("/get_gripper").json()["gripper"] == state["gripper_pos"]
    euler = serl.post("/getpos_euler").json()["pose"]
    assert len(euler) == 6
    assert euler[:3] == pytest.approx(state["pose"][:3], abs=1e-6)
    assert abs(euler[3]) == pytest.approx(np.pi, abs=1e-3)


def test_forces_have_libfrankas_sign(serl: httpx.Client, cell: rk.Workcell) -> None:
    """SERL hands libfranka's estimate on: what the arm exerts on the environment."""
    cell.robot.inner.inject_wrench(np.array([1.0, -2.0, 3.0, 0.1, 0.0, -0.3]))
    state = serl.post("/getstate").json()
    assert state["force"] == [-1.0, 2.0, -3.0]
    assert state["torque"] == pytest.approx([-0.1, 0.0, 0.3])
    assert serl.post("/getforce").json()["force"] == state["force"]
    assert serl.post("/gettorque").json()["torque"] == state["torque"]
    cell.robot.inner.inject_wrench(np.zeros(6))
    assert "-0.0" not in serl.post("/getforce").text


def test_json_has_the_bytes_that_serls_server_sends(serl: httpx.Client) -> None:
    reply = serl.post("/getstate")
    assert reply.headers["content-type"] == "application/json"
    assert reply.text == json.dumps(reply.json(), sort_keys=True, separators=(",", ":")) + "\n"


def test_p1_a_refused_clip_leaves_the_arm_where_it_is(serl: httpx.Client, cell: rk.Workcell) -> None:
    before = cell.robot.compliance
    for wrong in (-0.01, 5):
        assert serl.post("/update_param", json={"translational_clip_x": wrong}).status_code == 422
    assert cell.robot.compliance == before


def test_stopimp_ends_a_joint_reset(serl: httpx.Client, cell: rk.Workcell) -> None:
    away = cell.robot.spec.reset_joint_positions_rad + np.array((0.1, 0, 0, 0, 0, 0, 0))
    cell.robot.move_to_joint_positions(away)
    with ThreadPoolExecutor() as pool:
        reset = pool.submit(serl.post, "/jointreset")
        wait_until(lambda: cell.robot.get_state().mode == "travelling")
        assert serl.post("/stopimp").text == "Stopped impedance"
        assert reset.result().json()["code"] == "motion_failed"
    assert cell.robot.get_state().mode == "holding"


def test_texts(serl: httpx.Client) -> None:
    for path, body, text in (
        ("startimp", None, "Started impedance"),
        ("stopimp", None, "Stopped impedance"),
        ("activate_gripper", None, "Activated"),
        ("reset_gripper", None, "Reset"),
        ("open_gripper", None, "Opened"),
        ("move_gripper", {"gripper_pos": 128}, "Moved Gripper"),
    ):
        reply = serl.post(f"/{path}", json=body)
        assert (reply.status_code, reply.text) == (200, text)


def test_clearing_errors_never_lifts_a_stop(serl: httpx.Client) -> None:
    pose = serl.post("/getstate").json()["pose"]
    serl.post("/v1/robot/stop")
    for _ in range(3):
        assert serl.post("/clearerr").status_code == 200
        refused = serl.post("/pose", json={"arr": pose})
        assert (refused.status_code, refused.json()["code"]) == (409, "robot_stopped")
    for path in ("startimp", "jointreset"):
        assert serl.post(f"/{path}").json()["code"] == "robot_stopped"
    serl.post("/v1/robot/recover")
    assert serl.post("/pose", json={"arr": pose}).text == "Moved"


POSE = (0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0)
LOAD = {"mass": 0.0, "F_x_center_load": [0.0, 0.0, 0.0], "load_inertia": [0] * 9}
CLIPS = ("translational_clip_x", "translational_clip_neg_z", "rotational_clip_y", "rotational_clip_neg_x")
NO_NUMBERS = (True, "0.5", None, [0.5], 10**400, float("inf"))


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("pose", {"arr": [0.5, 0, 0.3]}, "arr"),
        ("pose", {"arr": [float("nan")] * 7}, "arr"),
        ("pose", {}, "arr"),
        ("move_gripper", {"gripper_pos": float("nan")}, "gripper_pos"),
        ("update_param", {"stiffness": 1}, "translational_stiffness"),
        ("update_param", {"translational_stiffness": -1}, "translational_stiffness"),
        ("update_param", {"translational_clip_x": float("nan")}, "translational_clip"),
        *(("pose", {"arr": [wrong, *POSE[1:]]}, "arr") for wrong in NO_NUMBERS),
        *(("move_gripper", {"gripper_pos": wrong}, "gripper_pos") for wrong in NO_NUMBERS),
        *(("update_param", {"translational_stiffness": wrong}, "translational_stiffness") for wrong in NO_NUMBERS),
        *(("set_load", LOAD | {"mass": wrong}, "mass") for wrong in (*NO_NUMBERS, -0.1, 1e3)),
        *(("update_param", {name: wrong}, "clip") for name in CLIPS for wrong in (-0.01, 5)),
        ("set_load", LOAD | {"load_inertia": [0.0] * 8}, "load_inertia"),
        ("set_load", {"mass": 0.1}, "F_x_center_load"),
    ],
)
def test_bad_bodies_are_refused(serl: httpx.Client, path: str, body: dict[str, object], hint: str) -> None:
    reply = serl.post(f"/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command"), reply.text
    assert hint in reply.json()["message"]


HAND = GripperSpec(name="hand", width_max_m=0.08)


def _measured(position: float) -> GripperState:
    return GripperState(
        stamp_s=0.0, position=position, target_position=position, width_m=position * HAND.width_max_m,
        is_moving=False, is_grasping=False,
    )  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 100, 254, 255])
def test_robotiq_counts_come_back(count: int) -> None:
    assert gripper_to_serl(_measured(gripper_from_serl(count, HAND, "robotiq")), "robotiq") == count


def test_the_two_conventions_point_in_opposite_directions() -> None:
    assert gripper_from_serl(255, HAND, "robotiq") == 0.0
    assert gripper_from_serl(255, HAND, "franka-hand") == 1.0
    assert gripper_from_serl(0, HAND, "robotiq") == 1.0
    assert gripper_from_serl(0, HAND, "franka-hand") == 0.0
    assert gripper_from_serl(102, HAND, "franka-hand") == pytest.approx(0.5)
    assert gripper_to_serl(_measured(0.5), "franka-hand") == pytest.approx(0.04)


def test_numbers_beyond_the_range_count_as_its_ends() -> None:
    assert gripper_from_serl(1e9, HAND, "robotiq") == 0.0
    assert gripper_from_serl(-5, HAND, "robotiq") == 1.0


def test_r9_a_count_that_is_almost_an_integer_counts_as_that_integer() -> None:
    assert gripper_from_serl(254.9999, HAND, "robotiq") == 0.0
    assert gripper_from_serl(0.0001, HAND, "robotiq") == 1.0
    assert gripper_from_serl(254.9999, HAND, "franka-hand") == 1.0
    assert gripper_from_serl(101.9999, HAND, "franka-hand") == pytest.approx(0.5)


@pytest.mark.parametrize("position", [0.0, 0.25, 0.8501, 1.0])
def test_f1_hil_serls_opening_comes_back(position: float) -> None:
    assert gripper_from_serl(position, HAND, "hil-serl") == position
    assert gripper_to_serl(_measured(position), "hil-serl") == position


@pytest.mark.parametrize("count", [-0.1, 1.1, 255])
def test_f1_a_count_of_another_convention_is_refused(count: float) -> None:
    with pytest.raises(rk.InvalidCommand, match=r"hil-serl.*0 \(closed\) to 1 \(open\)"):
        gripper_from_serl(count, HAND, "hil-serl")


def test_the_unit_of_a_gripper_has_moved_from_the_cell_to_the_server() -> None:
    with pytest.raises(rk.InvalidConfiguration, match="robotkit-serve --serl-gripper franka-hand"):
        rk.make_workcell("fake", serl_gripper="franka_hand")
    with pytest.raises(rk.InvalidConfiguration, match="one of robotiq, franka-hand, hil-serl, got 'metres'"):
        ServerSettings(serl_gripper="metres")  # type: ignore[arg-type]


def test_f1_a_hil_serl_client_opens_and_closes_once_each() -> None:
    cell, settings = rk.make_workcell("fake"), ServerSettings(serl_gripper="hil-serl")
    with served(cell, settings) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        client = HilSerlPegClient(http, CellTime(http), np.array((0.5, 0.0, 0.3, np.pi, 0.0, 0.0)))
        client.reset(np.array((0.5, 0.0, 0.32, np.pi, 0.0, 0.0)))
        for gripper, opening in ((-1.0, 0.0), (1.0, 1.0)):
            for _ in range(5):
                client.step(np.array((0, 0, 0, 0, 0, 0, gripper)))
            assert client.state["gripper_pos"] == opening
        client.close_gripper()
        assert http.get("/v1/gripper/state").json()["target_position"] == 0.0
        assert [path for path in client.paths if "gripper" in path] == [
            "close_gripper", "open_gripper", "close_gripper_slow",
        ]  # fmt: skip
        assert client.paths[0] == "set_load"


class _Load(PluginConfig):
    mass_kg: float
    centre_of_mass_in_flange_m: np.ndarray
    inertia_kg_m2: np.ndarray


class _Loaded(PluginConfig):
    load: _Load | None = None


def test_f1_a_load_is_the_one_of_the_cell_file_or_refused() -> None:
    inertia = np.array([[1.0, 0.1, 0.2], [0.3, 2.0, 0.4], [0.5, 0.6, 3.0]])
    carried = _Load(mass_kg=0.7, centre_of_mass_in_flange_m=np.array((0.0, 0.01, 0.07)), inertia_kg_m2=inertia)
    same = LoadRequest(mass=0.7, F_x_center_load=[0.0, 0.01, 0.07], load_inertia=inertia.T.ravel().tolist())
    empty = LoadRequest(mass=0, F_x_center_load=[0.0, 0.0, 0.07])
    check_load(same, _Loaded(load=carried))
    check_load(empty, _Loaded())
    check_load(same, PluginConfig())
    for request, config in (
        (same, _Loaded()),
        (empty, _Loaded(load=carried)),
        (same.model_copy(update={"F_x_center_load": [0.0, 0.01, 0.08]}), _Loaded(load=carried)),
        (same.model_copy(update={"load_inertia": inertia.ravel().tolist()}), _Loaded(load=carried)),
    ):
        with pytest.raises(rk.Unsupported, match=r"robot\.load"):
            check_load(request, config)


@pytest.mark.parametrize(("length", "status"), [(1.0, 200), (0.8, 200), (0.708, 200), (0.706, 422), (1.1, 422)])
def test_a_quaternion_on_the_way_between_two_is_made_one_and_another_is_refused(
    serl: httpx.Client, cell: rk.Workcell, length: float, status: int
) -> None:
    pose = np.array(serl.post("/getpos").json()["pose"])
    body = {"arr": [*pose[:3], *(pose[3:] * length)]}
    sent = cell.robot.machine.epoch, cell.robot.get_state().mode
    assert serl.post("/pose", json=body).status_code == status
    if status == 422:
        assert (cell.robot.machine.epoch, cell.robot.get_state().mode) == sent


FIELDS = {
    "translational_stiffness": ("translational_stiffness_n_m", 1234.0),
    "translational_damping": ("translational_damping_ns_m", 12.0),
    "translational_Ki": ("translational_ki", 1.5),
    "rotational_stiffness": ("rotational_stiffness_nm", 123.0),
    "rotational_damping": ("rotational_damping_nms_rad", 1.2),
    "rotational_Ki": ("rotational_ki", 2.5),
    "nullspace_stiffness": ("nullspace_stiffness_nm_rad", 0.3),
    "joint1_nullspace_stiffness": ("joint1_nullspace_factor", 77.0),
    "translational_clip_y": ("translational_clip_max_m", [None, 0.0011, None]),
    "translational_clip_neg_z": ("translational_clip_min_m", [None, None, -0.0011]),
    "rotational_clip_x": ("rotational_clip_max", [0.011, None, None]),
    "rotational_clip_neg_y": ("rotational_clip_min", [None, -0.011, None]),
}


@pytest.mark.parametrize("name", FIELDS)
def test_each_of_serls_parameters_changes_one_of_ours_and_no_other(name: str) -> None:
    before = rk.ComplianceParams()
    field, value = FIELDS[name]
    sent = abs(next(one for one in value if one is not None)) if isinstance(value, list) else value
    old = getattr(before, field)
    new = [old[i] if one is None else one for i, one in enumerate(value)] if isinstance(value, list) else value
    assert compliance_from_serl(before, {name: sent}) == before.model_copy(
        update={field: np.array(new) if isinstance(value, list) else new}
    )


def test_f1_both_loads_are_named() -> None:
    carried = _Load(mass_kg=0.7, centre_of_mass_in_flange_m=np.array((0.0, 0.01, 0.07)), inertia_kg_m2=np.eye(3))
    asked = LoadRequest(mass=0.5, F_x_center_load=[0.0, 0.0, 0.09])
    named = r"load of 0\.7 kg at \[0\.0, 0\.01, 0\.07\] m, and 0\.5 kg at \[0\.0, 0\.0, 0\.09\] m"
    with pytest.raises(rk.Unsupported, match=named):
        check_load(asked, _Loaded(load=carried))


def test_parameters_that_are_not_named_stay() -> None:
    first = compliance_from_serl(rk.ComplianceParams(), {"translational_stiffness": 900})
    second = compliance_from_serl(first, {"rotational_Ki": 1.5, "joint1_nullspace_stiffness": 50})
    assert second.translational_stiffness_n_m == 900
    assert second.rotational_ki == 1.5
    assert second.joint1_nullspace_factor == 50
    assert second.rotational_stiffness_nm == rk.ComplianceParams().rotational_stiffness_nm


SOFT = rk.ComplianceParams(
    translational_stiffness_n_m=1000.0,
    translational_clip_min_m=np.full(3, -0.005),
    translational_clip_max_m=np.full(3, 0.005),
)


@pytest.mark.parametrize("cell_name", ["fake", "mujoco-peg-insertion"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/update_param", {"rotational_stiffness": 100}),
        ("/v1/robot/compliance", {"rotational_stiffness_nm": 100}),
    ],
)
def test_a3_a_changed_parameter_leaves_the_arms_other_parameters(
    cell_name: str, path: str, body: dict[str, float]
) -> None:
    cell = rk.make_workcell(cell_name)
    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        cell.robot.set_compliance(SOFT)
        assert client.post(path, json=body).is_success
        assert cell.robot.compliance == SOFT.model_copy(update={"rotational_stiffness_nm": 100.0})


def test_m15_a_law_that_the_arm_refused_is_not_built_upon(
    serl: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = cell.robot.inner
    body.set_compliance(SOFT)
    accept = type(body).set_compliance

    def refuse(arm: rk.BaseRobotServer, params: rk.ComplianceParams) -> None:
        raise rk.Unsupported("this arm keeps its law")

    monkeypatch.setattr(type(body), "set_compliance", refuse)
    for path, change in (
        ("/update_param", {"translational_stiffness": 3000}),
        ("/v1/robot/compliance", {"translational_stiffness_n_m": 3000.0}),
    ):
        assert serl.post(path, json=change).status_code == 501
    monkeypatch.setattr(type(body), "set_compliance", accept)
    serl.post("/update_param", json={"rotational_Ki": 1.5})
    assert body.compliance == SOFT.model_copy(update={"rotational_ki": 1.5})
