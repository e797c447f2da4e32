"""`FrankaTaskConfig`: the numbers by which the tasks of SERL's real robot differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from envs.images import ImageView
from robotkit import InvalidConfiguration
from robotkit.schema import ComplianceParams, WorkspaceBox
from robotkit.schema.arrays import Array

PRECISION = ComplianceParams(
    translational_stiffness_n_m=3000.0,
    translational_ki=0.1,
    rotational_stiffness_nm=300.0,
    rotational_damping_nms_rad=9.0,
    rotational_ki=0.1,
)
"""SERL's stiffer law for the way back to the start."""
_POSE = Array(7, unit_quaternion=True)


@dataclass(frozen=True)
class FrankaTaskConfig:
    """The counterpart of SERL's `DefaultEnvConfig`; poses are x y z in m and a unit quaternion xyzw, base frame."""

    target_pose_in_base: tuple[float, ...]
    """Where the tool is when the task is done."""
    reset_pose_in_base: tuple[float, ...]
    """Where an episode starts, before randomisation."""
    workspace: WorkspaceBox
    """Every target stays in it, also on the way to the start. It must lie within the cell's own box."""

    threshold_m: tuple[float, float, float] = (0.01, 0.01, 0.01)
    """Success: the tool is this near to the target along each base axis."""
    threshold_rad: tuple[float, float, float] = (0.2, 0.2, 0.2)
    """Success: the rotation from the target to the tool is this small about each of the target's own axes."""
    terminates_on_success: bool = True

    control_period_s: float = 0.1
    max_episode_length: int = 100
    translation_scale_m: float = 0.02
    rotation_scale_rad: float = 0.1
    rotation_as: Literal["rotation_vector", "euler_xyz"] = "rotation_vector"
    """How an action's rotation is read; "euler_xyz" is SERL's way, see `PoseDeltaConfig`."""
    lead_m: float = 0.02
    """See `PoseDeltaConfig`; 0 for both makes actions count from the measured pose, as SERL's do."""
    lead_rad: float = 0.1
    gripper_threshold: float = 0.5
    gripper_sleep_s: float = 0.6
    """Shortest time between two changes of the gripper."""
    gripper_penalty: float = -0.02
    """Penalty for a change of the gripper, at most 0 (HIL-SERL); 0 switches it off."""
    gripper_penalty_goes_to: Literal["info", "reward"] = "info"
    """"info" writes `info["grasp_penalty"]` and leaves the reward alone (HIL-SERL); "reward" adds it (SERL)."""

    reset_xy_m: float = 0.0
    """The start is drawn within this distance from the reset pose, along x and along y."""
    reset_rz_rad: float = 0.0
    """Largest turn of the start about the base's z."""
    lift_m: float = 0.1
    """Height by which the tool is raised before it goes to the start, so that it leaves whatever it is in."""
    joint_reset_period: int = 200
    """Episodes between two resets of the joints, which drift in their null space; 0 for never. Unused where the world
    itself is put back to its start."""
    reset_speed_m_s: float = 0.15
    reset_speed_rad_s: float = 0.8
    arrival_tolerance_m: float = 0.01
    arrival_tolerance_rad: float = 0.05
    arrival_timeout_s: float = 3.0
    compliance: ComplianceParams | None = None
    """The impedance law of an episode; None leaves the arm's law as it is."""
    precision: ComplianceParams | None = None
    """The impedance law of the way to the start (SERL: `PRECISION`); None leaves it as it is."""
    gripper_at_reset: float | None = None
    """Opening that the fingers are asked for before the tool goes to the start; None leaves them alone."""

    image_keys: tuple[str, ...] = ()
    """Images that are observed; cameras of the cell, or names in `image_views`."""
    image_shape: tuple[int, int] = (128, 128)
    image_views: Mapping[str, ImageView] = field(default_factory=dict)
    """Crops, and several views of one camera (HIL-SERL's `IMAGE_CROP`)."""
    render_camera: str | None = None
    """The camera that `render` shows; None takes `overview` where the cell has one, else `front`."""

    def __post_init__(self) -> None:
        for name in ("target_pose_in_base", "reset_pose_in_base"):
            try:
                _POSE.validate(getattr(self, name))
            except ValueError as error:
                raise InvalidConfiguration(f"{name}: {error}") from error
        if self.control_period_s <= 0.0 or self.reset_speed_m_s <= 0.0 or self.reset_speed_rad_s <= 0.0:
            raise InvalidConfiguration("the control period and the speeds of the reset must be above 0")
        if self.gripper_penalty > 0.0:
            raise InvalidConfiguration(f"a penalty is at most 0, got gripper_penalty={self.gripper_penalty}")

    @property
    def target(self) -> np.ndarray:
        """The target pose, read-only (7,)."""
        return _POSE.validate(self.target_pose_in_base)

    @property
    def start(self) -> np.ndarray:
        """The reset pose, read-only (7,)."""
        return _POSE.validate(self.reset_pose_in_base)
