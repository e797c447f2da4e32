"""The hand's side of libfranka's protocol: franky-sim's, with aborted motions, homing and a cable to unplug."""

from __future__ import annotations

import socket

import franky_sim.franka_gripper_server as gripper_server
import franky_sim.franka_robot_server as robot_server
import franky_sim.franka_server as transport
from franky_sim.franka_gripper_protocol import GripperCommand, GripperCommandStatus
from franky_sim.franka_gripper_server import FrankaGripperServer


class AbortingGripperServer(FrankaGripperServer):
    """A hand that tells a motion that `stop` ended it (franky-sim leaves its client waiting), and that has troubles."""

    is_plugged = True
    is_deaf = False
    """True: packets go on, and no command is heard."""
    aborts_on_stop = True
    """False: a motion that `stop` ended is never answered, as with some real hands."""
    commands_heard = 0
    """Moves and grasps that have come."""

    def plug(self, is_plugged: bool) -> None:
        """Unplug the hand, in the middle of whatever it does, or plug it in again."""
        self.is_plugged = is_plugged
        if is_plugged:
            self.init()
            return
        self._pending_command_id = None
        self.reset_state()
        self.cleanup()

    def forget_homing(self) -> None:
        """Know no largest width, as after power-up: moves fail until the hand was homed."""
        self._max_width = 0.0

    def process_commands(self) -> None:
        """Listen, while there is power."""
        if self.is_plugged and not self.is_deaf:
            super().process_commands()

    def start_move(self, width: float, speed: float, command_id: int, tcp_socket: socket.socket) -> None:
        """Move, when the hand was homed."""
        if self._may_start(GripperCommand.kMove, command_id, tcp_socket):
            super().start_move(width, speed, command_id, tcp_socket)

    def start_grasp(
        self,
        width: float,
        speed: float,
        force: float,
        epsilon_inner: float,
        epsilon_outer: float,
        command_id: int,
        tcp_socket: socket.socket,
    ) -> None:
        """Grasp, when the hand was homed."""
        if self._may_start(GripperCommand.kGrasp, command_id, tcp_socket):
            super().start_grasp(width, speed, force, epsilon_inner, epsilon_outer, command_id, tcp_socket)

    def stop(self, command_id: int, tcp_socket: socket.socket) -> None:
        """Abort what runs, then stop."""
        if self.aborts_on_stop and self._pending_command_id is not None:
            _answer(
                self._pending_command_type,
                self._pending_command_id,
                self._pending_tcp_socket,
                GripperCommandStatus.kAborted,
            )
        super().stop(command_id, tcp_socket)

    def _may_start(self, command: GripperCommand, command_id: int, tcp_socket: socket.socket) -> bool:
        self.commands_heard += 1
        if self._max_width > 0.0:
            return True
        _answer(command, command_id, tcp_socket, GripperCommandStatus.kFail)
        return False


def _answer(command: GripperCommand, command_id: int, tcp_socket: socket.socket, status: GripperCommandStatus) -> None:
    transport.BaseCommand.send_response(
        tcp_socket, command, command_id, status, command_type_struct="H", status_type_struct="H"
    )


def install() -> None:
    """Put this class in the place where franky-sim looks for its own, in this process."""
    robot_server.FrankaGripperServer = AbortingGripperServer
    gripper_server._SETTLE_THRESHOLD = 1e-6  # franky-sim's own calls fingers settled that move at 1 cm/s
