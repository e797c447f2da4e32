"""Pictures of a printed tag as a pinhole camera would take them, and cameras that show them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import robotkit as rk
from robotkit import spatial

WIDTH, HEIGHT = 640, 480
LENS = rk.Intrinsics(fx_px=600.0, fy_px=590.0, cx_px=322.0, cy_px=236.0)
TAG_ID, SIZE_M = 3, 0.06

_TEXTURE_PX, _MARGIN_PX = 400, 100
_OVERSAMPLING = 4


def tag_pose_in_camera(x_m: float, y_m: float, z_m: float, tilt_rad: float, turn_rad: float) -> np.ndarray:
    """A tag that faces the camera, tilted about its own x axis, then turned about its normal."""
    facing = np.array([1.0, 0.0, 0.0, 0.0])
    pose = spatial.make_pose(np.array([x_m, y_m, z_m]), facing)
    for vector in ([tilt_rad, 0.0, 0.0], [0.0, 0.0, turn_rad]):
        turn = spatial.quaternion_from_rotation_vector(np.array(vector))
        pose = spatial.compose(pose, spatial.make_pose(np.zeros(3), turn))
    return pose


def take(pose_in_camera: np.ndarray, tag_id: int = TAG_ID, family: int = cv2.aruco.DICT_APRILTAG_36h11) -> np.ndarray:
    """The picture, uint8 (480, 640, 3), of a tag at this pose on a grey table."""
    print_ = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(family), tag_id, _TEXTURE_PX)
    print_ = cv2.copyMakeBorder(print_, *[_MARGIN_PX] * 4, cv2.BORDER_CONSTANT, value=255)
    size = (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING)
    large = cv2.warpPerspective(print_, _homography(pose_in_camera), size, borderValue=120, flags=cv2.INTER_LINEAR)
    grey = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)


def _homography(pose_in_camera: np.ndarray) -> np.ndarray:
    """Texture pixels to oversampled picture pixels; pixel centres have whole coordinates in both."""
    metres = SIZE_M / _TEXTURE_PX
    middle = (_TEXTURE_PX - 1) / 2 + _MARGIN_PX
    on_paper = np.array([[metres, 0.0, -metres * middle], [0.0, -metres, metres * middle], [0.0, 0.0, 1.0]])
    rotation = spatial.matrix_from_quaternion(pose_in_camera[3:])
    plane = np.column_stack((rotation[:, 0], rotation[:, 1], pose_in_camera[:3]))
    lens = np.array([[LENS.fx_px, 0.0, LENS.cx_px], [0.0, LENS.fy_px, LENS.cy_px], [0.0, 0.0, 1.0]])
    shift = (_OVERSAMPLING - 1) / 2
    finer = np.array([[_OVERSAMPLING, 0.0, shift], [0.0, _OVERSAMPLING, shift], [0.0, 0.0, 1.0]])
    return finer @ lens @ plane @ on_paper


class StillCamera(rk.BaseCamera):
    """Shows the picture that it was given last; every reading is a new frame."""

    def __init__(self, clock: rk.Clock, lens: rk.Intrinsics | None = LENS) -> None:
        super().__init__(rk.PluginConfig(), rk.CellContext(name="still", clock=clock))
        self.spec = rk.CameraSpec(name="still", width_px=WIDTH, height_px=HEIGHT, intrinsics=lens)
        self.rgb = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        self.is_connected = True

    is_connected = False

    def connect(self) -> None:
        self.is_connected = True

    def disconnect(self) -> None:
        self.is_connected = False

    def read(self) -> rk.Frame:
        self.require_connected()
        return rk.Frame.unchecked(stamp_s=self.context.clock.now_s(), rgb=self.rgb.copy(), depth_m=None)


def write_video(path: Path, pictures: list[np.ndarray], rate_hz: float = 30.0) -> Path:
    """A video file (motion JPEG) of these pictures."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (width, height))
    for rgb in pictures:
        writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
