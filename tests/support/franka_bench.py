"""An arm and a hand at franky's own boundary, without a protocol below: calls are recorded, states are set by the test.

Orders and failures that the simulator cannot be brought to show; what moves is tested against the simulator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import franky
import numpy as np

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot, link
from robotkit.drivers.franka.config import FrankaRobotConfig

STANDING_M = np.array((0.4, 0.0, 0.5))
"""Flange of the arm, which looks along the base's axes."""


class FakeArm:
    """Plays `franky.Robot`: a motion takes control, a brake ends it at once unless it `brakes_slowly`.

    A joint motion arrives at once unless it `travels_slowly`; then it goes nowhere, and has control.

    `calls` holds what it was told, in order; `troubles` what a method raises, by its name.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.troubles: dict[str, BaseException] = {}
        self.began_at_m: list[np.ndarray | None] = []
        """What each tracking motion tracked when it was started."""
        self.is_in_control = self.brakes_slowly = self.travels_slowly = self.forgets_tool = False
        self.current_control_signal_type = franky.ControlSignalType.Torques
        self.heals_after: int | None = 0
        """So many packets after a recovery still show the fault; None for one that stays."""
        self._ill_packets: int | None = None
        self.answers = threading.Event()
        """Cleared, the box answers nothing until it is set again."""
        self.answers.set()
        self.time_s = 1.0
        self.tick_s = 0.02
        """How much time passes between two packets."""
        self.jacobian = np.eye(6, 7)
        self.model = SimpleNamespace(zero_jacobian=lambda frame, state: self.jacobian)
        self.fields: dict[str, Any] = {
            "q": np.array((0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)),
            "dq": np.zeros(7),
            "NE_T_EE": franky.Affine(),
            "m_load": 0.0,
            "F_x_Cload": np.zeros(3),
            "I_load": np.zeros((3, 3)),
            "K_F_ext_hat_K": np.zeros(6),
            "robot_mode": franky.RobotMode.Idle,
            "current_errors": "[]",
            "last_motion_errors": "[]",
            "control_command_success_rate": 0.9,
        }

    @property
    def state(self) -> SimpleNamespace:
        """The next packet: the tool that the arm was told about is on it."""
        self._tell("state", None)
        self.time_s += self.tick_s
        if self._ill_packets is not None:
            self._heal()
        now_s = self.time_s
        tool = self.fields["NE_T_EE"]
        return SimpleNamespace(
            **self.fields,
            O_T_EE=franky.Affine(STANDING_M) * tool,
            F_T_EE=tool,
            time=SimpleNamespace(to_sec=lambda: now_s),
        )

    @property
    def motions(self) -> list[Any]:
        """What it was told to do."""
        return [motion for name, motion in self.calls if name == "move"]

    def told(self) -> list[str]:
        """Names of the calls but for the readings."""
        return [name for name, _ in self.calls if name != "state"]

    def break_down(self, name: str) -> None:
        """A reflex, which ends the motion that runs."""
        if self.is_in_control:
            self.troubles["poll_motion"] = franky.ControlException(f'motion aborted by reflex! ["{name}"]')
        self.is_in_control = False
        self.fields |= {"robot_mode": franky.RobotMode.Reflex, "current_errors": f'["{name}"]'}

    def move(self, motion: object, asynchronous: bool) -> None:
        assert asynchronous, "the driver's thread would wait for the end of the motion"
        self._raise_trouble("poll_motion")
        self._tell("move", motion)
        if isinstance(motion, franky.TorqueStopMotion | franky.JointStopMotion):
            self.is_in_control = self.brakes_slowly
        elif isinstance(motion, franky.JointMotion):
            self.is_in_control = self.travels_slowly
            self.current_control_signal_type = franky.ControlSignalType.JointPositions
            if not self.travels_slowly:
                self.fields["q"] = np.array(motion.target.position)
        else:
            reference = motion.get_reference()
            self.began_at_m.append(None if reference is None else reference.target.translation)
            self.is_in_control = True
            self.current_control_signal_type = franky.ControlSignalType.Torques

    def fall_silent(self) -> None:
        """No packet comes any more, and no answer; libfranka goes on to say that the motion runs."""
        self.tick_s, self.brakes_slowly = 0.0, True
        self.answers.clear()

    def stop(self) -> None:
        self._tell("stop", None)
        self.answers.wait(60.0)
        self.is_in_control = False

    def join_motion(self) -> None:
        assert not self.is_in_control, "it would wait for the end of the motion"

    def poll_motion(self) -> None:
        self._tell("poll_motion", None)

    def recover_from_errors(self) -> None:
        self._tell("recover_from_errors", None)
        self.answers.wait(60.0)
        self._ill_packets = self.heals_after

    def _heal(self) -> None:
        if self._ill_packets == 0:
            self.fields |= {"robot_mode": franky.RobotMode.Idle, "current_errors": "[]"}
            self._ill_packets = None
        else:
            self._ill_packets -= 1

    def set_collision_behavior(self, torques: object, forces: object) -> None:
        self._tell("set_collision_behavior", (torques, forces))
        self.answers.wait(60.0)

    def set_load(self, mass_kg: float, centre_m: list[float], inertia: list[float]) -> None:
        self._tell("set_load", (mass_kg, centre_m, inertia))
        inertia_kg_m2 = np.reshape(inertia, (3, 3), order="F")
        self.fields |= {"m_load": mass_kg, "F_x_Cload": np.array(centre_m), "I_load": inertia_kg_m2}

    def set_ee(self, matrix: list[float]) -> None:
        self._tell("set_ee", matrix)
        if not self.forgets_tool:
            self.fields["NE_T_EE"] = franky.Affine(np.reshape(matrix, (4, 4), order="F"))

    def _tell(self, name: str, what: object) -> None:
        self.calls.append((name, what))
        self._raise_trouble(name)

    def _raise_trouble(self, name: str) -> None:
        """What ended a motion is raised once, as in franky: to whoever polls, or starts another one, first."""
        if name in self.troubles:
            raise self.troubles.pop(name) if name == "poll_motion" else self.troubles[name]


class Bench:
    """A driver on a fake arm, and the cell's clock."""

    def __init__(self, monkeypatch: Any, **options: Any) -> None:
        self.arm = FakeArm()
        self.now_s = 100.0
        self.opened = 0

        def opened_within(deadline_s: float, make: Callable[[], Any], what: str) -> FakeArm:
            self.opened += 1
            return self.arm

        monkeypatch.setattr(link, "opened_within", opened_within)
        self.clock = rk.RealClock(now_s=lambda: self.now_s)
        self.config = FrankaRobotConfig(**{"host": "box", "target_time_constant_s": 0.0} | options)
        self.robot = FrankaRobot(self.config, rk.CellContext(name="arm", clock=self.clock))

    def new_link(self) -> link.FrankaLink:
        """A connection of its own."""
        return link.FrankaLink(self.config)


