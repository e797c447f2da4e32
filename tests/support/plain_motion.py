"""`Motion`: a joint motion of a `PlainArm`, under way until a test lets it return."""

from __future__ import annotations

import threading

from robotkit.devices import AdaptedRobot
from tests.support.recording_arm import InThread


class Motion:
    """A joint motion of the plain arm that returns when it is told to."""

    def __init__(self, arm: AdaptedRobot, *, ends_with_a_stop: bool = False) -> None:
        self.inside, self.go_on, self.arm = threading.Event(), threading.Event(), arm
        arm.inner.on["move"] = lambda: (self.inside.set(), self.go_on.wait(20.0))
        if ends_with_a_stop:
            arm.inner.on["stop"] = self.go_on.set
        self.caller = InThread(lambda: arm.move_to_joint_positions(arm.inner.joints_rad))
        assert self.inside.wait(20.0)

    def end(self) -> BaseException | None:
        self.go_on.set()
        return self.caller.join()
