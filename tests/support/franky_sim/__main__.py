"""The simulator's process: `python -m tests.support.franky_sim [--lockstep] [--table] HOST`.

It says "ready" when it listens. After that every line on its standard input is a JSON object of faults to inject,
answered by the arm's state when it has taken effect; the end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np
from franky_sim.mujoco_simulator import MujocoSimulator

from tests.support.franky_sim.loop import PacedLoop
from tests.support.franky_sim.robot import STABLE_DAMPING, add_table
from tests.support.franky_sim.server import install


def apply(loop: PacedLoop, faults: dict) -> dict:
    """Inject `faults`; returns the answer."""
    server = loop.robot_servers[0]
    if "reflex" in faults:
        server.abort(faults["reflex"])
    if "drop_packets" in faults:
        server.packets_to_drop = faults["drop_packets"]
    if "wrench_on_environment" in faults:
        server.wrench_on_environment = np.array(faults["wrench_on_environment"], dtype=float)
    if "push_n" in faults:
        server.robot.push(np.array(faults["push_n"], dtype=float), faults.get("pushed_body", "fr3_link7"))
    if "needs_manual_recovery" in faults:
        server.needs_manual_recovery = faults["needs_manual_recovery"]
    if "object_width_m" in faults:
        server.robot.object_width_m = faults["object_width_m"]
    if "hand_is_plugged" in faults:
        server.gripper_server.plug(faults["hand_is_plugged"])
    if "hand_aborts" in faults:
        server.gripper_server.aborts_on_stop = faults["hand_aborts"]
    if "hand_is_deaf" in faults:
        server.gripper_server.is_deaf = faults["hand_is_deaf"]
    if faults.get("hand_forgets_homing"):
        server.gripper_server.forget_homing()
    if "is_paused" in faults:
        loop.is_paused = faults["is_paused"]
    for sense in ("feels_contact", "feels_ranges"):
        if sense in faults:
            setattr(server.watch, sense, faults[sense])
    if faults.get("forgets_peaks"):
        server.watch.joint_speed_share_peak = 0.0
    for _ in range(faults.get("cycles", 0)):
        loop.run_once()
    return {
        "latched": server.latched,
        "success_rate": server.success_rate,
        "time_s": server.robot.data.time,
        "joint_positions_rad": server.robot.inner_state.q,
        "hand_width_m": server.robot.hand_width,
        "hand_commands": server.gripper_server.commands_heard,
        "joint_speed_share_peak": server.watch.joint_speed_share_peak,
    }


def commands() -> list[str] | None:
    """The lines that have come since the last call; None at the end of the input."""
    try:
        data = os.read(sys.stdin.fileno(), 65536)
    except BlockingIOError:
        return []
    return data.decode().splitlines() if data else None


def main(arguments: list[str]) -> None:
    install()
    os.set_blocking(sys.stdin.fileno(), False)
    with MujocoSimulator() as simulator:
        simulator.add_robot(kv=STABLE_DAMPING)
        if "--table" in arguments:
            add_table(simulator)
        with PacedLoop(simulator, hostname_candidates=[arguments[-1]]) as loop:
            server = loop.robot_servers[0]
            server.is_lockstep = "--lockstep" in arguments
            server.is_enforcing = "--lenient" not in arguments
            print("ready", flush=True)
            while (lines := commands()) is not None:
                for line in lines:
                    print(json.dumps(apply(loop, json.loads(line))), flush=True)
                loop.run_group()


if __name__ == "__main__":
    main(sys.argv[1:])
