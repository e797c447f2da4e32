"""The exception tree: one class for each thing that can go wrong, the same class on both sides of the wire.

RobotkitError
├── InvalidMessage            a message is built in Python of what it does not hold; also a ValueError
├── ConfigurationError        the request to build something is wrong; nothing was touched
│   ├── InvalidConfiguration      a file, an option or an override does not validate
│   ├── UnknownPlugin             no plugin has that name
│   ├── UnknownName               this cell has no camera or tracker of that name; also a KeyError
│   ├── DuplicatePlugin           two plugins have one name
│   └── MissingExtra              an optional package is not installed
├── CommandRejected           the command was refused; the robot keeps its last target
│   ├── InvalidCommand            NaN, a wrong length, an unknown field
│   ├── OutsideWorkspace          the target lies outside the safety box
│   ├── StepTooLarge              the target is too far from the previous one
│   ├── JointLimitExceeded        a joint target lies outside its range
│   ├── RobotStopped              a stop is latched: recover() first
│   │   └── ForceLimitExceeded    contact force above the limit: the robot was stopped
│   ├── ControlHeld               another client commands this cell
│   ├── Busy                      too many commands wait, or a blocking motion runs
│   ├── CommandExpired            its deadline passed before it could start
│   ├── TargetReplaced            it was made for a target that the arm no longer has
│   └── Unsupported               this body cannot do that
├── DeviceError               the device cannot do its work
│   ├── NotConnected              connect() first
│   ├── StaleState                the newest measurement is too old
│   ├── DeviceFault               the device reports a fault: recover()
│   └── MotionFailed              a blocking motion did not arrive
└── RemoteError               the other process cannot be used
    ├── ConnectionFailed          nobody answers at that address
    ├── RemoteTimeout             it did not answer in time
    ├── Unauthorized              the token is missing or wrong
    ├── Forbidden                 the token is for less than was asked
    └── ProtocolError             it answered something that robotkit does not speak
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class RobotkitError(Exception):
    """The root of the tree. `code` is the stable name of an error in messages."""

    code: ClassVar[str] = "robotkit_error"

    @property
    def message(self) -> str:
        """The fault, what is allowed and what to do, as one text."""
        return str(self.args[0]) if self.args else ""


class ConfigurationError(RobotkitError):
    """The request to build something is wrong; no device was touched."""

    code = "configuration_error"


class InvalidConfiguration(ConfigurationError):
    """A workcell file, an option or an override does not validate."""

    code = "invalid_configuration"


class UnknownPlugin(ConfigurationError):
    """No plugin has the requested name."""

    code = "unknown_plugin"


class UnknownName(ConfigurationError, KeyError):
    """The cell has nothing of that name; the message has the names that there are."""

    code = "unknown_name"

    def __str__(self) -> str:
        return self.message  # a KeyError would quote it


class DuplicatePlugin(ConfigurationError):
    """Two plugins have the same name."""

    code = "duplicate_plugin"


class MissingExtra(ConfigurationError):
    """An optional package is not installed; the message has the pip command."""

    code = "missing_extra"


class CommandRejected(RobotkitError):
    """The command was refused; the robot keeps its last accepted target."""

    code = "command_rejected"


class InvalidCommand(CommandRejected):
    """The command does not validate: NaN, a wrong length, an unknown field."""

    code = "invalid_command"


class InvalidMessage(RobotkitError, ValueError):
    """A message was built from what it does not hold.

    It refuses no command: a driver may raise it when it has told its device.
    """

    code = "invalid_message"


class OutsideWorkspace(CommandRejected):
    """The target pose lies outside the workspace box."""

    code = "outside_workspace"


class StepTooLarge(CommandRejected):
    """The target is too far from the previous one, or would have to be reached too fast."""

    code = "step_too_large"


class JointLimitExceeded(CommandRejected):
    """A joint target lies outside the joint's range."""

    code = "joint_limit_exceeded"


class RobotStopped(CommandRejected):
    """A stop is latched; nothing moves until recover()."""

    code = "robot_stopped"


class ForceLimitExceeded(RobotStopped):
    """The contact force or torque went above its limit; the robot was stopped."""

    code = "force_limit_exceeded"


class ControlHeld(CommandRejected):
    """Another client commands this cell."""

    code = "control_held"


class Busy(CommandRejected):
    """A blocking motion or the activation of a gripper runs, or as many of this client's commands wait as may."""

    code = "busy"


class CommandExpired(CommandRejected):
    """The command's deadline passed before it could start; it was not carried out."""

    code = "command_expired"


class TargetReplaced(CommandRejected):
    """The command was made for a target that a hold, a stop, another client or a reset has replaced since."""

    code = "target_replaced"


class Unsupported(CommandRejected):
    """This body of the contract cannot do what was asked."""

    code = "unsupported"


class DeviceError(RobotkitError):
    """The device cannot do its work."""

    code = "device_error"


class NotConnected(DeviceError):
    """The device is not connected."""

    code = "not_connected"


class StaleState(DeviceError):
    """The newest measurement is older than allowed."""

    code = "stale_state"


class DeviceFault(DeviceError):
    """The device reports a fault that recover() may clear."""

    code = "device_fault"


class MotionFailed(DeviceError):
    """A blocking motion did not arrive, or did not settle, in time."""

    code = "motion_failed"


class RemoteError(RobotkitError):
    """The other process cannot be used."""

    code = "remote_error"


class ConnectionFailed(RemoteError):
    """Nobody answers at that address."""

    code = "connection_failed"


class RemoteTimeout(RemoteError):
    """The other process did not answer in time."""

    code = "remote_timeout"


class Unauthorized(RemoteError):
    """The token is missing or wrong."""

    code = "unauthorized"


class Forbidden(RemoteError):
    """The token is right, but for less than was asked."""

    code = "forbidden"


class ProtocolError(RemoteError):
    """The other process answered something that robotkit does not speak."""

    code = "protocol_error"


def _subclasses(cls: type[RobotkitError]) -> Iterator[type[RobotkitError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _subclasses(child)


def error_from_code(code: str, message: str) -> RobotkitError:
    """Rebuild the error that left the other side of the wire.

    An unknown code (a newer peer) becomes a `ProtocolError` that quotes it.
    """
    for cls in _subclasses(RobotkitError):
        if cls.code == code:
            return cls(message)
    return ProtocolError(f"the peer reported an error this version does not know, {code!r}: {message}")
