"""`AprilTagTracker`: the pose of an object that carries a printed AprilTag or ArUco marker."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from robotkit import spatial
from robotkit.devices import BaseCamera, BasePoseTracker, CellContext
from robotkit.drivers.polling import Poller, Source
from robotkit.drivers.pose_history import PoseHistory
from robotkit.drivers.ranges import LAB_M, TOOL_M, within
from robotkit.drivers.tag_families import Family
from robotkit.drivers.tags import DISTORTION_LENGTHS, TagDetector, corners_in_tag_m, tag_count
from robotkit.errors import InvalidConfiguration, StaleState
from robotkit.schema import PluginConfig, Pose, TrackedPose
from robotkit.schema.arrays import read_only

_IDENTITY = read_only((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))

_STATE_PERIOD_S, _STATE_AGE_MAX_S = 0.005, 0.1
_SPAN_MARGIN_S = 0.5


class AprilTagConfig(PluginConfig):
    """Options of a fiducial tracker."""

    camera: str
    """Name of the camera in the cell, which has to know its intrinsics."""
    camera_mount: Literal["base", "tcp"] = "base"
    """Mount of the camera: it stands still ("base"), or it moves with the tool ("tcp")."""
    camera_pose_in_base: Annotated[Pose, within(LAB_M)] | None = None
    """Pose (7,) of a camera that stands still: z looks out of the lens, x runs right and y down in the picture."""
    camera_pose_in_tcp: Annotated[Pose, within(TOOL_M)] | None = None
    """Pose (7,) of a camera that moves with the tool, in the tool's frame; `robotkit calibrate hand-eye` measures
    either."""
    family: Family = "tag36h11"
    tag_id: int = Field(0, ge=0)
    size_m: float = Field(gt=0.0, le=2.0)
    """Edge of the tag's black square; below about 60 pixels in the picture the orientation is off by degrees."""
    tag_pose_in_object: Annotated[Pose, within(LAB_M)] = Field(default_factory=lambda: _IDENTITY)
    """Where the tag sticks: its z looks out of the paper, x runs right and y up on the print."""
    distortion: tuple[float, ...] = ()
    """Lens distortion as OpenCV's calibration gives it (k1, k2, p1, p2, ...); empty when the picture has none."""
    period_s: float = Field(0.02, gt=0.0, le=1.0)
    """Pause between two looks at the camera."""
    max_age_s: float = Field(0.5, gt=0.0, le=60.0)
    """A pose that was seen longer ago raises StaleState."""

    @model_validator(mode="after")
    def _one_pose_that_belongs_to_the_mount(self) -> Self:
        self.camera_pose_in_mount()
        if self.camera_pose_in_base is not None and self.camera_pose_in_tcp is not None:
            mount = self.camera_mount
            raise ValueError(f'camera_mount = "{mount}" takes camera_pose_in_{mount} alone; remove the other pose')
        return self

    def camera_pose_in_mount(self) -> np.ndarray:
        """Pose (7,) of the camera in what it is fixed to.

        Raises:
            ValueError: it is not given.
        """
        pose = self.camera_pose_in_base if self.camera_mount == "base" else self.camera_pose_in_tcp
        if pose is None:
            raise ValueError(f'camera_mount = "{self.camera_mount}" needs camera_pose_in_{self.camera_mount}')
        return pose

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        tags = tag_count(self.family)
        if self.tag_id >= tags:
            raise ValueError(f"tag_id {self.tag_id} is not in {self.family}, whose tags are 0 to {tags - 1}")
        if len(self.distortion) not in DISTORTION_LENGTHS:
            raise ValueError(f"distortion has {len(self.distortion)} coefficients, not one of {DISTORTION_LENGTHS}")
        return self


