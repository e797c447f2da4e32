"""`CommandForm`: refuses commands that the arm cannot read."""

from __future__ import annotations

import math

import numpy as np

from robotkit.errors import InvalidCommand, Unsupported
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand


class CommandForm(SafetyWrapper):
    """Kind, length, finite numbers and a unit quaternion, also for commands that were built without validation."""

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass a well-formed command on.

        Raises:
            Unsupported: the arm does not take commands of this kind.
            InvalidCommand: a wrong length, a number that is not finite, or a quaternion that is not of length 1.
        """
        if command.kind not in self.spec.command_kinds:
            raise Unsupported(
                f"arm {self.spec.name!r} takes no {command.kind!r} commands; send one of: "
                f"{', '.join(self.spec.command_kinds)}"
            )
        if command.kind == "pose":
            self._check_pose(command.tcp_pose_in_base.tolist())
        else:
            self._check_joints(command.joint_positions_rad)
        return self.inner.send(command)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass a well-formed target on; anything that numpy can read as numbers is taken.

        Raises:
            InvalidCommand: a wrong length, or a number that is not finite.
        """
        try:
            positions_rad = np.array(positions_rad, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidCommand(f"joint positions must be numbers in rad, got {positions_rad!r}") from error
        self._check_joints(positions_rad)
        self.inner.move_to_joint_positions(positions_rad)

    def _check_pose(self, pose: list[float]) -> None:
        # A sum is finite only when its terms are (no term here can be near 1e308), and it is one call instead of seven.
        if len(pose) != 7 or not math.isfinite(sum(pose)):
            raise InvalidCommand(
                f"tcp_pose_in_base must be 7 finite numbers (x y z in m, quaternion x y z w), got {pose}"
            )
        _, _, _, x, y, z, w = pose
        if not abs(x * x + y * y + z * z + w * w - 1.0) < 1e-6:
            raise InvalidCommand(f"the quaternion (x y z w) must have length 1, got {pose[3:]}; normalise it first")

    def _check_joints(self, positions_rad: np.ndarray) -> None:
        if positions_rad.shape != (self.spec.joint_count,) or not np.isfinite(positions_rad).all():
            raise InvalidCommand(
                f"arm {self.spec.name!r} takes {self.spec.joint_count} finite joint positions in rad, "
                f"got {positions_rad.tolist()}"
            )
