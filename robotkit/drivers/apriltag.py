"""`AprilTagTracker`: the pose of an object that carries a printed AprilTag or ArUco marker."""

from __future__ import annotations

import math
from typing import Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from robotkit import spatial
from robotkit.devices import BaseCamera, BasePoseTracker, CellContext
from robotkit.drivers.polling import Poller, Source
from robotkit.errors import InvalidConfiguration, StaleState
from robotkit.schema import PluginConfig, Pose, TrackedPose
from robotkit.schema.arrays import read_only

Family = Literal["tag16h5", "tag25h9", "tag36h10", "tag36h11", "4x4_50", "4x4_100", "5x5_100", "6x6_250", "original"]

_DICTIONARIES: dict[str, int] = {
    "tag16h5": cv2.aruco.DICT_APRILTAG_16h5,
    "tag25h9": cv2.aruco.DICT_APRILTAG_25h9,
    "tag36h10": cv2.aruco.DICT_APRILTAG_36h10,
    "tag36h11": cv2.aruco.DICT_APRILTAG_36h11,
    "4x4_50": cv2.aruco.DICT_4X4_50,
    "4x4_100": cv2.aruco.DICT_4X4_100,
    "5x5_100": cv2.aruco.DICT_5X5_100,
    "6x6_250": cv2.aruco.DICT_6X6_250,
    "original": cv2.aruco.DICT_ARUCO_ORIGINAL,
}
_DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)
"""As many coefficients as OpenCV's lens models have."""
_IDENTITY = read_only((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


class AprilTagConfig(PluginConfig):
    """Options of a fiducial tracker."""

    camera: str
    """Name of the camera in the cell, which has to know its intrinsics."""
    camera_pose_in_base: Pose
    """Of a camera that stands still: z looks out of the lens, x runs right and y down in the picture."""
    family: Family = "tag36h11"
    tag_id: int = Field(0, ge=0)
    size_m: float = Field(gt=0.0)
    """Edge of the tag's black square; below about 60 pixels in the picture the orientation is off by degrees."""
    tag_pose_in_object: Pose = Field(default_factory=lambda: _IDENTITY)
    """Where the tag sticks: its z looks out of the paper, x runs right and y up on the print."""
    distortion: tuple[float, ...] = ()
    """Lens distortion as OpenCV's calibration gives it (k1, k2, p1, p2, ...); empty when the picture has none."""
    period_s: float = Field(0.02, gt=0.0)
    """Pause between two looks at the camera."""
    max_age_s: float = Field(0.5, gt=0.0)
    """A pose that was seen longer ago raises StaleState."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        tags = len(cv2.aruco.getPredefinedDictionary(_DICTIONARIES[self.family]).bytesList)
        if self.tag_id >= tags:
            raise ValueError(f"tag_id {self.tag_id} is not in {self.family}, whose tags are 0 to {tags - 1}")
        if len(self.distortion) not in _DISTORTION_LENGTHS:
            raise ValueError(f"distortion has {len(self.distortion)} coefficients, not one of {_DISTORTION_LENGTHS}")
        return self


class AprilTagTracker(BasePoseTracker):
    """Looks for one tag in the newest frame of a camera, in a thread of its own.

    In lock-step nothing moves between two steps, and the tag is looked for when somebody asks.
    """

    Config = AprilTagConfig

    def __init__(self, config: AprilTagConfig, context: CellContext) -> None:
        super().__init__(config, context)
        if config.camera not in context.cameras:
            raise InvalidConfiguration(
                f"tracker {context.name!r} looks through the camera {config.camera!r}, which this cell does not have; "
                f"it has: {', '.join(context.cameras) or 'none'}"
            )
        self._options = config
        self._look = _Look(config, context.cameras[config.camera])
        self._poller = Poller(
            self._look,
            f"tracker {context.name!r}",
            max_age_s=config.max_age_s,
            period_s=config.period_s,
            hint=f"{self._look.wanted} has to be in sight",
            age_s=lambda seen: context.clock.now_s() - seen.stamp_s,
        )
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def connect(self) -> None:
        """Start to look; a tag that is in sight is found before this returns, one that is not is waited for later.

        Raises:
            InvalidConfiguration: the camera does not know its intrinsics.
        """
        if self._connected:
            return
        if self.context.clock.is_lockstep:
            self._look.open()
        else:
            self._poller.start()
            self._poller.wait_for_first(self._options.max_age_s)
        self._connected = True

    def disconnect(self) -> None:
        """Stop looking."""
        self._poller.stop()
        self._connected = False

    def get_pose(self) -> TrackedPose:
        """The pose in the newest frame that showed the tag."""
        self.require_connected()
        if not self.context.clock.is_lockstep:
            return self._poller.newest()
        self._look.poll()
        seen = self._look.newest
        if seen is None or self.context.clock.now_s() - seen.stamp_s > self._options.max_age_s:
            raise StaleState(f"tracker {self.context.name!r}: {self._look.wanted} has to be in sight")
        return seen


class _Look(Source[TrackedPose]):
    """Finds the tag in frames that it has not seen yet."""

    def __init__(self, config: AprilTagConfig, camera: BaseCamera) -> None:
        self._options = config
        self._camera = camera
        self.wanted = f"tag {config.tag_id} of {config.family}"
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        dictionary = cv2.aruco.getPredefinedDictionary(_DICTIONARIES[config.family])
        self._detector = cv2.aruco.ArucoDetector(dictionary, parameters)
        self._object_in_tag = spatial.inverse(config.tag_pose_in_object)
        self._camera_matrix = np.eye(3)
        self._frame_s = -math.inf
        self.newest: TrackedPose | None = None

    def open(self) -> None:
        lens = self._camera.spec.intrinsics
        if lens is None:
            raise InvalidConfiguration(
                f"camera {self._options.camera!r} does not know its intrinsics, without which no pose can be measured; "
                "calibrate it and give its option `intrinsics`"
            )
        self._frame_s, self.newest = -math.inf, None
        self._camera_matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])

    def poll(self) -> TrackedPose | None:
        frame = self._camera.read()
        if frame.stamp_s == self._frame_s:
            return None
        self._frame_s = frame.stamp_s
        corners_px = self._find(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY))
        if corners_px is None:
            return None
        in_camera = self._object_pose_in_camera(corners_px)
        if in_camera is None:
            return None
        in_base = spatial.compose(self._options.camera_pose_in_base, in_camera)
        self.newest = TrackedPose.trusted(stamp_s=frame.stamp_s, pose_in_base=in_base)
        return self.newest

    def close(self) -> None:
        """The camera belongs to the cell."""

    def _find(self, grey: np.ndarray) -> np.ndarray | None:
        """Corners (4, 2) of the wanted tag in pixels, clockwise from its upper left."""
        corners, ids, _ = self._detector.detectMarkers(grey)
        found = [] if ids is None else ids.ravel().tolist()
        if self._options.tag_id not in found:
            return None
        return np.asarray(corners[found.index(self._options.tag_id)], dtype=np.float64).reshape(4, 2)

    def _object_pose_in_camera(self, corners_px: np.ndarray) -> np.ndarray | None:
        """Perspective-n-point for a square (Collins and Bartoli 2014, IPPE); None when corners have no solution."""
        half_m = self._options.size_m / 2.0
        square_m = half_m * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]], dtype=np.float64)
        distortion = np.array(self._options.distortion, dtype=np.float64)
        is_solved, rotation, translation = cv2.solvePnP(
            square_m, corners_px, self._camera_matrix, distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        if not (is_solved and np.isfinite(rotation).all() and np.isfinite(translation).all()):
            return None
        quaternion = spatial.quaternion_from_rotation_vector(rotation.ravel())
        return spatial.compose(spatial.make_pose(translation.ravel(), quaternion), self._object_in_tag)