class FakeHand:
    """Plays `franky.Gripper`: each call blocks until the test lets it end, or `stop` ends it.

    `calls` holds name and arguments; `troubles` what a method raises when it ends.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.troubles: dict[str, BaseException] = {}
        self.width_m, self.width_max_m, self.is_grasped = 0.04, 0.08, False
        self.running: list[threading.Event] = []
        self.is_deaf = self.answers_late = False
        self.is_gone = self.packets_wait = False
        self.sends = threading.Event()
        """Cleared, the next packet is waited for (`packets_wait`) until it is set again."""
        self.sends.set()

    @property
    def state(self) -> SimpleNamespace:
        if self.is_gone:
            raise franky.NetworkException("UDP receive: Timeout")
        self.packets_wait = not self.sends.is_set()
        self.sends.wait(60.0)
        threading.Event().wait(0.002)
        return SimpleNamespace(width=self.width_m, max_width=self.width_max_m, is_grasped=self.is_grasped)

    def end(self) -> None:
        """Let what runs end."""
        for event in self.running:
            event.set()

    def move(self, width_m: float, speed_m_s: float) -> None:
        self._run("move", width_m, speed_m_s)

    def grasp(self, *arguments: float) -> None:
        self._run("grasp", *arguments)

    def homing(self) -> None:
        self._run("homing")

    def stop(self) -> None:
        self.calls.append(("stop",))
        if self.is_deaf:
            threading.Event().wait(60.0)
        if not self.answers_late:
            self.end()

    def _run(self, *call: Any) -> None:
        event = threading.Event()
        self.running.append(event)
        self.calls.append(call)
        event.wait(60.0)
        if call[0] in self.troubles:
            raise self.troubles[call[0]]
