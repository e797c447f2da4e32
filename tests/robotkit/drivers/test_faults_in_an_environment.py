"""A device fails while an environment runs in the cell behind the server: a named error, one call, and on it goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import cv2
import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)
import robotkit as rk
from robotkit.drivers import opencv_camera
from tests.serving import served
from tests.support import tag_picture
from tests.support.robotiq_emulator import RobotiqEmulator
from tests.support.waiting import is_fine, wait_for_error, wait_until

CLOSE_AND_STAY = np.array([0.0, 0.0, 0.0, 1.0], np.float32)


@pytest.fixture
def emulator() -> Iterator[RobotiqEmulator]:
    with RobotiqEmulator(object_mm=30.0, speed_mm_s=600.0, activation_s=0.05) as plugged:
        yield plugged


@contextmanager
def environment(emulator: RobotiqEmulator, folder: object) -> Iterator[gymnasium.Env]:
    """Pick-cube in a cell with a Robotiq, a video as its camera and a tag in the video as its block."""
    rgb = tag_picture.take(tag_picture.tag_pose_in_camera(0.0, 0.0, 0.4, 0.3, 0.0))
    video = tag_picture.write_video(folder / "tag.avi", [rgb] * 5)
    tag = {
        "camera": "front", "camera_pose_in_base": [0.45, 0.0, 0.42, 1.0, 0.0, 0.0, 0.0],
        "tag_id": tag_picture.TAG_ID, "size_m": tag_picture.SIZE_M,
    }  # fmt: skip
    config = rk.WorkcellConfig(
        name="bench",
        robot=rk.PluginRef(type="fake"),
        gripper=rk.PluginRef(type="robotiq", options=emulator.options | {"max_age_s": 1.0, "timeout_s": 0.3}),
        cameras={"front": rk.PluginRef(type="opencv", options={"device": str(video), "intrinsics": tag_picture.LENS})},
        trackers={"block": rk.PluginRef(type="apriltag", options=tag)},
        limits=rk.SafetyLimits(max_translation_step_m=0.4),
    )
    with served(rk.make_workcell(config)) as url:
        env = gymnasium.make("PandaPickCube-v0", cell=url, max_episode_steps=10_000)
        yield env
        env.close()


def test_a_gripper_that_is_unplugged_in_a_grasp(emulator, tmp_path):
    with environment(emulator, tmp_path) as env:
        observation, _ = env.reset(seed=0)
        np.testing.assert_allclose(observation["state"]["block_pos"], [0.45, 0.0, 0.02], atol=0.01)
        cell = env.unwrapped.workcell
        wait_until(lambda: not env.step(CLOSE_AND_STAY)[2] and cell.gripper.get_state().is_grasping)
        held_m = cell.robot.get_state().tcp_pose_in_base[:3]

        emulator.unplug()
        wait_for_error(lambda: env.step(CLOSE_AND_STAY), rk.StaleState)
        np.testing.assert_allclose(cell.robot.get_state().tcp_pose_in_base[:3], held_m, atol=5e-3)

        emulator.model.power_cycle()
        emulator.plug()
        wait_for_error(lambda: is_fine(cell.gripper.get_state, rk.StaleState), rk.DeviceFault)
        cell.gripper.reset()
        wait_until(lambda: not env.step(CLOSE_AND_STAY)[2] and cell.gripper.get_state().is_grasping)


def test_a_camera_that_stops(emulator, tmp_path, monkeypatch):
    """The tracker looks through it, so that the block's pose is what the environment misses."""
    is_silent = threading.Event()

    class Stoppable:
        # Not a subclass: cv2 frees instances of its subclasses at a wrong address, and Python crashes later, anywhere.
        def __init__(self, *arguments: object) -> None:
            self._video = cv2.VideoCapture(*arguments)

        def __getattr__(self, name: str) -> object:
            return getattr(self._video, name)

        def read(self) -> tuple[bool, np.ndarray | None]:
            return (False, None) if is_silent.is_set() else self._video.read()

    monkeypatch.setattr(opencv_camera, "cv2", SimpleNamespace(**{**vars(cv2), "VideoCapture": Stoppable}))
    with environment(emulator, tmp_path) as env:
        env.reset(seed=0)
        camera = env.unwrapped.workcell.cameras["front"]
        assert camera.read().rgb.std() > 1.0
        is_silent.set()
        wait_for_error(lambda: env.step(CLOSE_AND_STAY), rk.StaleState)
        wait_for_error(camera.read, rk.StaleState)
        is_silent.clear()
        wait_until(lambda: is_fine(lambda: env.step(CLOSE_AND_STAY), rk.StaleState))
        assert camera.read().rgb.std() > 1.0


def test_a_modbus_line_that_stops_answering(emulator, tmp_path):
    with environment(emulator, tmp_path) as env:
        env.reset(seed=0)
        emulator.is_frozen = True
        wait_for_error(lambda: env.step(CLOSE_AND_STAY), rk.StaleState)
        emulator.is_frozen = False
        wait_until(lambda: is_fine(lambda: env.step(CLOSE_AND_STAY), rk.StaleState))
