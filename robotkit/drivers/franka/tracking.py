"""`ImpedanceTracking`: the impedance motion that runs now, its target and its parameters."""

from __future__ import annotations

import franky
import numpy as np

from robotkit import spatial
from robotkit.drivers.franka import impedance
from robotkit.drivers.franka.config import FrankaRobotConfig, joint_limits
from robotkit.drivers.franka.leash import SpeedLeash
from robotkit.drivers.franka.link import FrankaLink
from robotkit.drivers.franka.ramp import GainRamp, first_gains, stiffness_vector
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.errors import DeviceFault, RobotkitError
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
        self._leash = SpeedLeash(joint_limits(config)[2], params)
        state = link.read()
        posture = config.nullspace_posture_rad
        self._posture_rad: np.ndarray = state.q if posture is None else posture
        self._is_drawn = posture is None
        """True once the spare joint may be drawn to its posture."""
        self._ramp = GainRamp(stiffness_vector(params, is_drawn=self._is_drawn))
        self._motion = self._make_motion(params, self._ramp.in_force(0.0))
        self._target = SmoothTarget(config.target_time_constant_s, self._publish, link.control_time_s)
        first = pose_of(state)
        self._target.jump(first)
        _require_near(first, pose_of(link.read()))
        link.start(self._motion)
        self._target.start()

    def approach(self, pose: np.ndarray) -> None:
        """Make `pose` (7,) the target."""
        if not self._is_drawn:
            self._is_drawn = True
            self._set_gains(self._params)
        self._target.approach(pose)

    def hold(self) -> None:
        """Make the measured pose the target."""
        self._target.jump(pose_of(self._link.read()))

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change gains in the motion that runs; other clips need a new motion, which takes over in the same cycle.

        When the arm refuses, the law that is in force is the one before, and so is everything that is known of it.
        """
        if np.array_equal(impedance.clips(self._params), impedance.clips(params)):
            self._set_gains(params)
            self._leash.set_compliance(params)
            self._params = params
            return
        time_s, asked = self._time_s(), stiffness_vector(params, is_drawn=self._is_drawn)
        first = first_gains(self._ramp.in_force(time_s), self._params, params, is_drawn=self._is_drawn)
        motion = self._make_motion(params, first)
        motion.set_reference(self._motion.get_reference())
        self._link.start(motion)
        self._motion, self._params = motion, params
        self._leash.set_compliance(params)
        self._ramp.turn_to(asked, time_s, first)
        self._target.repeat()

    def end(self) -> None:
        """Follow no target any more; the motion itself goes on until the link brakes it."""
        self._target.close()

    def _make_motion(self, params: ComplianceParams, first: np.ndarray) -> franky.CartesianImpedanceTrackingMotion:
        motion = impedance.motion(params, self._posture_rad, first, self._config)
        if self._is_drawn:
            motion.set_nullspace_gains(impedance.nullspace_gains(params))
        return motion

    def _set_gains(self, params: ComplianceParams) -> None:
        self._motion.set_gains(impedance.gains(params))
        if self._is_drawn:
            self._motion.set_nullspace_gains(impedance.nullspace_gains(params))
        self._ramp.turn_to(stiffness_vector(params, is_drawn=self._is_drawn), self._time_s())

    def _time_s(self) -> float:
        return self._link.control_time_s() or 0.0

    def _publish(self, pose: np.ndarray) -> bool:
        """Track `pose`, or the part of the way there that drives no joint too fast."""
        tracked = pose
        if self._link.is_in_control:
            try:
                state, jacobian = self._link.measure()
            except RobotkitError:
                return True  # control has just ended, and whoever looks at the arm is told why
            tracked = self._leash.shorten(pose, pose_of(state), jacobian, state.dq)
        self._motion.set_reference(franky.CartesianReference(target=franky.Affine(tracked[:3], tracked[3:])))
        return tracked is pose


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
