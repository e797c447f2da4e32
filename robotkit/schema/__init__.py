"""The messages that cross a process or a package border."""

from robotkit.schema.arrays import Array, JointVector, Pose, Vec3, Vec6
from robotkit.schema.camera import CameraSpec, Frame, Intrinsics
from robotkit.schema.cell import CellSpec, CellState, DeviceReport, ResetRequest, StepRequest
from robotkit.schema.compliance import ComplianceParams
from robotkit.schema.config import PluginConfig, PluginRef, WorkcellConfig
from robotkit.schema.gripper import GripperCommand, GripperSpec, GripperState
from robotkit.schema.kinematics import KinematicChain, KinematicJoint, LinkCapsule, Plane
from robotkit.schema.limits import ComplianceLimits, SafetyLimits, WorkspaceBox
from robotkit.schema.message import Message
from robotkit.schema.robot import (
    JointCommand,
    PoseCommand,
    RobotCommand,
    RobotMode,
    RobotSpec,
    RobotState,
    StopRecord,
)
from robotkit.schema.sensing import TeleopReading, TrackedPose

__all__ = [
    "Array", "CameraSpec", "CellSpec", "CellState", "ComplianceLimits", "ComplianceParams", "DeviceReport", "Frame",
    "GripperCommand", "GripperSpec", "GripperState", "Intrinsics", "JointCommand", "JointVector", "KinematicChain",
    "KinematicJoint", "LinkCapsule", "Message", "Plane", "PluginConfig", "PluginRef", "Pose", "PoseCommand",
    "ResetRequest", "RobotCommand", "RobotMode", "RobotSpec", "RobotState", "SafetyLimits", "StepRequest",
    "StopRecord", "TeleopReading", "TrackedPose", "Vec3", "Vec6", "WorkcellConfig", "WorkspaceBox",
]  # fmt: skip
