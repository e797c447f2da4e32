"""Laws of what ends a program inside a call of a driver, in the main thread: no arm is left that moves unwatched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

import robotkit as rk
from robotkit.safety import SafeRobot, make_safe
from robotkit.safety import watch as watch_module
from robotkit.safety.watch import Watch
from tests.support.recording_arm import PlainArm, RecordingArm
from tests.support.safe_arm import FreeClock
from tests.support.waiting import wait_until
from tests.support.watched_arm import pose_command, watch_once

BEGINS = {"follow", "send", "travel", "move"}
ENDS = {"hold", "halt", "stop", "start"}
BODY = ("open", "close", "measure", "follow", "hold", "halt", "start", "travel", "clear", "compliance")
PLAIN = (
    "connect", "disconnect", "get_state", "check", "send", "hold", "stop", "move", "recover", "set_compliance",
    "forget_target",
)  # fmt: skip
CALLS: dict[str, Callable[[SafeRobot], object]] = {
    "connect": lambda arm: arm.connect(),
    "disconnect": lambda arm: arm.disconnect(),
    "get_state": lambda arm: arm.get_state(),
    "send": lambda arm: arm.send(pose_command(0.01)),
    "hold": lambda arm: arm.hold(),
    "stop": lambda arm: arm.stop(),
    "recover": lambda arm: arm.recover(),
    "joint motion": lambda arm: arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad),
    "set_compliance": lambda arm: arm.set_compliance(rk.ComplianceParams()),
    "forget_target": lambda arm: arm.forget_target(),
}
STARTS: dict[str, Callable[[SafeRobot], object]] = {
    "holding": lambda arm: None,
    "tracking": lambda arm: arm.send(pose_command()),
    "stopped": lambda arm: (arm.send(pose_command()), arm.stop()),
    "disconnected": lambda arm: (arm.send(pose_command()), arm.disconnect()),
}


@dataclass
class Rig:
    """An arm that moves from when it is given a target until it has been told to stand, and says whether it does."""

    arm: SafeRobot
    device: RecordingArm | PlainArm
    clock: FreeClock
    moves: bool = False
    was_closed_moving: bool = False
    trouble: tuple[str, BaseException] | None = None

    def __post_init__(self) -> None:
        for name in (*BODY, *PLAIN):
            self.device.on[name] = lambda name=name: self._called(name)

    def _called(self, name: str) -> None:
        fails = self.trouble is not None and self.trouble[0] == name
        if name in BEGINS:
            self.moves = True  # also where it raises: the answer may have been lost, and not the target
        elif name in ENDS and not fails:
            self.moves = False
        elif name in ("close", "disconnect") and self.moves:
            self.was_closed_moving = True
        if self.trouble is not None and fails:
            error, self.trouble = self.trouble[1], None  # once: a program ends once
            raise error

    def watch(self) -> None:
        """Let the watch go round for a second."""
        for _ in range(10):
            self.clock.advance(0.1)
            watch_once(self.arm)


def rig(kind: str) -> Rig:
    clock = FreeClock()
    device = RecordingArm() if kind == "body" else PlainArm()
    object.__setattr__(device.context, "clock", clock)
    arm = make_safe(device, rk.SafetyLimits(watchdog_s=0.2, state_max_age_s=0.1), clock)
    arm._watch = None  # it goes round when it is told to
    made = Rig(arm, device, clock)
    arm.connect()
    return made


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("kind", "where"), [*(("body", at) for at in BODY), *(("plain", at) for at in PLAIN)])
def test_b6_what_ends_the_program_inside_a_driver_leaves_no_arm_that_moves_unwatched(kind, where, call, start):
    """X18: whatever comes out of the call, the watch brings the arm to rest, and "holding" is said of one that does."""
    assert threading.current_thread() is threading.main_thread()
    made = rig(kind)
    STARTS[start](made.arm)
    made.trouble = where, SystemExit(1)
    with suppress(SystemExit, rk.RobotkitError):
        CALLS[call](made.arm)
    made.trouble = None
    machine = made.arm.machine
    assert not (made.moves and machine.is_connected and machine.mode == "holding")
    made.watch()
    wait_until(lambda: not machine.is_connected or not made.arm.inner._halts.is_owed)
    assert not made.moves
    assert not made.was_closed_moving


def interrupted(_: object = None, __: object = None) -> None:
    raise KeyboardInterrupt


def watched_by_threads() -> Rig:
    made = rig("body")
    made.arm.disconnect()
    made.arm._watch = Watch({"robotkit-monitor": lambda: None}, None)
    made.arm.connect()
    made.arm.send(pose_command())
    return made


def test_b6_ctrl_c_while_the_watch_comes_to_its_end_keeps_no_arm_from_being_disconnected(monkeypatch):
    made = watched_by_threads()
    joins = iter([interrupted])
    monkeypatch.setattr(watch_module, "_join", lambda *_: next(joins, lambda: None)())
    with pytest.raises(KeyboardInterrupt):
        made.arm.disconnect()
    assert not made.arm.is_connected
    assert not made.moves


def test_b6_an_arm_whose_disconnection_is_interrupted_before_it_begins_is_watched_on(monkeypatch):
    made = watched_by_threads()
    with monkeypatch.context() as patched:
        patched.setattr(made.arm.machine, "hurried", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.arm.disconnect()
    assert made.arm.is_connected
    rounds = made.arm._watch.rounds
    wait_until(lambda: made.arm._watch.rounds > rounds)
    made.arm.disconnect()
    assert not made.moves
