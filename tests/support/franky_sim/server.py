"""The arm's side of libfranka's protocol: franky-sim's, with reflexes, recovery and communication constraints."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import franky_sim.franka_robot_protocol as protocol
import franky_sim.franka_server as transport
import franky_sim.mujoco_simulator as mujoco_simulator
import franky_sim.simulation_server as simulation_server
import numpy as np
from franky_sim.franka_robot_server import FrankaRobotServer
from franky_sim.franka_robot_state import FrankaRobotState

from tests.support.franky_sim import commands, hand
from tests.support.franky_sim.limits import Watch
from tests.support.franky_sim.robot import ContactRobot

ERROR_INDEX = {
    "joint_position_limits_violation": 0,
    "joint_velocity_violation": 3,
    "cartesian_velocity_violation": 4,
    "joint_reflex": 6,
    "cartesian_reflex": 7,
    "communication_constraints_violation": 25,
    "power_limit_violation": 26,
    "controller_torque_discontinuity": 32,
}
"""Places in the protocol's 41 error flags."""

_LOST_CYCLES_MAX = 20
_HISTORY_CYCLES = 100
_PATIENCE_S = 0.05
"""How long a cycle of the lock-step waits before it counts as lost; 20 of them are a fault."""
_TORQUE_STEP_MAX_NM = 5.0
"""The controller's limit is 1 Nm in 1 ms; this leaves room for cycles that the simulator itself missed."""


class ReflexServer(FrankaRobotServer):
    """A robot that latches errors, counts lost packets and reports what it touches."""

    def __init__(self, *arguments: Any) -> None:
        self.is_lockstep = False
        self.is_enforcing = True
        self.packets_to_drop = 0
        self.wrench_on_environment = np.zeros(6)
        self.latched: str | None = None
        self.needs_manual_recovery = False
        self.is_answered = False
        self.watch = Watch()
        self._served: list[bool] = []
        self._lost = 0
        self._torques: np.ndarray | None = None
        super().__init__(*arguments)

    def abort(self, error: str) -> None:
        """End the motion as the controller does on `error`, and refuse others until recovery."""
        self.latched, self.packets_to_drop = error, 0
        motion_id = self.current_motion_id
        self.stop_motion(send_preemption_signal=False)
        self.reset_current_motion_id()
        if motion_id:
            transport.BaseCommand.send_response(
                self._tcp_socket, protocol.RobotCommand.kMove, motion_id, protocol.MoveStatus.kReflexAborted
            )

    def start_motion(self, *arguments: Any) -> None:
        """Start to count afresh."""
        self._served, self._lost, self._torques = [], 0, None
        super().start_motion(*arguments)

    @property
    def takes_settings(self) -> bool:
        """True while the control box takes a tool or a load: the arm stands, and nothing is latched."""
        return self.latched is None and not self.current_motion_id

    @property
    def has_spoken(self) -> bool:
        """True once the client has sent the motion's first command."""
        return bool(self._served)

    @property
    def success_rate(self) -> float:
        """Share of the last cycles in which a command came; 0 without a motion."""
        return float(np.mean(self._served)) if self._served and self.current_motion_id else 0.0

    @property
    def robot_state(self) -> FrankaRobotState:
        """franky-sim's state with errors, success rate and external wrench."""
        state = super().robot_state
        pose = np.reshape(state.O_T_EE, (4, 4), order="F")
        wrench = -self._wrench_on_tool(pose[:3, 3])
        flags = [False] * 41
        if self.latched is not None:
            flags[ERROR_INDEX[self.latched]] = True
        return state.replace(
            control_command_success_rate=self.success_rate,
            O_F_ext_hat_K=tuple(wrench),
            K_F_ext_hat_K=tuple(np.concatenate((pose[:3, :3].T @ wrench[:3], pose[:3, :3].T @ wrench[3:]))),
            tau_ext_hat_filtered=(0.0,) * 7,
            errors=tuple(flags),
            reflex_reason=tuple(flags),
            robot_mode=state.robot_mode if self.latched is None else protocol.RobotMode.kReflex,
        )

    def _wrench_on_tool(self, tcp_position_m: np.ndarray) -> np.ndarray:
        return self.robot.wrench_on_tool_in_base(tcp_position_m) - self.wrench_on_environment

    def _watch(self) -> None:
        """Latch what the arm does outside its limits while a motion runs."""
        state = self.robot.inner_state
        position_m, jacobian = self.robot.tool_in_base(np.array(state.q))
        error = self.watch.violation(state, jacobian, self._wrench_on_tool(position_m))
        if error is not None and self.current_motion_id:
            self.abort(error)

    def _pre_process_commands(self) -> None:
        super()._pre_process_commands()
        self.is_answered = False

    def _process_udp_commands(self) -> bool:
        """In lock-step, wait for the answer to the last state; franky-sim only looks whether one is there."""
        is_connected = super()._process_udp_commands()
        deadline_s = time.perf_counter() + _PATIENCE_S
        while self.is_lockstep and self.has_spoken and self.current_motion_id and not self.is_answered:
            if time.perf_counter() > deadline_s:
                break
            time.sleep(2e-5)
            super()._process_udp_commands()
        return is_connected

    def _handle_udp_command(self, data: bytes) -> None:
        if self.packets_to_drop > 0:
            self.packets_to_drop -= 1
            return
        self.is_answered = True
        super()._handle_udp_command(data)
        self._check_torques(protocol.UDPCommand.from_bytes(data))

    def _check_torques(self, command: protocol.UDPCommand) -> None:
        torques = np.array(command.tau_J_d)
        previous, self._torques = self._torques, torques
        if previous is not None and self.current_motion_id and np.abs(torques - previous).max() > _TORQUE_STEP_MAX_NM:
            self.abort("controller_torque_discontinuity")

    def _post_process_commands(self) -> None:
        if self.current_motion_id and (self.is_answered or self.has_spoken):
            self._served = [*self._served[1 - _HISTORY_CYCLES :], self.is_answered]
            self._lost = 0 if self.is_answered else self._lost + 1
            if self.is_enforcing and self._lost >= _LOST_CYCLES_MAX:
                self.abort("communication_constraints_violation")
        self._watch()
        super()._post_process_commands()

    def _reset_state(self) -> None:
        super()._reset_state()
        self._served, self._lost = [], 0


class _LoopbackSocket(socket.socket):
    """Binds to loopback what would listen on every interface."""

    def bind(self, address: tuple[str, int]) -> None:
        super().bind(("127.0.0.1" if address[0] in ("", "0.0.0.0") else address[0], address[1]))


def install() -> None:
    """Put these classes in the places where franky-sim looks for its own, in this process."""
    transport.socket = SimpleNamespace(**{**vars(socket), "socket": _LoopbackSocket})
    commands.install()
    hand.install()
    simulation_server.FrankaRobotServer = ReflexServer
    mujoco_simulator.FrankaMujocoRobot = ContactRobot
