"""`KeepOutPoseDelta`: `PoseDelta` around a box that the tool has to stay out of, such as the wall between two bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.actions.gripper import BinaryGripper
from envs.actions.pose_delta import PoseDelta, PoseDeltaConfig


class KeepOutPoseDelta(PoseDelta):
    """Targets slide along the faces of the box instead of entering it.

    SERL stops the target where it meets the box; what the action asks for along the face is lost there, and a policy
    that leans against the wall while it rises does not rise.

    Args:
        config: reach and bounds.
        keep_out_min_m: lower corner of the box (3,), base frame.
        keep_out_max_m: upper corner.
        gripper: what the seventh number does; None leaves six.
    """

    def __init__(
        self,
        config: PoseDeltaConfig,
        keep_out_min_m: Sequence[float],
        keep_out_max_m: Sequence[float],
        gripper: BinaryGripper | None = None,
    ) -> None:
        super().__init__(config, gripper)
        self._low_m, self._high_m = np.array(keep_out_min_m), np.array(keep_out_max_m)

    def _inside(self, asked: np.ndarray) -> np.ndarray:
        pose = super()._inside(asked)
        pose[:3] = slide(self._commanded[:3], pose[:3], self._low_m, self._high_m)
        return pose


def slide(start_m: np.ndarray, end_m: np.ndarray, low_m: np.ndarray, high_m: np.ndarray) -> np.ndarray:
    """The end (3,) of a way that must not enter a box: where it would enter through a face, it goes along the face.

    A start inside the box may leave it on any way that does not go down.
    """
    if ((start_m > low_m) & (start_m < high_m)).all():
        return np.array((*end_m[:2], max(start_m[2], end_m[2])))
    way_m = end_m - start_m
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.stack(((low_m - start_m) / way_m, (high_m - start_m) / way_m))
    is_between = (start_m > low_m) & (start_m < high_m)
    stands_still = way_m == 0.0
    enter = np.where(stands_still, np.where(is_between, -np.inf, np.inf), shares.min(axis=0))
    leave = np.where(stands_still, np.inf, shares.max(axis=0))
    if not max(enter.max(), 0.0) < min(leave.min(), 1.0):
        return end_m
    face = int(enter.argmax())
    slid_m = end_m.copy()
    slid_m[face] = low_m[face] if way_m[face] > 0.0 else high_m[face]
    return slid_m
