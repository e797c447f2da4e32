"""The hand's side of libfranka's protocol: franky-sim's, with aborted motions and a cable to unplug."""

from __future__ import annotations

import socket

import franky_sim.franka_robot_server as robot_server
import franky_sim.franka_server as transport
from franky_sim.franka_gripper_protocol import GripperCommandStatus
from franky_sim.franka_gripper_server import FrankaGripperServer


class AbortingGripperServer(FrankaGripperServer):
    """A hand that tells a motion that `stop` ended it (franky-sim leaves its client waiting), and can be unplugged."""

    is_plugged = True

    def plug(self, is_plugged: bool) -> None:
        """Unplug the hand, in the middle of whatever it does, or plug it in again."""
        self.is_plugged = is_plugged
        if is_plugged:
            self.init()
            return
        self._pending_command_id = None
        self.reset_state()
        self.cleanup()

    def process_commands(self) -> None:
        """Listen, while there is power."""
        if self.is_plugged:
            super().process_commands()

    def stop(self, command_id: int, tcp_socket: socket.socket) -> None:
        """Abort what runs, then stop."""
        if self._pending_command_id is not None:
            transport.BaseCommand.send_response(
                self._pending_tcp_socket,
                self._pending_command_type,
                self._pending_command_id,
                GripperCommandStatus.kAborted,
                command_type_struct="H",
                status_type_struct="H",
            )
        super().stop(command_id, tcp_socket)


def install() -> None:
    """Put this class in the place where franky-sim looks for its own, in this process."""
    robot_server.FrankaGripperServer = AbortingGripperServer
