"""Laws that hold in every scene of SERL's and HIL-SERL's real tasks: rest, seeds, randomisation, options."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import is_inside, matrix_from_quaternion, relative_pose
from tests.sims.scene_cells import CELLS, HELD

EVERYTHING = {
    "friction": [0.7, 1.4], "mass": [0.8, 1.5], "object_xy_m": 0.02, "object_yaw_rad": 0.3, "grip_m": 0.003,
    "camera_m": 0.02, "camera_rad": 0.05, "light": [0.5, 1.2],
}  # fmt: skip
VARIED = ("geom_friction", "body_mass", "body_inertia", "cam_pos", "cam_quat", "light_diffuse")


@pytest.fixture(params=CELLS)
def scene_cell(request):
    with rk.make_workcell(request.param) as cell:
        yield cell


@pytest.fixture(scope="module", params=CELLS)
def random_cell(request):
    with rk.make_workcell(request.param, **{"world.randomisation": EVERYTHING}) as cell:
        yield cell


def start(cell, seed):
    """Everything that a reset can vary, as one array."""
    state = cell.reset(seed)
    model = cell.world.model
    return np.concatenate([cell.world.data.qpos, *(pose.pose_in_base for pose in state.poses.values()),
                           *(getattr(model, name).ravel() for name in VARIED)])  # fmt: skip


def in_base(state, name):
    return state.poses[name].pose_in_base[:3]


def in_tool(state, name):
    return relative_pose(state.robot.tcp_pose_in_base, state.poses[name].pose_in_base)[:3]


def test_nothing_drifts_in_two_seconds_of_rest_and_the_wrist_feels_only_what_is_held(scene_cell):
    cell = scene_cell
    cell.reset(0)
    # A hanging cable needs a moment to hang still.
    cell.clock.advance(1.0)
    before = cell.get_state()
    cell.clock.advance(2.0)
    after = cell.get_state()
    for name in before.poses:
        place = in_tool if HELD.get(cell.name) == name else in_base
        np.testing.assert_allclose(place(after, name), place(before, name), atol=5e-5, err_msg=name)
    np.testing.assert_allclose(after.robot.wrench_in_tcp[:3], 0.0, atol=1.0)
    assert np.abs(cell.world.data.qvel).max() < 1e-2


def test_a_reset_takes_no_time_and_ends_above_the_middle_of_the_table_with_the_gripper_down(scene_cell):
    cell = scene_cell
    before_s = cell.clock.now_s()
    state = cell.reset(0)
    assert cell.clock.now_s() == before_s
    assert cell.world.data.time == 0.0
    tcp_pose = state.robot.tcp_pose_in_base
    np.testing.assert_allclose(tcp_pose[:2], (0.5, 0.0), atol=1e-3)
    assert matrix_from_quaternion(tcp_pose[3:])[2, 2] < -0.9999
    assert is_inside(tcp_pose, cell.limits.workspace)
    np.testing.assert_allclose(state.robot.joint_positions_rad, cell.robot.spec.reset_joint_positions_rad, atol=2e-3)


def test_without_randomisation_every_seed_starts_alike(scene_cell):
    np.testing.assert_array_equal(start(scene_cell, 1), start(scene_cell, 2))


def test_a_seed_repeats_its_start_to_the_last_bit_and_another_differs(random_cell):
    first = start(random_cell, 1)
    other = start(random_cell, 2)
    assert (first != other).mean() > 0.1
    np.testing.assert_array_equal(start(random_cell, 1), first)


def test_draws_go_on_from_the_seed_and_never_accumulate(random_cell):
    starts = [start(random_cell, seed) for seed in (3, None, None)]
    assert len({one.tobytes() for one in starts}) == 3
    for expected in starts:
        np.testing.assert_array_equal(start(random_cell, 3 if expected is starts[0] else None), expected)


def test_what_the_caller_places_stays_where_it_was_put(random_cell):
    name, home = next(iter(random_cell.world.scene.object_homes_in_base.items()))
    pose = home + np.array((0.011, -0.013, 0.0, 0.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(random_cell.reset(5, {name: pose}).poses[name].pose_in_base, pose, atol=1e-12)


@pytest.mark.parametrize(
    ("option", "value", "fields"),
    [
        ("friction", [0.5, 0.6], {"geom_friction"}),
        ("mass", [1.5, 1.6], {"body_mass", "body_inertia"}),
        ("camera_m", 0.02, {"cam_pos"}),
        ("camera_rad", 0.05, {"cam_quat"}),
        ("light", [0.5, 0.6], {"light_diffuse"}),
    ],
)
def test_an_option_varies_what_it_names_and_nothing_else(option, value, fields):
    with rk.make_workcell(CELLS[0], **{f"world.randomisation.{option}": value}) as cell:
        model = cell.world.model
        nominal = {name: getattr(model, name).copy() for name in VARIED}
        cell.reset(0)
        assert {name for name in VARIED if not np.allclose(getattr(model, name), nominal[name])} == fields


@pytest.mark.parametrize("option", ["camera_m", "camera_rad"])
def test_the_camera_for_people_stays_in_its_place_and_takes_no_draw_from_the_others(option):
    with rk.make_workcell(CELLS[0], **{f"world.randomisation.{option}": 0.05}) as cell:
        model = cell.world.model
        names = [model.camera(number).name for number in range(model.ncam)]
        nominal = np.hstack((model.cam_pos, model.cam_quat))
        cell.reset(0)
        moved = ~np.isclose(np.hstack((model.cam_pos, model.cam_quat)), nominal).all(1)
        assert {name for name, is_moved in zip(names, moved, strict=True) if is_moved} == {*names} - {"overview"}


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ({"world.randomisation.friction": [0.0, 1.0]}, "0 < low"),
        ({"world.randomisation.light": [1.5, 1.0]}, "low <= high"),
        ({"world.randomisation.object_xy_m": 3.0}, "less than or equal to 0.2"),
        ({"world.randomisation.colour": 1.0}, "no such key"),
        ({"world.scene_options.glue": True}, r"scene 'peg-insertion': glue: there is no such key.*clearance_m"),
        ({"world.scene_options.clearance_m": 1.0}, "less than or equal to 0.005"),
    ],
)
def test_a_wrong_option_is_refused_by_name(override, text):
    with pytest.raises(rk.InvalidConfiguration, match=text):
        rk.make_workcell("mujoco-peg-insertion", **override)


def test_a_workcell_file_chooses_the_scene_its_options_and_what_varies(tmp_path):
    path = tmp_path / "varied.toml"
    path.write_text(
        """
        name = "varied"
        clock = "lockstep"
        [world]
        type = "mujoco"
        scene = "peg-insertion"
        scene_options = { clearance_m = 0.001, shape = "round" }
        [world.randomisation]
        friction = [0.8, 1.2]
        object_xy_m = 0.01
        [robot]
        type = "mujoco"
        controller = "impedance"
        [trackers.socket]
        type = "mujoco"
        """
    )
    with rk.make_workcell(path) as cell:
        first, second = (cell.reset(seed).poses["socket"].pose_in_base for seed in (0, 1))
        assert 0.0 < np.abs(first - second)[:2].max() <= 0.02
        assert cell.world.model.geom("peg").type[0] == mujoco.mjtGeom.mjGEOM_CYLINDER
