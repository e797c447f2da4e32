"""`WorkspaceLimit`: refuses tool targets outside the workspace box."""

from __future__ import annotations

from robotkit.devices import BaseRobotServer
from robotkit.errors import OutsideWorkspace
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand, WorkspaceBox
from robotkit.workspace import BoxTest


class WorkspaceLimit(SafetyWrapper):
    """Bounds pose targets; joint targets are bounded by the joint range alone."""

    def __init__(self, inner: BaseRobotServer, box: WorkspaceBox) -> None:
        super().__init__(inner)
        self._test = BoxTest(box)

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass a target inside the box on.

        Raises:
            OutsideWorkspace: names what is outside.
        """
        if command.kind == "pose":
            pose = command.tcp_pose_in_base.tolist()
            if not self._test.contains(pose):
                raise OutsideWorkspace(f"{self._test.describe(pose)}; bring the target inside the workspace box")
        return self.inner.send(command)
