"""A `RecordingArm` inside the safety layer, whose watch goes round when a test says so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import robotkit as rk
from robotkit.devices import Measurement
from robotkit.drivers.fake import ManualClock
from robotkit.safety import SafeRobot, make_safe
from robotkit.spatial import integrate_delta
from tests.support.recording_arm import RecordingArm
from tests.support.safe_arm import FreeClock

BOX = rk.WorkspaceBox(position_min_m=(0.3, -0.2, 0.1), position_max_m=(0.7, 0.2, 0.5))
NO_KINEMATICS = {"kinematics": None, "command_kinds": ("pose",)}
"""Of an arm whose tool a test puts elsewhere than its joints."""
POSE = np.array((0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0))


def pose_command(dx=0.0, turn=0.0, pose=POSE) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=integrate_delta(pose, np.array((dx, 0, 0)), np.array((0, 0, turn))))


def build(clock: ManualClock, spec: dict[str, object] | None = None, **limits) -> tuple[SafeRobot, RecordingArm]:
    """A connected arm whose watch goes round when the test says so."""
    body = RecordingArm(**spec or {})
    object.__setattr__(body.context, "clock", clock)
    arm = make_safe(body, rk.SafetyLimits(**limits), clock)
    arm._watch = None
    arm.connect()
    body.calls.clear()
    return arm, body


def watched(spec: dict[str, object] | None = None, **limits) -> tuple[SafeRobot, RecordingArm, FreeClock]:
    clock = FreeClock()
    return *build(clock, spec, **{"watchdog_s": 0.2, **limits}), clock


def watch_once(arm: SafeRobot) -> None:
    """A round of each thread of the watch, in this one."""
    arm._measure_once()
    arm._watchdog.look()


def kinds(arm: SafeRobot) -> list[str]:
    heard: list[str] = []
    arm.subscribe(lambda event: heard.append(event.kind))
    return heard


def moved(body: RecordingArm, dx: float) -> Callable[[], Measurement]:
    """`_measure` of an arm whose tool is `dx` from where it was, along x."""

    def measure_there() -> Measurement:
        return RecordingArm._measure(body)._replace(tcp_pose_in_base=pose_command(dx).tcp_pose_in_base)

    return measure_there
