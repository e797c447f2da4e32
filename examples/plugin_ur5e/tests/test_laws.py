"""The arm keeps the laws of every arm."""

import robotkit as rk
from robotkit.testing import ArmContract, ArmInterruptionContract


class TestUr5e(ArmContract):
    """In lock-step, so that a busy machine changes nothing."""

    def make_cell(self) -> rk.Workcell:
        return rk.make_workcell("ur5e-bench", world={"type": "fake"}, clock="lockstep")


class TestUr5eInRealTime(ArmInterruptionContract):
    """In lock-step a motion takes no time in which it could be interrupted."""

    def make_cell(self) -> rk.Workcell:
        return rk.make_workcell("ur5e-bench")
