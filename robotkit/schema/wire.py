"""Messages and header names that only the robot server and its client exchange."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from robotkit.schema.arrays import JointVector
from robotkit.schema.cell import CellState, StepRequest
from robotkit.schema.gripper import GripperCommand
from robotkit.schema.message import Message
from robotkit.schema.robot import RobotCommand, RobotMode, StopRecord

PROTOCOL_OLDEST, PROTOCOL_NEWEST = 2, 2
"""Versions of the protocol that this code speaks, as server and as client.

Version 2 numbers its steps, gives deadlines, and ignores fields of answers that it does not know. Version 1 is that of
servers and clients which know of no versions.
"""
PROTOCOL_HEADER = "X-Robotkit-Protocol"
"""The version that a client speaks. Without it (curl, SERL's clients) a request is taken as it is."""
CLIENT_HEADER = "X-Robotkit-Client"
"""The client's key to the control lease: any text that nobody else can guess. It is never shown."""
NAME_HEADER = "X-Robotkit-Name"
"""Name that people read where the client is spoken of, such as "anna@lab3 train.py", percent-encoded."""
DEADLINE_HEADER = "X-Robotkit-Deadline"
"""When a command may start at the latest, in monotonic seconds of the server (`GET /v1/protocol` tells them)."""
CLOCK_HEADER = "X-Robotkit-Clock"
"""Server for which the deadline was made, by the `clock` of its `GET /v1/protocol`; another carries nothing out.

Every answer has it too, and tells of which start of the server it is; an answer without it may be anybody's.
"""
HEARTBEAT_HEADER = "X-Robotkit-Heartbeat"
"""A promise for as long as the request lasts: the client posts `/v1/control/heartbeat` at least this often, in seconds.

A client that does not keep it counts as gone, and the motion that it waits for ends.
"""
STOP_HEADER = "X-Robotkit-Stop"
"""The id of a stop, 16 to 64 characters, another for each: what arrives with a known one stops the arm no second time.

A client sends a stop to every address and again until somebody answers; a copy that comes late would undo a recovery.
"""
SEEN_HEADER = "X-Robotkit-Seen"
"""The newest state that the author of a command has read, by its `stops`, `recoveries` and `holds`, as "2,1,0".

The command is refused once more has come, however late the network delivers it. The answer to a hold or a recovery
carries what the client has seen with it, unless something else has come that the client does not know of; that to a
stop, or to a copy of it, what had come with it. Of all that it was told by one start of the server a client sends the
largest of each number.
"""
STAMP_HEADER = "X-Robotkit-Stamp"
"""When an image was exposed, seconds on the cell's clock."""
SHAPE_HEADER = "X-Robotkit-Shape"
"""Height, width and channels of a raw image, as "128,128,3"."""
DEPTH_HEADER = "X-Robotkit-Depth"
""""float32" when the raw pixels are followed by the depth image, little-endian metres; else "none"."""


_Seen = Annotated[str, Field(pattern=r"^\d{1,18},\d{1,18},\d{1,18}$")]


class ProtocolInfo(Message):
    """The versions that the server speaks and its time, which a client requests first."""

    oldest: int
    newest: int
    now_s: float
    """Monotonic seconds of the server, of which deadlines are made."""
    clock: str = ""
    """Name of this server's time, another after each start; empty: the server does not tell."""


class ErrorReply(Message):
    """The body of every refusal."""

    code: str
    """Name of the error class, stable over versions; see `robotkit.errors`."""
    message: str


class Health(Message):
    """The summary of a cell for an operator."""

    status: Literal["ok", "stopped", "fault"]
    cell: str
    clock: Literal["real", "lockstep"]
    robot_mode: RobotMode
    problems: tuple[str, ...]
    """Why `status` is not "ok"."""
    stop: StopRecord | None
    """The stop that is latched: its cause, who stopped, and since when on the cell's clock."""
    stopped_for_s: float | None
    """Seconds for which it has been latched."""
    controlled_by: str | None
    """Name of the client that commands now, as it calls itself."""
    controlled_for_s: float | None
    """Seconds for which it has had control."""
    uptime_s: float
    serl_clear_requests: int
    """How often a SERL client asked to clear errors. Clearing is for a person: `POST /v1/robot/recover`."""
    target_epoch: int | None = None
    """See `RobotState.target_epoch`, but as it is now, also of an arm that cannot be measured; None: not told."""
    stops: int | None = None
    """See `RobotState.stops`, likewise: whoever recovers with this number undoes no stop after the one told here."""


class JointMoveRequest(Message):
    """Move to these joint positions and answer on arrival."""

    joint_positions_rad: JointVector


class ClockAdvanceRequest(Message):
    """Let time pass without a command."""

    period_s: float = Field(ge=0.0, le=10.0)


class ClockState(Message):
    """The cell's time."""

    now_s: float
    is_lockstep: bool


class NumberedStep(StepRequest):
    """Client to server: one control step, with a number that its answer carries too."""

    seq: int = Field(0, ge=0)
    deadline_s: float | None = None
    """When the step may start at the latest, in monotonic seconds of the server."""
    clock: str | None = None
    """Clock of the server for which the deadline was made; None: it does not matter."""
    seen: _Seen | None = None
    """The newest state that the author of the command has read, as `SEEN_HEADER` has it; None: it does not say."""


class StreamCommand(Message):
    """Client to server: new targets; the newest one wins."""

    type: Literal["command"] = "command"
    command: RobotCommand | None = None
    gripper: GripperCommand | None = None
    deadline_s: float | None = None
    """When it may be carried out at the latest, in monotonic seconds of the server."""
    clock: str | None = None
    """Clock of the server for which the deadline was made; None: it does not matter."""
    seen: _Seen | None = None
    """The newest state that the author of the command has read, as `SEEN_HEADER` has it; None: it does not say."""


class StreamAck(Message):
    """Client to server: everything up to `seq` has arrived. The server never runs further ahead than its window."""

    type: Literal["ack"] = "ack"
    seq: int


class StreamState(Message):
    """Server to client: the newest measurement."""

    type: Literal["state"] = "state"
    seq: int
    """Counts the states of a stream; of a step, the number of its request."""
    state: CellState


class StreamError(Message):
    """Server to client: a command was refused, or a device failed."""

    type: Literal["error"] = "error"
    code: str
    message: str
    seq: int = 0
    """Number of the request, where the error is of a step."""


StreamUp = Annotated[StreamCommand | StreamAck, Field(discriminator="type")]
StreamDown = Annotated[StreamState | StreamError, Field(discriminator="type")]
