"""`WorkspaceLimit`: refuses tool targets outside the workspace box, except those on the way back in."""

from __future__ import annotations

import numpy as np

from robotkit.devices import BaseRobotServer
from robotkit.errors import OutsideWorkspace
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand, WorkspaceBox
from robotkit.workspace import BoxTest, distance_outside

_TOLERANCE = 1e-6
"""Metres or radians: what counts as no nearer."""


class WorkspaceLimit(SafetyWrapper):
    """Bounds pose targets; joint targets are bounded by the joint range alone.

    An arm that a person or its load has brought out of the box may be asked for any target that is nearer to the box
    than it is itself, so that it comes back in small steps and not in one.
    """

    def __init__(self, inner: BaseRobotServer, box: WorkspaceBox) -> None:
        super().__init__(inner)
        self._box = box
        self._test = BoxTest(box)

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass a target inside the box on, or one that leads back to it.

        Raises:
            OutsideWorkspace: names what is outside.
        """
        if command.kind == "pose":
            pose = command.tcp_pose_in_base.tolist()
            if not self._test.contains(pose) and not self._leads_back(command.tcp_pose_in_base):
                raise OutsideWorkspace(f"{self._test.describe(pose)}; bring the target inside the workspace box")
        return self.inner.send(command)

    def _leads_back(self, target: np.ndarray) -> bool:
        """True for a target that is nearer to the box than the arm in position or orientation, and farther in none."""
        is_at = distance_outside(self.inner.get_state().tcp_pose_in_base, self._box)
        would_be = distance_outside(target, self._box)
        gains = [now - then for now, then in zip(is_at, would_be, strict=True)]
        return min(gains) >= -_TOLERANCE and max(gains) > _TOLERANCE
