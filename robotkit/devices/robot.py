"""`BaseRobotServer`: the contract of an arm."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from robotkit.devices.device import Device
from robotkit.schema import ComplianceParams, JointCommand, PoseCommand, RobotCommand, RobotSpec, RobotState


class BaseRobotServer(Device):
    """An arm. Methods may be called from any thread; the newest target wins."""

    spec: RobotSpec
    """Specification of the arm, known before `connect()`."""

    @abstractmethod
    def get_state(self) -> RobotState:
        """Return the newest measurement; a stopped or faulted arm is measured too, and `mode` shows it.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the device stopped measuring.
            DeviceFault: the device has never measured anything.
        """

    @property
    def target_epoch(self) -> int:
        """`RobotState.target_epoch` as it is now; raises what `get_state` raises."""
        return self.get_state().target_epoch

    @property
    def compliance(self) -> ComplianceParams | None:
        """The impedance law in force; None for an arm that has none, or does not report it."""
        return None

    def check(self, command: RobotCommand) -> None:
        """Raise what `send` would raise for `command`, without sending it."""
        self.require_connected()

    @abstractmethod
    def send(self, command: RobotCommand) -> RobotCommand:
        """Set a new target and return at once; the latest target wins.

        What raises anything but `CommandRejected` counts as sent: its answer may have been lost after the arm took it.

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

        An arm may take a second argument, `rate_max_hz`: how much of the straight joint path may be done in a second at
        any moment, as a share. It is then told what the speed limits of its cell allow. The joint motions of one that
        cannot be told are refused where they might be faster than that.

        Args:
            positions_rad: target, shape (joint_count,).

        Raises:
            JointLimitExceeded: outside the joint ranges; the arm does not move.
            RobotStopped: a stop is latched.
            CommandRejected: another joint motion is running.
            MotionFailed: it did not arrive in time, or a stop or a hold ended it.
            DeviceFault: a fault ended it, or was found when it was over.
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

    def stop_for(self, cause: str, author: str, code: str = "robot_stopped") -> None:
        """`stop()`, and keep why and who in `RobotState.stop`, where the arm can.

        Args:
            cause: a sentence.
            author: a person, a client, or a part of the software.
            code: name of the error that refused commands raise.
        """
        self.stop()

    @abstractmethod
    def recover(self) -> None:
        """Clear a stop or a fault; the arm then holds its measured pose. Only ever called when a person asks.

        A `DeviceError` says that nothing was begun. After anything else that a driver raises, the arm is halted.

        Raises:
            DeviceFault: the fault persists.
            RobotStopped: another stop came meanwhile.
        """

    def reset(self) -> None:
        """Move to the cell's reset joint configuration."""
        self.move_to_joint_positions(self.spec.reset_joint_positions_rad)

    def hold(self) -> None:
        """Make the measured configuration the target, without latching anything (what the watchdog does).

        It also ends a blocking joint motion. An arm that takes no pose commands is held at its joint positions.
        """
        state = self.get_state()
        self.send(standing_command(self.spec, state.tcp_pose_in_base, state.joint_positions_rad))

    def forget_target(self) -> None:
        """Called after the world was reset: what was commanded before says nothing about the next step.

        Called by `Workcell.reset`; the arm itself has nothing to do.
        """


def standing_command(spec: RobotSpec, tcp_pose_in_base: np.ndarray, joint_positions_rad: np.ndarray) -> RobotCommand:
    """The command that keeps an arm where it is measured; one that takes no poses is kept at its joint positions."""
    if "pose" in spec.command_kinds:
        return PoseCommand.unchecked(kind="pose", tcp_pose_in_base=tcp_pose_in_base)
    return JointCommand.unchecked(kind="joint", joint_positions_rad=joint_positions_rad)
