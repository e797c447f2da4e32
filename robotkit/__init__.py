"""robotkit: a ROS-free hardware abstraction layer for robot learning.

Nothing heavy is imported here: drivers, torch, mujoco and vendor packages load when a plugin that needs them is asked
for.
"""

from robotkit import errors, schema
from robotkit.clock import Clock, RealClock
from robotkit.devices import (
    BaseCamera,
    BaseGripperServer,
    BasePoseTracker,
    BaseRobotServer,
    BaseTeleop,
    BaseWorld,
    CellContext,
    Device,
    Measurement,
    StatefulRobotServer,
    Travel,
)
from robotkit.errors import (
    Busy,
    CommandExpired,
    CommandRejected,
    ConfigurationError,
    ConnectionFailed,
    ControlHeld,
    DeviceError,
    DeviceFault,
    DuplicatePlugin,
    Forbidden,
    ForceLimitExceeded,
    InvalidCommand,
    InvalidConfiguration,
    JointLimitExceeded,
    MissingExtra,
    MotionFailed,
    NotConnected,
    OutsideWorkspace,
    ProtocolError,
    RemoteError,
    RemoteTimeout,
    RobotkitError,
    RobotStopped,
    StaleState,
    StepTooLarge,
    Unauthorized,
    UnknownPlugin,
    Unsupported,
)
from robotkit.factory import make_gripper, make_robot, make_workcell
from robotkit.registry import cameras, grippers, robots, teleops, trackers, worlds
from robotkit.schema import (
    Array,
    CameraSpec,
    CellSpec,
    CellState,
    ComplianceLimits,
    ComplianceParams,
    DeviceReport,
    Frame,
    GripperCommand,
    GripperSpec,
    GripperState,
    Intrinsics,
    JointCommand,
    JointVector,
    KinematicChain,
    KinematicJoint,
    LinkCapsule,
    Message,
    Plane,
    PluginConfig,
    PluginRef,
    Pose,
    PoseCommand,
    ResetRequest,
    RobotCommand,
    RobotMode,
    RobotSpec,
    RobotState,
    SafetyLimits,
    StepRequest,
    StopRecord,
    TeleopReading,
    TrackedPose,
    Vec3,
    Vec6,
    WorkcellConfig,
    WorkspaceBox,
)
from robotkit.workcell import Workcell

register_robot = robots.register
register_gripper = grippers.register
register_camera = cameras.register
register_tracker = trackers.register
register_teleop = teleops.register
register_world = worlds.register

__all__ = [
    "Array", "BaseCamera", "BaseGripperServer", "BasePoseTracker", "BaseRobotServer", "BaseTeleop", "BaseWorld",
    "Busy", "CameraSpec", "CellContext", "CellSpec", "CellState", "Clock", "CommandExpired", "CommandRejected",
    "ComplianceLimits", "ComplianceParams", "ConfigurationError", "ConnectionFailed", "ControlHeld", "Device",
    "DeviceError", "DeviceFault", "DeviceReport", "DuplicatePlugin", "Forbidden", "ForceLimitExceeded", "Frame",
    "GripperCommand", "GripperSpec", "GripperState", "Intrinsics", "InvalidCommand", "InvalidConfiguration",
    "JointCommand", "JointLimitExceeded", "JointVector", "KinematicChain", "KinematicJoint", "LinkCapsule",
    "Measurement", "Message", "MissingExtra", "MotionFailed", "NotConnected", "OutsideWorkspace", "Plane",
    "PluginConfig", "PluginRef", "Pose", "PoseCommand", "ProtocolError", "RealClock", "RemoteError", "RemoteTimeout",
    "ResetRequest", "RobotCommand", "RobotMode", "RobotSpec", "RobotState", "RobotStopped", "RobotkitError",
    "SafetyLimits", "StaleState", "StatefulRobotServer", "StepRequest", "StepTooLarge", "StopRecord", "TeleopReading",
    "TrackedPose", "Travel", "Unauthorized", "UnknownPlugin", "Unsupported", "Vec3", "Vec6", "Workcell",
    "WorkcellConfig", "WorkspaceBox", "errors", "make_gripper", "make_robot", "make_workcell", "register_camera",
    "register_gripper", "register_robot", "register_teleop", "register_tracker", "register_world", "schema",
]  # fmt: skip
