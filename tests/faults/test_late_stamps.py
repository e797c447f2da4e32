"""Laws of an arm whose measurements come late: one that can never be held is refused as it is connected."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import measuring_arm
from robotkit.safety import SafeRobot, make_safe
from tests.support.recording_arm import PlainArm
from tests.support.safe_arm import FreeClock


class LateArm(PlainArm):
    """Measures every `period_s`, tells it `delay_s` later, and takes `call_s` for an answer, stamped when asked."""

    def __init__(self, clock: FreeClock, period_s: float, delay_s: float, call_s: float) -> None:
        super().__init__()
        self._clock, self._period_s, self._delay_s, self._call_s = clock, period_s, delay_s, call_s
        self.stalls_s: list[float] = []
        """Of the first answers: the process is kept from running after them."""

    def get_state(self) -> rk.RobotState:
        asked_s = self._clock.now_s() - self._delay_s
        self._clock.advance(self._call_s + (self.stalls_s.pop() if self.stalls_s else 0.0))
        stamp_s = np.floor(asked_s / self._period_s) * self._period_s
        return super().get_state().model_copy(update={"stamp_s": float(stamp_s)})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FreeClock:
    """Of the cell, and of whatever waits for a measurement."""
    clock = FreeClock()
    monkeypatch.setattr(measuring_arm, "time", SimpleNamespace(monotonic=clock.now_s, sleep=clock.advance))
    return clock


def cell_of(arm: LateArm, clock: FreeClock) -> SafeRobot:
    object.__setattr__(arm.context, "clock", clock)
    return make_safe(arm, rk.SafetyLimits(state_max_age_s=0.3), clock)


PHASES_S = np.arange(100.0, 100.2, 0.013)


@pytest.mark.parametrize(("period_s", "delay_s", "call_s"), [
    (0.001, 0.0, 0.0), (0.1, 0.0, 0.0), (0.1, 0.02, 0.0), (0.125, 0.0, 0.0), (0.01, 0.039, 0.0), (0.01, 0.0, 0.039),
])  # fmt: skip
@pytest.mark.parametrize("stalls_s", [[], [0.2], [1.0]], ids=["runs", "late", "very late"])
def test_b6_an_arm_that_can_be_held_is_connected_whenever_and_on_a_busy_machine(
    clock, period_s, delay_s, call_s, stalls_s
):
    for phase_s in PHASES_S:
        clock.advance(phase_s)
        arm = LateArm(clock, period_s, delay_s, call_s)
        arm.stalls_s = list(stalls_s)
        robot = cell_of(arm, clock)
        robot.connect()
        assert robot.machine.mode == "holding"
        robot.disconnect()


@pytest.mark.parametrize(("delay_s", "call_s"), [(0.06, 0.0), (0.0, 0.06), (0.03, 0.03)])
def test_b6_an_arm_whose_measurements_are_always_too_old_to_hold_it_is_refused_as_it_is_connected(
    clock, delay_s, call_s
):
    """Its cell allows 0.3 s; it would be stopped by each hold, and each joint motion would end in a fault."""
    for phase_s in PHASES_S:
        clock.advance(phase_s)
        arm = LateArm(clock, 0.01, delay_s, call_s)
        robot = cell_of(arm, clock)
        with pytest.raises(rk.StaleState, match=r"cannot be held where it was measured 0\.0\d+ s ago; at most 0\.05 s"):
            robot.connect()
        assert not robot.is_connected
        assert arm.calls[-1] == "disconnect"
        assert not {"send", "move"} & set(arm.calls)