class AprilTagTracker(BasePoseTracker):
    """Looks for one tag in the newest frame of a camera, in a thread of its own.

    In lock-step nothing moves between two steps, and the tag is looked for when somebody asks.
    """

    Config = AprilTagConfig
    answers_at_once = True

    def __init__(self, config: AprilTagConfig, context: CellContext) -> None:
        super().__init__(config, context)
        if config.camera not in context.cameras:
            raise InvalidConfiguration(
                f"tracker {context.name!r} looks through the camera {config.camera!r}, which this cell does not have; "
                f"it has: {', '.join(context.cameras) or 'none'}"
            )
        self._options = config
        self._history = _history(config, context)
        self._look = _Look(config, context.cameras[config.camera], self._history)
        # States arrive faster than pictures, and in a thread of their own: looking for a tag takes long.
        self._states = None if self._history is None else _state_poller(context, self._history)
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
            if self._states is not None:
                self._states.start()
            self._poller.start()
            self._poller.wait_for_first(self._options.max_age_s)
        self._connected = True

    def disconnect(self) -> None:
        """Stop looking."""
        self._poller.stop()
        if self._states is not None:
            self._states.stop()
        self._connected = False

    def get_pose(self) -> TrackedPose:
        """The pose in the newest frame that showed the tag."""
        self.require_connected()
        if not self.context.clock.is_lockstep:
            return self._newest()
        if self._history is not None:
            self._history.poll()
        self._look.poll()
        seen = self._look.newest
        if seen is None or self.context.clock.now_s() - seen.stamp_s > self._options.max_age_s:
            raise StaleState(f"tracker {self.context.name!r}: {self._look.wanted} has to be in sight")
        return seen

    def _newest(self) -> TrackedPose:
        try:
            return self._poller.newest()
        except StaleState:
            if self._states is not None:
                self._states.newest()  # where the arm is silent, that is the reason
            raise


class _Look(Source[TrackedPose]):
    """Finds the tag in frames that it has not seen yet."""

    def __init__(self, config: AprilTagConfig, camera: BaseCamera, history: PoseHistory | None) -> None:
        self._options = config
        self._camera = camera
        self._history = history
        self._waiting: tuple[float, np.ndarray] | None = None
        self.wanted = f"tag {config.tag_id} of {config.family}"
        self._detector = TagDetector(config.family, config.tag_id)
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
        self._frame_s, self.newest, self._waiting = -math.inf, None, None
        self._camera_matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])

    def poll(self) -> TrackedPose | None:
        if self._waiting is not None:
            return self._place(*self._waiting)
        frame = self._camera.read()
        if frame.stamp_s == self._frame_s:
            return None
        self._frame_s = frame.stamp_s
        corners_px = self._detector.find(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY))
        if corners_px is None:
            return None
        in_camera = self._object_pose_in_camera(corners_px)
        return None if in_camera is None else self._place(frame.stamp_s, in_camera)

    def close(self) -> None:
        """The camera belongs to the cell."""

    def _place(self, stamp_s: float, object_in_camera: np.ndarray) -> TrackedPose | None:
        """Where the object was at the exposure; None until the arm's pose at that moment is known."""
        camera_pose = self._options.camera_pose_in_mount()
        self._waiting = None
        if self._history is not None:
            if not self._history.reaches(stamp_s):
                self._waiting = stamp_s, object_in_camera
                return None
            camera_pose = spatial.compose(self._history.tcp_pose_at(stamp_s), camera_pose)
        pose_in_base = spatial.compose(camera_pose, object_in_camera)
        self.newest = TrackedPose.unchecked(stamp_s=stamp_s, pose_in_base=pose_in_base)
        return self.newest

    def _object_pose_in_camera(self, corners_px: np.ndarray) -> np.ndarray | None:
        """Perspective-n-point for a square (Collins and Bartoli 2014, IPPE); None when corners have no solution."""
        square_m = corners_in_tag_m(self._options.size_m)
        distortion = np.array(self._options.distortion, dtype=np.float64)
        is_solved, rotation, translation = cv2.solvePnP(
            square_m, corners_px, self._camera_matrix, distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        if not (is_solved and np.isfinite(rotation).all() and np.isfinite(translation).all()):
            return None
        quaternion = spatial.quaternion_from_rotation_vector(rotation.ravel())
        return spatial.compose(spatial.make_pose(translation.ravel(), quaternion), self._object_in_tag)


def _history(config: AprilTagConfig, context: CellContext) -> PoseHistory | None:
    """The tool's poses, for a camera that moves with it."""
    if config.camera_mount == "base":
        return None
    if context.robot is None:
        raise InvalidConfiguration(
            f'tracker {context.name!r} has camera_mount = "tcp", which needs the arm of its cell; there is none'
        )
    return PoseHistory(context.robot, config.max_age_s + _SPAN_MARGIN_S)


def _state_poller(context: CellContext, history: PoseHistory) -> Poller[float]:
    return Poller(
        history,
        f"the arm's pose for tracker {context.name!r}",
        max_age_s=_STATE_AGE_MAX_S,
        period_s=_STATE_PERIOD_S,
        hint="the camera moves with the arm, which has to measure",
    )
