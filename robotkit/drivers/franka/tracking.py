"""`ImpedanceTracking`: the impedance motion that runs now, its target and its parameters."""

from __future__ import annotations

import franky
import numpy as np

from robotkit import spatial
from robotkit.drivers.franka import impedance
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.link import FrankaLink
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.errors import DeviceFault
from robotkit.schema import ComplianceParams

_NEAR_M, _NEAR_RAD = 5e-3, float(np.radians(1.0))
"""Control does not start with a target farther than this from where the arm is."""


class ImpedanceTracking:
    """Starts with the measured pose as its target and the measured posture of the spare joint, so that nothing moves.

    The configured posture draws the spare joint only after the first command.

    Raises:
        DeviceFault: the arm is not where it was measured a moment before.
    """

    def __init__(self, link: FrankaLink, config: FrankaRobotConfig, params: ComplianceParams) -> None:
        self._link = link
        self._config = config
        self._params = params
        state = link.read()
        posture = config.nullspace_posture_rad
        self._posture_rad: np.ndarray = state.q if posture is None else posture
        self._is_drawn = posture is None
        """True once the spare joint may be drawn to its posture."""
        self._motion = impedance.motion(params, self._posture_rad, config, is_drawn=self._is_drawn)
        self._target = SmoothTarget(config.target_time_constant_s, self._publish, link.control_time_s)
        first = pose_of(state)
        self._target.jump(first)
        _require_near(first, pose_of(link.read()))
        link.start(self._motion)

    def approach(self, pose: np.ndarray) -> None:
        """Make `pose` (7,) the target."""
        if not self._is_drawn:
            self._is_drawn = True
            self._motion.set_nullspace_gains(impedance.nullspace_gains(self._params))
        self._target.approach(pose)

    def hold(self) -> None:
        """Make the measured pose the target."""
        self._target.jump(pose_of(self._link.read()))

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change gains in the motion that runs; other clips need a new motion, which takes over in the same cycle."""
        old, self._params = impedance.clips(self._params), params
        new = impedance.clips(params)
        if np.array_equal(old, new):
            self._motion.set_gains(impedance.gains(params))
            if self._is_drawn:
                self._motion.set_nullspace_gains(impedance.nullspace_gains(params))
            return
        motion = impedance.motion(params, self._posture_rad, self._config, is_drawn=self._is_drawn)
        motion.set_reference(self._motion.get_reference())
        self._link.start(motion)
        self._motion = motion
        self._target.repeat()

    def end(self) -> None:
        """Follow no target any more; the motion itself goes on until the link brakes it."""
        self._target.close()

    def _publish(self, pose: np.ndarray) -> None:
        self._motion.set_reference(franky.CartesianReference(target=franky.Affine(pose[:3], pose[3:])))


def _require_near(target: np.ndarray, measured: np.ndarray) -> None:
    off_m = spatial.distance_between(target, measured)
    off_rad = spatial.angle_between(target[3:], measured[3:])
    if off_m > _NEAR_M or off_rad > _NEAR_RAD:
        raise DeviceFault(
            f"the first target is {1e3 * off_m:.1f} mm and {np.degrees(off_rad):.2f} degrees from the measured pose "
            f"(allowed: {1e3 * _NEAR_M:g} mm and {np.degrees(_NEAR_RAD):g} degrees), so control did not start; keep "
            "the arm still and its tool frame unchanged while it connects, then call recover()"
        )


def pose_of(state: franky.RobotState) -> np.ndarray:
    """Measured pose of the tool centre point in the base frame, shape (7,)."""
    pose = state.O_T_EE
    return np.concatenate((pose.translation, pose.quaternion))
