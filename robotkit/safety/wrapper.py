"""`SafetyWrapper`: an arm that passes everything on to the arm inside."""

from __future__ import annotations

import numpy as np

from robotkit.devices import BaseRobotServer
from robotkit.schema import ComplianceParams, RobotCommand, RobotState


class SafetyWrapper(BaseRobotServer):
    """Base of the safety wrappers.

    A wrapper that does not override `send` or `get_state` lends its caller the inner arm's own method, so that a layer
    costs nothing in the calls in which it has nothing to say.
    """

    def __init__(self, inner: BaseRobotServer) -> None:
        super().__init__(inner.config, inner.context)
        self.inner = inner
        self.spec = inner.spec
        for name in ("send", "get_state"):
            if getattr(type(self), name) is getattr(SafetyWrapper, name):
                setattr(self, name, getattr(inner, name))

    @property
    def is_connected(self) -> bool:
        """What the inner arm says."""
        return self.inner.is_connected

    def connect(self) -> None:
        """Connect the inner arm."""
        self.inner.connect()

    def disconnect(self) -> None:
        """Disconnect the inner arm."""
        self.inner.disconnect()

    def get_state(self) -> RobotState:
        """Measure the inner arm."""
        return self.inner.get_state()

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass the command on."""
        return self.inner.send(command)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass the motion on."""
        self.inner.move_to_joint_positions(positions_rad)

    def set_compliance(self, params: ComplianceParams) -> None:
        """Pass the parameters on."""
        self.inner.set_compliance(params)

    def stop(self) -> None:
        """Pass the stop on."""
        self.inner.stop()

    def recover(self) -> None:
        """Pass the recovery on."""
        self.inner.recover()

    def hold(self) -> None:
        """Pass the hold on."""
        self.inner.hold()

    def forget_target(self) -> None:
        """Pass on that the arm was put somewhere else."""
        self.inner.forget_target()
