"""`CommandValidator`: refuses commands that the arm cannot read, and joint targets outside the joints' ranges."""

from __future__ import annotations

import math

import numpy as np

from robotkit.errors import InvalidCommand, InvalidConfiguration, JointLimitExceeded, Unsupported
from robotkit.schema import JointCommand, PoseCommand, RobotCommand, RobotSpec, SafetyLimits
from robotkit.schema.numbers import shown


class CommandValidator:
    """Checks kind, length, finite numbers, a unit quaternion, the joint range.

    It checks commands that were built without validation too.
    """

    def __init__(self, spec: RobotSpec, limits: SafetyLimits) -> None:
        self._spec = spec
        low, high = spec.joint_position_min_rad, spec.joint_position_max_rad
        for name, asked in (("min", limits.joint_position_min_rad), ("max", limits.joint_position_max_rad)):
            if asked is not None and len(asked) != len(low):
                raise InvalidConfiguration(
                    f"limits.joint_position_{name}_rad has {len(asked)} numbers; arm {spec.name!r} has {len(low)} "
                    "joints"
                )
        self._low_rad = low if limits.joint_position_min_rad is None else np.maximum(low, limits.joint_position_min_rad)
        self._high_rad = (
            high if limits.joint_position_max_rad is None else np.minimum(high, limits.joint_position_max_rad)
        )
        home = spec.reset_joint_positions_rad
        if not ((self._low_rad <= home) & (home <= self._high_rad)).all():
            raise InvalidConfiguration(
                f"the reset configuration {home.tolist()} is outside the joint range of the cell's limits, "
                f"{self._low_rad.tolist()} to {self._high_rad.tolist()} rad: change one of them"
            )

    def kind(self, command: RobotCommand) -> None:
        """Refuse a kind that the arm does not take.

        Raises:
            InvalidCommand: it is no command.
            Unsupported: names the kinds that it takes.
        """
        require_command(command)
        if command.kind not in self._spec.command_kinds:
            raise Unsupported(
                f"arm {self._spec.name!r} takes no {command.kind!r} commands; send one of: "
                f"{', '.join(self._spec.command_kinds)}"
            )

    def pose(self, pose: list[float]) -> None:
        """Check a tool pose of seven floats.

        Raises:
            InvalidCommand: a wrong length, a number that is not finite, or a quaternion that is not of length 1.
        """
        # A sum is finite only when its terms are (no term here can be near 1e308), and it is one call instead of seven.
        if len(pose) != 7 or not math.isfinite(sum(pose)):
            raise InvalidCommand(
                f"tcp_pose_in_base must be 7 finite numbers (x y z in m, quaternion x y z w), got {pose}"
            )
        _, _, _, x, y, z, w = pose
        if not abs(x * x + y * y + z * z + w * w - 1.0) < 1e-6:
            raise InvalidCommand(f"the quaternion (x y z w) must have length 1, got {pose[3:]}; normalise it first")

    def joints(self, positions_rad: np.ndarray) -> None:
        """Check joint positions.

        Raises:
            InvalidCommand: a wrong length, or a number that is not finite.
            JointLimitExceeded: names the first joint that is outside its range.
        """
        if positions_rad.shape != (self._spec.joint_count,) or not np.isfinite(positions_rad).all():
            raise InvalidCommand(
                f"arm {self._spec.name!r} takes {self._spec.joint_count} finite joint positions in rad, "
                f"got {positions_rad.tolist()}"
            )
        outside = ~((self._low_rad <= positions_rad) & (positions_rad <= self._high_rad))
        if outside.any():
            joint = int(outside.argmax())
            raise JointLimitExceeded(
                f"joint {joint} was asked to go to {positions_rad[joint]:.4f} rad; it may go from "
                f"{self._low_rad[joint]:.4f} to {self._high_rad[joint]:.4f} rad"
            )


def require_command(command: object) -> None:
    """Raise `InvalidCommand` for anything but a message that commands an arm."""
    if not isinstance(command, (PoseCommand, JointCommand)):
        raise InvalidCommand(
            "a command of the arm is a PoseCommand(tcp_pose_in_base=…) or a JointCommand(joint_positions_rad=…), got "
            f"{shown(command)}"
        )


def joint_array(positions_rad: object) -> np.ndarray:
    """Return anything that numpy reads as numbers, as float64.

    Raises:
        InvalidCommand: it is no list of numbers.
    """
    try:
        array = np.array(positions_rad)
        if array.dtype.kind not in "fiu":
            raise ValueError(f"an array of {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidCommand(f"joint positions must be numbers in rad, got {positions_rad!r}") from error
