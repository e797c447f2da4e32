"""A fake arm behind the safety layer, with a clock advanced by hand, and small motions of it."""

from __future__ import annotations

import numpy as np

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.safety import make_safe
from robotkit.spatial import integrate_delta


class Recorder(FakeRobot):
    """A fake arm that remembers what reached its device."""

    def __init__(self, *args):
        super().__init__(*args)
        self.sent: list[rk.RobotCommand] = []
        self.holds = 0
        self.halts = 0

    def _follow(self, command):
        accepted = super()._follow(command)
        self.sent.append(command)
        return accepted

    def _hold(self):
        super()._hold()
        self.holds += 1

    def _start(self):
        FakeRobot._hold(self)

    def _halt(self):
        super()._halt()
        self.halts += 1


class FreeClock(ManualClock):
    """Advanced by hand, but it claims to run by itself."""

    @property
    def is_lockstep(self):
        return False


def safe_arm(limits, clock=None, **options):
    clock = clock or ManualClock()
    body = Recorder(FakeRobot.Config(**options), CellContext(clock=clock))
    arm = make_safe(body, limits, clock)
    arm.connect()
    return arm, body, clock


def shifted(arm, dx=0.0, turn=0.0):
    pose = arm.get_state().tcp_pose_in_base
    return rk.PoseCommand(tcp_pose_in_base=integrate_delta(pose, np.array([dx, 0, 0]), np.array([0, 0, turn])))
