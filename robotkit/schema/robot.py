"""Messages of an arm: its specification, its state and its commands."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from robotkit.schema.arrays import Jacobian, JointVector, Pose, Vec6
from robotkit.schema.kinematics import KinematicChain
from robotkit.schema.message import Message

RobotMode = Literal["holding", "tracking", "travelling", "stopped", "fault"]
"""The activity of a connected arm: it stands, follows sent targets, moves along a joint path, or refuses to move."""


class RobotSpec(Message):
    """The specification of an arm, known before it is connected."""

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
    is_simulated: bool = False
    """True for an arm that can hurt nobody; a real one does not start without limits."""
    kinematics: KinematicChain | None = None
    """The chain from joint positions to the tool and the links; None for an arm that does not tell."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        low, high, home = self.joint_position_min_rad, self.joint_position_max_rad, self.reset_joint_positions_rad
        if not len(low) == len(high) == len(home) == len(self.joint_velocity_max_rad_s) > 0:
            raise ValueError(
                f"arm {self.name!r}: joint ranges, speeds and reset positions need one number for each joint, got "
                f"{len(low)}, {len(high)}, {len(self.joint_velocity_max_rad_s)} and {len(home)}"
            )
        if not (low < high).all() or not (self.joint_velocity_max_rad_s > 0.0).all():
            raise ValueError(f"arm {self.name!r}: every joint needs min < max and a speed above 0")
        if not ((low <= home) & (home <= high)).all():
            raise ValueError(
                f"arm {self.name!r}: reset_joint_positions_rad {home.tolist()} is outside the joint range "
                f"{low.tolist()} to {high.tolist()}"
            )
        if self.kinematics is not None and self.kinematics.joint_count != len(low):
            raise ValueError(
                f"arm {self.name!r} has {len(low)} joints, its kinematics has {self.kinematics.joint_count}"
            )
        return self

    @property
    def joint_count(self) -> int:
        """Number of joints."""
        return len(self.joint_position_min_rad)


MOVES_ON = "the arm moves although it is stopped: use the hardware stop, unless somebody guides it"
"""Sentence that a person is told while `RobotState.moves_on` is true."""


class StopRecord(Message):
    """Why a stop is latched; it stays until `recover()`."""

    cause: str
    """A sentence: what was pressed, called or measured."""
    author: str
    """Author of the stop: a person, a client, or a part of the safety layer."""
    since_s: float
    """Time of the stop, on the cell's clock."""
    code: str = "robot_stopped"
    """Name of the error that refused commands raise; see `robotkit.errors`."""


class RobotState(Message):
    """The newest measurement of an arm; in every mode, also in a fault."""

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
    """Jacobian of the tool centre point: twist = jacobian @ joint_velocities."""
    mode: RobotMode
    faults: tuple[str, ...] = ()
    """The device's own names for what is wrong, when mode is "fault"."""
    fault_since_s: float | None = None
    """When the fault was noticed, on the cell's clock."""
    stop: StopRecord | None = None
    """The stop that is latched, also beside a fault."""
    is_halt_owed: bool = False
    """True while the device has refused a stop, or the halt of a fault, or takes too long for it: it may still move."""
    moves_on: bool = False
    """True while the arm is measured moving, by its places, although it is stopped or was halted: it did not halt,
    another program moves it, or a person guides it."""
    target_epoch: int = 0
    """Grows whenever something other than a sent command replaced the target: a hold, a stop, a recovery, a joint
    motion, a reset, a new connection. A client that counts its targets from the last one starts anew then."""
    stops: int = 0
    """How often a stop came; whoever recovers with this number undoes no later one."""
    holds: int | None = None
    """How often a client of the server has asked for a hold, or for the recovery of an arm that needed none; None: not
    told. A command that names a state by its `stops`, `recoveries` and `holds` is refused once more has come."""
    recoveries: int = 0
    """How often the arm was recovered from a stop or a fault. What sees it grow was interrupted, and does not go on by
    itself."""
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
