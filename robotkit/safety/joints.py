"""`JointRange`: refuses joint targets outside the joints' ranges."""

from __future__ import annotations

import numpy as np

from robotkit.devices import BaseRobotServer
from robotkit.errors import InvalidConfiguration, JointLimitExceeded
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand, SafetyLimits


class JointRange(SafetyWrapper):
    """The cell's joint range where it gives one, never wider than the arm's own."""

    def __init__(self, inner: BaseRobotServer, limits: SafetyLimits) -> None:
        super().__init__(inner)
        low, high = inner.spec.joint_position_min_rad, inner.spec.joint_position_max_rad
        for name, asked in (("min", limits.joint_position_min_rad), ("max", limits.joint_position_max_rad)):
            if asked is not None and len(asked) != len(low):
                raise InvalidConfiguration(
                    f"limits.joint_position_{name}_rad has {len(asked)} numbers; arm {inner.spec.name!r} has "
                    f"{len(low)} joints"
                )
        self._low_rad = low if limits.joint_position_min_rad is None else np.maximum(low, limits.joint_position_min_rad)
        self._high_rad = (
            high if limits.joint_position_max_rad is None else np.minimum(high, limits.joint_position_max_rad)
        )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass a joint target inside the range on, and every pose target.

        Raises:
            JointLimitExceeded: names the first joint that is outside.
        """
        if command.kind == "joint":
            self._check(command.joint_positions_rad)
        return self.inner.send(command)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass a target inside the range on.

        Raises:
            JointLimitExceeded: names the first joint that is outside.
        """
        self._check(positions_rad)
        self.inner.move_to_joint_positions(positions_rad)

    def _check(self, positions_rad: np.ndarray) -> None:
        outside = ~((self._low_rad <= positions_rad) & (positions_rad <= self._high_rad))
        if outside.any():
            joint = int(outside.argmax())
            raise JointLimitExceeded(
                f"joint {joint} was asked to go to {positions_rad[joint]:.4f} rad; it may go from "
                f"{self._low_rad[joint]:.4f} to {self._high_rad[joint]:.4f} rad"
            )
