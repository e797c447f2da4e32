"""`BaseRobotServer`: the contract of an arm."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from robotkit.devices.device import Device
from robotkit.schema import ComplianceParams, PoseCommand, RobotCommand, RobotSpec, RobotState


class BaseRobotServer(Device):
    """An arm. Methods may be called from any thread; the newest target wins."""

    spec: RobotSpec
    """Known before `connect()`."""

    @abstractmethod
    def get_state(self) -> RobotState:
        """Return the newest measurement.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the device stopped measuring.
            DeviceFault: the device cannot measure.
        """

    @abstractmethod
    def send(self, command: RobotCommand) -> RobotCommand:
        """Set a new target and return at once; the latest target wins.

        Returns:
            The command as it was accepted; store this one, not the one that was asked.

        Raises:
            CommandRejected: a subclass says why; the arm keeps its previous target.
            NotConnected: before `connect()`.
            DeviceFault: the arm is in a fault; `recover()` first.
        """

    @abstractmethod
    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Move along a time-parameterised joint path and return when the arm has arrived and settled.

        Args:
            positions_rad: target, shape (joint_count,).

        Raises:
            JointLimitExceeded: outside the joint ranges; the arm does not move.
            RobotStopped: a stop is latched.
            MotionFailed: it did not arrive in time.
        """

    @abstractmethod
    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law, also while moving.

        Raises:
            Unsupported: this arm has no impedance control.
        """

    @abstractmethod
    def stop(self) -> None:
        """Hold still now, from any thread, and refuse commands until `recover()`."""

    @abstractmethod
    def recover(self) -> None:
        """Clear a stop or a fault; the arm then holds its measured pose. Only ever called when a person asks.

        Raises:
            DeviceFault: the fault persists.
        """

    def reset(self) -> None:
        """Move to the cell's reset joint configuration."""
        self.move_to_joint_positions(self.spec.reset_joint_positions_rad)

    def hold(self) -> None:
        """Make the measured configuration the target, without latching anything (what the watchdog does)."""
        self.send(PoseCommand.trusted(kind="pose", tcp_pose_in_base=self.get_state().tcp_pose_in_base))

    def forget_target(self) -> None:
        """Hear that the world was put back to its start: what was commanded before says nothing about the next step.

        Called by `Workcell.reset`; the arm itself has nothing to do.
        """
