"""An arm, a camera and a board whose poses are known, and the pictures that the camera would take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

import robotkit as rk
from robotkit import spatial
from robotkit.calibration.boards import Board, TagBoard
from robotkit.calibration.recording import HandEyeRecording, HandEyeSample, Mount
from robotkit.drivers.fake import FakeRobot
from robotkit.drivers.fake.device import FakeDevice
from tests.support import tag_picture

TAG = TagBoard("tag36h11", tag_picture.TAG_ID, tag_picture.SIZE_M)


def turn(*rotation_vector_rad: float) -> np.ndarray:
    return spatial.quaternion_from_rotation_vector(np.array(rotation_vector_rad, dtype=np.float64))


def pose(position_m: tuple[float, ...], *rotation_vector_rad: float) -> np.ndarray:
    return spatial.make_pose(np.array(position_m), turn(*rotation_vector_rad or (0.0, 0.0, 0.0)))


@dataclass(frozen=True)
class Rig:
    """A camera that is fixed to the base or to the tool, and a tag that is fixed to the other of them."""

    mount: Mount
    camera: np.ndarray
    tag: np.ndarray

    def tcp_pose_that_shows(self, tag_in_camera: np.ndarray) -> np.ndarray:
        """The tool's pose in the base with which the camera sees the tag there."""
        carrier_in_stage = spatial.compose(
            spatial.compose(self.tag, spatial.inverse(tag_in_camera)), spatial.inverse(self.camera)
        )
        return carrier_in_stage if self.mount == "tcp" else spatial.inverse(carrier_in_stage)

    def tag_in_camera(self, tcp_pose_in_base: np.ndarray) -> np.ndarray:
        """What the camera sees when the tool is there."""
        carrier_in_stage = tcp_pose_in_base if self.mount == "tcp" else spatial.inverse(tcp_pose_in_base)
        return spatial.relative_pose(spatial.compose(carrier_in_stage, self.camera), self.tag)


RIGS = {
    "tcp": Rig("tcp", pose((0.05, -0.03, 0.02), 0.1, -0.2, 1.5), pose((0.5, 0.1, 0.0), 0.02, 0.01, 0.3)),
    "base": Rig("base", pose((0.9, 0.1, 0.6), 2.2, 0.3, -0.4), pose((0.01, 0.02, 0.03), 0.1, 0.0, 0.5)),
}


def tags_in_camera(seed: int) -> Iterator[np.ndarray]:
    """Tags at all sides of the picture, tilted by up to 34 degrees and turned by up to 46, for ever."""
    generator = np.random.default_rng(seed)
    while True:
        x_m, y_m, tilt_x, tilt_y, spin = generator.uniform(
            (-0.06, -0.05, -0.6, -0.5, -0.8), (0.06, 0.05, 0.6, 0.5, 0.8)
        )
        facing = tag_picture.tag_pose_in_camera(x_m, y_m, generator.uniform(0.25, 0.4), tilt_x, 0.0)
        yield spatial.compose(spatial.compose(facing, pose((0, 0, 0), 0, tilt_y, 0)), pose((0, 0, 0), 0, 0, spin))


def noisy(rgb: np.ndarray, generator: np.random.Generator, grey_levels: float = 3.0) -> np.ndarray:
    """A picture as a sensor delivers it: with noise of this standard deviation, uint8."""
    return np.clip(rgb + generator.normal(0.0, grey_levels, rgb.shape), 0, 255).astype(np.uint8)


def sample(rig: Rig, tcp_pose_in_base: np.ndarray, generator: np.random.Generator) -> HandEyeSample | None:
    """A sample from a rendered picture; None when the tag was not found in it."""
    rgb = noisy(tag_picture.take(rig.tag_in_camera(tcp_pose_in_base)), generator)
    sighting = TAG.find(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    if sighting is None:
        return None
    return HandEyeSample(
        tcp_pose_in_base=tcp_pose_in_base,
        points_in_board_m=sighting.points_in_board_m,
        corners_px=sighting.corners_px,
    )


def recording(rig: Rig, count: int, seed: int, tags: Iterator[np.ndarray] | None = None) -> HandEyeRecording:
    """That many samples, each from a rendered picture with noise."""
    generator, samples = np.random.default_rng(seed + 1000), []
    for tag in tags or tags_in_camera(seed):
        taken = sample(rig, rig.tcp_pose_that_shows(tag), generator)
        samples += [taken] if taken is not None else []
        if len(samples) == count:
            break
    return HandEyeRecording(mount=rig.mount, intrinsics=tag_picture.LENS, samples=tuple(samples))


class GuidedRobot(FakeRobot):
    """An arm that a hand holds where it wants; every command is an error of the test."""

    guided_pose = RIGS["base"].tcp_pose_that_shows(tag_picture.tag_pose_in_camera(0, 0, 0.3, 0, 0))
    starts = 0
    """How often its control began."""
    drift_m = 0.0
    """How far it slides between two readings."""

    def get_state(self) -> rk.RobotState:
        self.guided_pose = spatial.integrate_delta(self.guided_pose, np.array((self.drift_m, 0, 0)), np.zeros(3))
        return super().get_state().model_copy(update={"tcp_pose_in_base": self.guided_pose})

    def _start(self) -> None:
        self.starts += 1
        super()._start()

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        raise AssertionError("the arm was commanded")

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        raise AssertionError("the arm was commanded")


class RigCamera(FakeDevice, rk.BaseCamera):
    """Takes the picture that the rig's camera would take of the arm as it is now."""

    def __init__(self, rig: Rig, robot: GuidedRobot, clock: rk.Clock) -> None:
        super().__init__(rk.PluginConfig(), rk.CellContext(name="front", clock=clock))
        self.spec = rk.CameraSpec(
            name="front", width_px=tag_picture.WIDTH, height_px=tag_picture.HEIGHT, intrinsics=tag_picture.LENS
        )
        self._rig, self._robot = rig, robot
        self._generator = np.random.default_rng(7)

    def read(self) -> rk.Frame:
        self.require_connected()
        rgb = noisy(tag_picture.take(self._rig.tag_in_camera(self._robot.guided_pose)), self._generator)
        return rk.Frame(stamp_s=self.context.clock.now_s(), rgb=rgb)


def rig_cell(rig: Rig) -> rk.Workcell:
    """A cell of a guided arm and the rig's camera."""
    clock = rk.RealClock()
    robot = GuidedRobot(GuidedRobot.Config(), rk.CellContext(name="robot", clock=clock))
    return rk.Workcell(name="rig", clock=clock, robot=robot, cameras={"front": RigCamera(rig, robot, clock)})


def board_picture(board: Board, board_in_camera: np.ndarray, texture: np.ndarray, metres_per_px: float) -> np.ndarray:
    """The picture, uint8 (480, 640), of a board whose print is `texture`; its frame is OpenCV's: x right, y down."""
    rotation = spatial.matrix_from_quaternion(board_in_camera[3:])
    plane = np.column_stack((rotation[:, 0], rotation[:, 1], board_in_camera[:3]))
    lens = tag_picture.LENS
    matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])
    on_board = np.array([[metres_per_px, 0, 0.5 * metres_per_px], [0, metres_per_px, 0.5 * metres_per_px], [0, 0, 1.0]])
    finer = np.array([[3.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    size = (3 * tag_picture.WIDTH, 3 * tag_picture.HEIGHT)
    large = cv2.warpPerspective(texture, finer @ matrix @ plane @ on_board, size, borderValue=160)
    return cv2.resize(large, (tag_picture.WIDTH, tag_picture.HEIGHT), interpolation=cv2.INTER_AREA)
