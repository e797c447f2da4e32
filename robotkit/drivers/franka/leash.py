"""`SpeedLeash`: limits the tracked pose's distance from the arm, so that the impedance law drives no joint too fast."""

from __future__ import annotations

import numpy as np

from robotkit import spatial
from robotkit.drivers.franka import impedance
from robotkit.schema import ComplianceParams

_SHARE = 0.5
"""The law may ask each joint for this share of its highest speed."""
_SHARE_MAX = 0.75
"""A joint that moves at this share of its highest speed is drawn no further; between the two the pull fades."""
_INVERSE_DAMPING = 0.1
"""Damping of the Jacobian's inverse: near a singularity a speed that no joint can deliver is not asked for."""
_DAMPING_RATIO_MIN = 0.3
"""Damping counts as at least this ratio of 1 kg's critical damping: less would promise speeds without end."""


class SpeedLeash:
    """The law's pull is stiffness times clipped error, and its brake is damping: it ends at the speed K e / D.

    The leash shortens the error until that speed asks no joint for more than `_SHARE` of its limit. A clip that is wide
    enough for more has that much less effect; with SERL's clips the leash is longer than the clip.

    Args:
        speed_max_rad_s: highest joint speeds, shape (7,).
        params: the impedance law.
    """

    def __init__(self, speed_max_rad_s: np.ndarray, params: ComplianceParams) -> None:
        self._speed_max_rad_s = speed_max_rad_s
        self.set_compliance(params)

    def set_compliance(self, params: ComplianceParams) -> None:
        """Follow another law."""
        translation, rotation = impedance.clips(params)
        self._clip = np.concatenate((translation, rotation))
        stiffness = np.array((params.translational_stiffness_n_m, params.rotational_stiffness_nm / 2))
        damping = np.array((params.translational_damping_ns_m, params.rotational_damping_nms_rad))
        floor = 2 * _DAMPING_RATIO_MIN * np.sqrt(np.maximum(stiffness, 1.0))
        self._rate_hz = np.repeat(stiffness / np.maximum(damping, floor), 3)

    def shorten(
        self, target: np.ndarray, measured: np.ndarray, jacobian: np.ndarray, joint_speeds_rad_s: np.ndarray
    ) -> np.ndarray:
        """Return `target` itself when the leash reaches it, else the pose on the way there at which the leash ends.

        Args:
            target: pose (7,) of the tool centre point in the base frame.
            measured: where it is, shape (7,).
            jacobian: of the tool centre point in the base frame, shape (6, 7).
            joint_speeds_rad_s: measured, shape (7,).
        """
        turn_rad = spatial.rotation_vector_between(measured[3:], target[3:])
        error = np.clip(np.concatenate((target[:3] - measured[:3], turn_rad)), -self._clip, self._clip)
        square = jacobian @ jacobian.T + _INVERSE_DAMPING**2 * np.eye(6)
        asked_rad_s = jacobian.T @ np.linalg.solve(square, self._rate_hz * error)
        asked = float((np.abs(asked_rad_s) / self._speed_max_rad_s).max())
        moving = float((np.abs(joint_speeds_rad_s) / self._speed_max_rad_s).max())
        fading = min(1.0, max(0.0, (_SHARE_MAX - moving) / (_SHARE_MAX - _SHARE)))
        reach = min(1.0, _SHARE / asked if asked > 0.0 else 1.0) * fading
        return target if reach == 1.0 else spatial.integrate_delta(measured, reach * error[:3], reach * error[3:])
