"""`remote_workcell`: a server's cell as an ordinary `Workcell`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from robotkit.errors import ProtocolError
from robotkit.remote.clock import RemoteClock
from robotkit.remote.devices import RemoteCamera, RemoteGripper, RemotePoseTracker, RemoteRobot
from robotkit.remote.session import Session
from robotkit.remote.steps import RemoteSteps
from robotkit.remote.stream import RemoteStream
from robotkit.schema import CellSpec, CellState, GripperCommand, ResetRequest, RobotCommand, StepRequest
from robotkit.schema.wire import Health
from robotkit.workcell import Workcell, checked_period

TOKEN_VARIABLE = "ROBOTKIT_TOKEN"


def remote_workcell(
    url: str,
    token: str | None = None,
    timeout_s: float = 5.0,
    motion_timeout_s: float = 120.0,
    ca_file: str | None = None,
) -> RemoteWorkcell:
    """Build the remote counterpart of the cell that the server at `url` has; also `make_workcell(url, token=…)`.

    Args:
        url: "http://host:port" or "https://host:port".
        token: the server's bearer token, when it has one; None: as ROBOTKIT_TOKEN says.
        timeout_s: how long to wait for an answer, beyond the time that a request itself asks for.
        motion_timeout_s: the same for resets and joint motions.
        ca_file: certificates to trust instead of the system's; None: as ROBOTKIT_TLS_CA says.

    Raises:
        ConnectionFailed: nobody answers there.
        RemoteTimeout: no answer in time.
        Unauthorized: the token is missing or wrong.
        ProtocolError: something answers that is not a robot server.
    """
    session = Session(url, token_or_variable(token), timeout_s, motion_timeout_s, ca_file)
    try:
        return RemoteWorkcell(session, session.read("/v1/cell", CellSpec))
    except ProtocolError:
        session.handshake.require_common_version()
        raise
    finally:
        session.close()


def token_or_variable(token: str | None) -> str | None:
    """The token that was given, else the variable ROBOTKIT_TOKEN; an empty one is none."""
    return token or os.environ.get(TOKEN_VARIABLE) or None


class RemoteWorkcell(Workcell):
    """A workcell whose step is one round trip."""

    def __init__(self, session: Session, spec: CellSpec) -> None:
        self._robot = robot = RemoteRobot(session, spec.robot)
        super().__init__(
            name=spec.name,
            clock=RemoteClock(session, spec.clock == "lockstep"),
            robot=robot,
            gripper=RemoteGripper(session, spec.gripper) if spec.gripper else None,
            cameras={name: RemoteCamera(session, name, camera) for name, camera in spec.cameras.items()},
            trackers={name: RemotePoseTracker(session, name) for name in spec.trackers},
            limits=spec.limits,
        )
        self.session = session
        self._spec = spec
        self._steps = RemoteSteps(session)

    @property
    def can_place_objects(self) -> bool:
        """True when the server's world can place objects."""
        return self._spec.can_place_objects

    def disconnect(self) -> None:
        """Give control back, so that the arm holds, and close the connections."""
        try:
            super().disconnect()
        finally:
            self._steps.close()
            self.session.close()

    def get_state(self) -> CellState:
        """Measure everything but the cameras, in one round trip."""
        return self._seen(self._connected().read("/v1/state", CellState))

    def step(
        self,
        command: RobotCommand | None = None,
        gripper: GripperCommand | None = None,
        period_s: float = 0.0,
        target_epoch: int | None = None,
    ) -> CellState:
        """Send commands, let `period_s` pass on the server's own ticks, measure, in one round trip."""
        session, period_s = self._connected(), checked_period(period_s)
        request = StepRequest.unchecked(command=command, gripper=gripper, period_s=period_s, target_epoch=target_epoch)
        return self._seen(self._steps.step(request, session.timeout_s + period_s))

    def reset(self, seed: int | None = None, object_poses_in_base: Mapping[str, np.ndarray] | None = None) -> CellState:
        """Bring the server's cell to its start and wait for it."""
        session = self._connected()
        poses = {name: np.asarray(pose) for name, pose in (object_poses_in_base or {}).items()}
        request = ResetRequest.unchecked(seed=seed, object_poses_in_base=poses)
        return self._seen(session.ask_after_motion("/v1/reset", request, CellState))

    def health(self) -> Health:
        """The summary of the cell for an operator, also when the arm cannot be measured."""
        return self.session.read("/v1/health", Health)

    def stream(self, rate_hz: float = 100.0, max_age_s: float = 0.2) -> RemoteStream:
        """A websocket to the same server under the same control, for loops faster than round trips."""
        return RemoteStream(self.session, rate_hz, max_age_s)

    def _seen(self, state: CellState) -> CellState:
        self._robot.newest_epoch = state.robot.target_epoch
        self.session.seen.read(state.robot)
        return state

    def _connected(self) -> Session:
        self.robot.require_connected()
        return self.session
