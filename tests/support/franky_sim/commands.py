"""Requests that the control box answers otherwise than franky-sim: moves, recovery and settings, with refusals."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import franky_sim.franka_robot_protocol as protocol
import franky_sim.franka_robot_server as robot_server
import numpy as np

if TYPE_CHECKING:
    from tests.support.franky_sim.server import ReflexServer


class SettingStatus(enum.IntEnum):
    """Answers to a setting, from libfranka's protocol."""

    SUCCESS = 0
    NOT_POSSIBLE_REJECTED = 1


class Recovery(protocol.AutomaticErrorRecoveryCommand):
    """Clears what was latched, unless a person is needed."""

    def handle(self, server: ReflexServer) -> None:
        status = protocol.AutomaticErrorRecoveryStatus
        if server.needs_manual_recovery:
            self.reply(status.kManualErrorRecoveryRequiredRejected)
            return
        server.latched = None
        self.reply(status.kSuccess)


class Move(protocol.MoveCommand):
    """Starts a motion, unless an error is latched."""

    def handle(self, server: ReflexServer) -> None:
        if server.latched is None:
            super().handle(server)
        else:
            self.reply(protocol.MoveStatus.kCommandNotPossibleRejected)


class SetTool(protocol.SetNEToEECommand):
    """Changes the tool's frame, which every pose means, of an arm that stands."""

    def handle(self, server: ReflexServer) -> None:
        if server.takes_settings:
            super().handle(server)
        else:
            self.reply(SettingStatus.NOT_POSSIBLE_REJECTED)


class SetLoad(protocol.SetLoadCommand):
    """Changes the load of an arm that stands."""

    def handle(self, server: ReflexServer) -> None:
        if server.takes_settings:
            super().handle(server)
        else:
            self.reply(SettingStatus.NOT_POSSIBLE_REJECTED)


class SetCollisionBehavior(protocol.SetCollisionBehaviorCommand):
    """Keeps the thresholds above which a contact is a collision."""

    def handle(self, server: ReflexServer) -> None:
        server.watch.torque_max_nm = np.array(self.upper_torque_thresholds_nominal)
        server.watch.wrench_max = np.array(self.upper_force_thresholds_nominal)
        self.reply(SettingStatus.SUCCESS)


def install() -> None:
    """Put these classes in the places where franky-sim looks for its own, in this process."""
    robot_server.AutomaticErrorRecoveryCommand = Recovery
    robot_server.MoveCommand = Move
    robot_server.SetNEToEECommand = SetTool
    robot_server.SetLoadCommand = SetLoad
    robot_server.SetCollisionBehaviorCommand = SetCollisionBehavior
