"""Devices of another process: bodies of robotkit's contracts over a `Session`."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import numpy as np

from robotkit.devices import BaseCamera, BaseGripperServer, BasePoseTracker, BaseRobotServer, CellContext, Device
from robotkit.errors import ProtocolError, RemoteError
from robotkit.remote.session import Session
from robotkit.schema import (
    CameraSpec,
    ComplianceParams,
    Frame,
    GripperCommand,
    GripperSpec,
    GripperState,
    JointCommand,
    PluginConfig,
    PoseCommand,
    RobotCommand,
    RobotSpec,
    RobotState,
    TrackedPose,
)
from robotkit.schema.wire import DEPTH_HEADER, SHAPE_HEADER, STAMP_HEADER, JointMoveRequest


class RemoteDevice(Device):
    """A device on the server; `connect()` opens it for this client, the hardware itself is the server's to connect."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(PluginConfig(), CellContext(name=name))
        self._session = session
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def connect(self) -> None:
        """Check that the server answers and accepts the token."""
        if not self._connected:
            self._session.get("/v1/cell")
            self._connected = True

    def disconnect(self) -> None:
        """Use it no more."""
        self._connected = False

    def session(self) -> Session:
        """The connection, for a device that is connected."""
        self.require_connected()
        return self._session


class RemoteRobot(RemoteDevice, BaseRobotServer):
    """An arm on the server; safety limits and watchdog work there."""

    def __init__(self, session: Session, spec: RobotSpec) -> None:
        super().__init__(session, "robot")
        self.spec = spec
        self.newest_epoch: int | None = None
        """Target epoch of the newest state of the whole cell; None before there is one."""

    @property
    def target_epoch(self) -> int:
        """The target epoch of the newest state which this client has got.

        Whoever commands passes it to `step`, where it counts.
        """
        return self.get_state().target_epoch if self.newest_epoch is None else self.newest_epoch

    def connect(self) -> None:
        """Check that the server answers and accepts the token; what was read before counts no more."""
        if not self._connected:
            self._session.seen.forget()
        super().connect()

    def disconnect(self) -> None:
        """Give control back: the arm holds, and another client may command."""
        if self._connected:
            self._connected, self.newest_epoch = False, None
            # A server that is gone has already left its arm holding.
            with suppress(RemoteError):
                self._session.post("/v1/control/release")

    def get_state(self) -> RobotState:
        """The newest measurement."""
        session = self.session()
        state = session.read("/v1/robot/state", RobotState)
        session.seen.read(state)
        return state

    def send(self, command: RobotCommand) -> RobotCommand:
        """Set a new target; returns the command as the server accepted it."""
        if isinstance(command, JointCommand):
            return self.session().ask("/v1/robot/command", command, JointCommand)
        return self.session().ask("/v1/robot/command", command, PoseCommand)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Move and wait for the arrival."""
        request = JointMoveRequest.unchecked(joint_positions_rad=np.asarray(positions_rad))
        self.session().move("/v1/robot/joint_move", request)

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law."""
        self.session().command("/v1/robot/compliance", params)

    def stop(self) -> None:
        """Hold still now; without control of the cell, before `connect()`, from any thread, and in a signal handler."""
        self._session.stop()

    def recover(self, stops_seen: int | None = None) -> None:
        """Clear a stop or a fault; with the number of stops in the state that a person has seen, a stop since stays."""
        session = self.session()
        session.handshake.require_common_version()
        session.post("/v1/robot/recover" + ("" if stops_seen is None else f"?stops_seen={stops_seen}"))

    def hold(self) -> None:
        """Make the measured pose the target; also one outside the limits that a command would have to keep."""
        self.session().command("/v1/robot/hold")

    def reset(self) -> None:
        """Move to the reset configuration and wait for the arrival."""
        self.session().move("/v1/robot/reset")


class RemoteGripper(RemoteDevice, BaseGripperServer):
    """A gripper on the server, which does not wait for one that hangs."""

    answers_at_once = True

    def __init__(self, session: Session, spec: GripperSpec) -> None:
        super().__init__(session, "gripper")
        self.spec = spec

    def get_state(self) -> GripperState:
        """The newest measurement."""
        return self.session().read("/v1/gripper/state", GripperState)

    def move(self, position: float) -> None:
        """Start to move."""
        self.session().command("/v1/gripper/move", GripperCommand.unchecked(position=position))

    def activate(self) -> None:
        """Make it ready."""
        self.session().command("/v1/gripper/activate", timeout_s=self._session.motion_timeout_s)

    def reset(self) -> None:
        """Clear faults; fingers open."""
        self.session().command("/v1/gripper/reset", timeout_s=self._session.motion_timeout_s)


class RemoteCamera(RemoteDevice, BaseCamera):
    """A camera on the server; pixels travel raw."""

    def __init__(self, session: Session, name: str, spec: CameraSpec) -> None:
        super().__init__(session, name)
        self.spec = spec

    def read(self) -> Frame:
        """The newest frame."""
        answer = self.session().get(f"/v1/cameras/{quote(self.context.name, safe='')}/frame", format="raw")
        try:
            shape = tuple(int(size) for size in answer.headers[SHAPE_HEADER.lower()].split(","))
            stamp_s = float(answer.headers[STAMP_HEADER.lower()])
            has_depth = answer.headers[DEPTH_HEADER.lower()] == "float32"
            rgb, depth_m = _pixels(answer.content, shape, has_depth)
        except (KeyError, ValueError) as error:
            raise ProtocolError(f"the server's image does not fit its headers: {error}") from error
        return Frame.unchecked(stamp_s=stamp_s, rgb=rgb, depth_m=depth_m)


class RemotePoseTracker(RemoteDevice, BasePoseTracker):
    """A tracked object on the server."""

    def get_pose(self) -> TrackedPose:
        """The newest pose."""
        return self.session().read(f"/v1/trackers/{quote(self.context.name, safe='')}", TrackedPose)


def _pixels(content: bytes, shape: tuple[int, ...], has_depth: bool) -> tuple[np.ndarray, np.ndarray | None]:
    size = int(np.prod(shape))
    rgb = np.frombuffer(content, np.uint8, size).reshape(shape).copy()
    if not has_depth:
        return rgb, None
    return rgb, np.frombuffer(content, "<f4", offset=size).reshape(shape[:2]).astype(np.float32)
