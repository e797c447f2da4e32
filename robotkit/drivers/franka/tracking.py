"""`ImpedanceTracking`: the impedance motion that runs now, its target and its parameters."""

from __future__ import annotations

import franky
import numpy as np

from robotkit.drivers.franka import impedance
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.link import FrankaLink
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.schema import ComplianceParams


class ImpedanceTracking:
    """Starts with the measured pose as its target, so that the arm never jumps."""

    def __init__(self, link: FrankaLink, config: FrankaRobotConfig, params: ComplianceParams) -> None:
        self._link = link
        self._config = config
        self._params = params
        state = link.read()
        posture = config.nullspace_posture_rad
        self._posture_rad: np.ndarray = state.q if posture is None else posture
        self._motion = impedance.motion(params, self._posture_rad, config)
        self._target = SmoothTarget(config.target_time_constant_s, self._publish, link.control_time_s)
        self._target.jump(pose_of(state))
        link.start(self._motion)

    def approach(self, pose: np.ndarray) -> None:
        """Make `pose` (7,) the target."""
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
            self._motion.set_nullspace_gains(impedance.nullspace_gains(params))
            return
        motion = impedance.motion(params, self._posture_rad, self._config)
        motion.set_reference(self._motion.get_reference())
        self._link.start(motion)
        self._motion = motion
        self._target.repeat()

    def end(self) -> None:
        """Follow no target any more; the motion itself goes on until the link brakes it."""
        self._target.close()

    def _publish(self, pose: np.ndarray) -> None:
        self._motion.set_reference(franky.CartesianReference(target=franky.Affine(pose[:3], pose[3:])))


def pose_of(state: franky.RobotState) -> np.ndarray:
    """Measured pose of the tool centre point in the base frame, shape (7,)."""
    pose = state.O_T_EE
    return np.concatenate((pose.translation, pose.quaternion))
