"""The simulator's clock: 1 kHz on absolute ticks."""

from __future__ import annotations

import time

from franky_sim.simulation_server import SimulationServer

_PERIOD_S = 1e-3
_GROUP_CYCLES = 10


class PacedLoop(SimulationServer):
    """`run_once` on absolute ticks, so that the rate does not fall below 1 kHz by what the computation takes."""

    is_paused = False
    """Cycles run only on request; a client gives up when that takes more than a second."""
    _tick_s = 0.0

    def run_group(self) -> None:
        """The cycles between two looks for faults to inject."""
        if self.is_paused:
            time.sleep(_PERIOD_S / 4)
            return
        for _ in range(_GROUP_CYCLES):
            self.run_once()

    def run_once(self, realtime: bool | float = True) -> None:
        """One millisecond; without a client nothing moves and nothing is computed."""
        for server in self.robot_servers:
            server.process_commands()
        if not any(server.tcp_connected or server.gripper_server.tcp_connected for server in self.robot_servers):
            time.sleep(5 * _PERIOD_S)
            return
        self.sim.step()
        for server in self.robot_servers:
            server.send_state()
        now_s = time.perf_counter()
        self._tick_s = max(self._tick_s + _PERIOD_S, now_s - _PERIOD_S)
        if self._tick_s > now_s:
            time.sleep(self._tick_s - now_s)
