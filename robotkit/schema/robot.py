"""Messages of an arm: what it is, what it measures, what it can be asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from robotkit.schema.arrays import Jacobian, JointVector, Pose, Vec6
from robotkit.schema.message import Message

RobotMode = Literal["idle", "moving", "holding", "stopped", "fault"]


class RobotSpec(Message):
    """What is known of an arm before it is connected."""

    name: str
    """Type of the arm, as in the registry."""
    joint_position_min_rad: JointVector
    joint_position_max_rad: JointVector
    joint_velocity_max_rad_s: JointVector
    reset_joint_positions_rad: JointVector
    """Configuration that `reset()` moves to."""
    command_kinds: tuple[Literal["pose", "joint"], ...] = ("pose",)
    """The kinds of command that `send()` takes."""
    measures_wrench: bool = True
    """False when `wrench_in_tcp` is always zero."""

    @property
    def joint_count(self) -> int:
        """Number of joints."""
        return len(self.joint_position_min_rad)


class RobotState(Message):
    """The newest measurement of an arm."""

    stamp_s: float
    """When it was measured, on the cell's clock (monotonic seconds)."""
    tcp_pose_in_base: Pose
    tcp_twist_in_base: Vec6
    """Linear velocity of the tool centre point in m/s, then angular velocity in rad/s."""
    wrench_in_tcp: Vec6
    """Force in N, then torque in Nm, that the environment exerts on the tool, in the tool frame."""
    joint_positions_rad: JointVector
    joint_velocities_rad_s: JointVector
    jacobian_in_base: Jacobian
    """Of the tool centre point: twist = jacobian @ joint_velocities."""
    mode: RobotMode
    faults: tuple[str, ...] = ()
    """The device's own names for what is wrong, when mode is "fault"."""
    control_success_rate: float = 1.0
    """Share of the last control cycles that were served in time; below 0.9 the real-time set-up needs work."""


class PoseCommand(Message):
    """Go to this tool pose, through the arm's Cartesian controller."""

    kind: Literal["pose"] = "pose"
    tcp_pose_in_base: Pose


class JointCommand(Message):
    """Go to these joint positions, through the arm's joint controller."""

    kind: Literal["joint"] = "joint"
    joint_positions_rad: JointVector


RobotCommand = Annotated[PoseCommand | JointCommand, Field(discriminator="kind")]
