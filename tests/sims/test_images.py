"""Laws of the cameras: OpenGL where it is, rays where it is not, and neither for who does not look."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import robotkit as rk
from envs.tasks.pick_cube import BLOCK_XY_MAX_M, BLOCK_XY_MIN_M
from sims import render
from sims.gl import context_class
from tests.golden import recordings
from tests.sims.scene_cells import CELLS

BLOCK = np.array((0.45, 0.1, 0.02, 0.0, 0.0, 0.0, 1.0))
FLANGE_TOP_M = 0.86
"""Height of the arm's last joint while the tool is at the ceiling of the box, 0.5 m."""
MARGIN_PX = 15
needs_gl = pytest.mark.skipif(context_class() is None, reason="no OpenGL on this machine")


@pytest.fixture
def blind(monkeypatch):
    """A machine without OpenGL."""
    monkeypatch.setattr(render, "context_class", lambda: None)


def block_centre_px(rgb: np.ndarray) -> np.ndarray:
    """Mean row and column of what is purple."""
    red, green, blue = (rgb[..., channel].astype(int) for channel in range(3))
    rows, columns = np.nonzero((red > green + 30) & (blue > green + 20))
    assert len(rows) > 10, "the block is not in the picture"
    return np.array((rows.mean(), columns.mean()))


def projected_px(cell: rk.Workcell, camera: str) -> np.ndarray:
    """Row and column where the pinhole of the camera's spec puts the block."""
    return pixel_of(cell, camera, cell.world.data.body("block").xpos)


def pixel_of(cell: rk.Workcell, camera: str, point_in_base_m: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Row and column where the pinhole of the camera's spec puts a point."""
    device = cell.world.data.camera({"wrist": "handcam_depth"}.get(camera, camera))
    x, y, z = device.xmat.reshape(3, 3).T @ (point_in_base_m - device.xpos)
    lens = cell.cameras[camera].spec.intrinsics
    return np.array((lens.cy_px + lens.fy_px * y / z, lens.cx_px - lens.fx_px * x / z))


@needs_gl
@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_the_block_is_where_the_intrinsics_say(cell, camera):
    cell.reset(0, {"block": BLOCK})
    frame = cell.cameras[camera].read()
    assert frame.rgb.shape == (128, 128, 3)
    assert frame.rgb.dtype == np.uint8
    np.testing.assert_allclose(block_centre_px(frame.rgb), projected_px(cell, camera), atol=3.0)


@needs_gl
def test_the_pretty_picture_is_nearly_the_one_that_serl_sees():
    golden = recordings.load("serl_images_seed0", "2.3.7")
    with rk.make_workcell("mujoco-pick-cube", **{"world.render": "pretty"}) as cell:
        cell.reset(0, {"block": np.array((*golden["block_xy"], 0.02, 0.0, 0.0, 0.0, 1.0))})
        for name in ("front", "wrist"):
            seen = cell.cameras[name].read().rgb.astype(float)
            assert np.abs(seen - golden[name]).mean() < 6.0
            np.testing.assert_allclose(block_centre_px(seen), block_centre_px(golden[name]), atol=1.0)


@needs_gl
def test_any_thread_may_look(cell):
    here = cell.cameras["front"].read().rgb
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: cell.cameras["front"].read().rgb, range(8)))
    assert all(np.array_equal(image, here) for image in images)


@needs_gl
def test_cameras_of_different_sizes_share_one_context():
    overrides = {"cameras.wrist.width_px": 200, "cameras.wrist.height_px": 96}
    with rk.make_workcell("mujoco-pick-cube", **overrides) as cell:
        small = cell.cameras["front"].read().rgb
        assert cell.cameras["wrist"].read().rgb.shape == (96, 200, 3)
        assert np.array_equal(cell.cameras["front"].read().rgb, small)


def test_without_opengl_rays_show_the_same_scene_after_one_warning(cell, blind):
    cell.reset(0, {"block": BLOCK})
    with pytest.warns(render.NoOpenGL, match="apt-get install .*libegl1") as caught:
        frames = {name: camera.read() for name, camera in cell.cameras.items() for _ in range(3)}
    assert len(caught) == 1
    for name, frame in frames.items():
        np.testing.assert_allclose(block_centre_px(frame.rgb), projected_px(cell, name), atol=3.0)


def test_an_image_shows_the_newest_step(cell, blind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", render.NoOpenGL)
        first = cell.cameras["front"].read()
        cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad + 0.2)
        second = cell.cameras["front"].read()
    assert second.stamp_s == cell.clock.now_s() > first.stamp_s
    assert not np.array_equal(first.rgb, second.rgb)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False)


def test_who_does_not_look_never_touches_opengl():
    code = """
import sys, robotkit as rk
with rk.make_workcell("mujoco-pick-cube") as cell:
    cell.reset(0)
    cell.step(None, None, 0.02)
    loaded = [name for name in sys.modules if name.startswith(("OpenGL", "mujoco.egl", "mujoco.osmesa"))]
    maps = open("/proc/self/maps").read() if sys.platform == "linux" else ""
    assert not loaded and "libEGL" not in maps and "libOSMesa" not in maps, loaded
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_wrong_mujoco_gl_is_answered_with_a_sentence():
    done = run('import robotkit as rk; rk.make_workcell("mujoco-pick-cube")', MUJOCO_GL="potato")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "InvalidConfiguration" in last
    assert "MUJOCO_GL='potato'" in last
    assert "egl, osmesa, glfw, disable" in last


def test_mujoco_gl_disable_leaves_the_rays():
    code = """
import warnings, robotkit as rk
with rk.make_workcell("mujoco-pick-cube") as cell:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert cell.cameras["front"].read().rgb.std() > 10
    assert "MUJOCO_GL='disable'" in str(caught[0].message)
"""
    done = run(code, MUJOCO_GL="disable")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("corner", list(itertools.product(*zip(BLOCK_XY_MIN_M, BLOCK_XY_MAX_M, strict=True))))
def test_the_overview_has_arm_and_block_in_view_wherever_the_block_starts(cell, corner):
    cell.reset(0, {"block": np.array((*corner, 0.02, 0.0, 0.0, 0.0, 1.0))})
    spec, data = cell.cameras["overview"].spec, cell.world.data
    bodies = [data.body(number) for number in range(1, cell.world.model.nbody)]
    lifted_m = (*corner, FLANGE_TOP_M)
    for point_m in (*(body.xpos for body in bodies), lifted_m):
        row, column = pixel_of(cell, "overview", point_m)
        assert MARGIN_PX < row < spec.height_px - MARGIN_PX
        assert MARGIN_PX < column < spec.width_px - MARGIN_PX
    assert min(spec.height_px, spec.width_px) >= 480, "a video is to be looked at"


@pytest.mark.parametrize("name", CELLS)
def test_the_overview_has_arm_and_objects_in_view_in_every_scene(name):
    with rk.make_workcell(name) as cell:
        cell.reset(0)
        spec, data, model = cell.cameras["overview"].spec, cell.world.data, cell.world.model
        for number in range(1, model.nbody):
            row, column = pixel_of(cell, "overview", data.body(number).xpos)
            assert MARGIN_PX < row < spec.height_px - MARGIN_PX, model.body(number).name
            assert MARGIN_PX < column < spec.width_px - MARGIN_PX, model.body(number).name
