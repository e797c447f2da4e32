"""Laws of commands that take their time: a client that sends all the time is not silent, and a driver that hangs is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from robotkit.safety import watchdog as watchdog_module
from tests.support.watched_arm import pose_command, watched


class Waiting:
    """A hold whose turn does not come; while it is waited for, `meanwhile` is done and no time passes."""

    has_held, trouble = False, "its driver has been busy"

    def __init__(self):
        self.waits_s = []
        self.is_over = SimpleNamespace(is_set=lambda: False, wait=self._wait)

    def meanwhile(self):
        """Nothing, unless a test says more."""

    def _wait(self, wait_s):
        self.waits_s.append(wait_s)
        self.meanwhile()


@pytest.fixture
def begun(monkeypatch):
    """The holds that a watchdog begins, in place of those that it would."""
    holds = []
    monkeypatch.setattr(watchdog_module.Watchdog, "_begun_hold", lambda _: holds.append(Waiting()) or holds[-1])
    return holds


@pytest.mark.parametrize("watchdog_s", [0.05, 0.2, 1.0])
def test_commands_that_keep_a_hold_waiting_are_no_silence_until_they_cease(monkeypatch, begun, watchdog_s):
    """Each send takes longer than half of `watchdog_s`, and the next has the lock before the hold gets it."""
    arm, body, clock = watched(watchdog_s=watchdog_s)
    arm.send(pose_command())
    monkeypatch.setattr(Waiting, "meanwhile", lambda _: arm.send(pose_command()))
    for rounds in range(2, 7):
        clock.advance(1.1 * watchdog_s)
        arm._watchdog.look()
        assert body.calls == ["follow"] * rounds
        assert body.machine.mode == "tracking"
    assert len(begun) == 1, "no second thread beside one that waits"
    monkeypatch.setattr(Waiting, "meanwhile", lambda _: None)
    arm._watchdog.look()
    assert body.machine.stop is None, "the last command was told just now"
    clock.advance(1.1 * watchdog_s)
    arm._watchdog.look()
    assert body.calls[-1] == "halt"
    assert "did not hold when its client fell silent" in body.machine.stop.cause
    arm.recover()
    arm.send(pose_command())
    clock.advance(1.1 * watchdog_s)
    arm._watchdog.look()
    assert len(begun) == 2, "a hold of before a recovery counts no more"


@pytest.mark.parametrize(("taken_s", "missed_s", "wait_s"), [
    (-9.0, 0.0, 0.2), (-0.15, 0.0, 0.2), (-9.0, -0.15, 0.05), (-9.0, -0.21, -0.01), (-0.05, -0.3, 0.15),
])  # fmt: skip
def test_a_hold_has_its_time_from_the_last_command_or_from_when_it_was_missed(
    monkeypatch, begun, taken_s, missed_s, wait_s
):
    """What the promise rests on that an arm is stopped 0.25 s later; times count from the look."""
    arm, body, clock = watched()
    monkeypatch.setattr(watchdog_module, "time", SimpleNamespace(monotonic=clock.now_s))
    arm.send(pose_command())
    clock.advance(9.0)
    arm._watchdog._taken_s, arm._watchdog._silent_s = clock.now_s() + taken_s, clock.now_s() + missed_s
    arm._watchdog.look()
    assert begun[0].waits_s == pytest.approx([wait_s])
    assert body.calls[-1] == "halt"


def test_a_silence_that_ended_says_nothing_of_the_next():
    arm, body, clock = watched()
    arm.send(pose_command())
    arm._watchdog._silent_s = -9.0
    arm._watchdog.look()
    clock.advance(0.21)
    arm._watchdog.look()
    assert body.calls == ["follow", "hold"]
    assert body.machine.stop is None


def test_each_silence_gives_a_hold_the_same_time_however_long_after_the_last_command_it_is_noticed(monkeypatch, begun):
    now_s = 0.0
    monkeypatch.setattr(watchdog_module, "time", SimpleNamespace(monotonic=lambda: now_s))
    arm, _, clock = watched()

    def hold(waiting: Waiting) -> None:
        arm.hold()
        waiting.has_held, waiting.is_over.is_set = True, lambda: True

    monkeypatch.setattr(Waiting, "meanwhile", hold)
    for _ in range(3):
        arm.send(pose_command())
        clock.advance(0.3)
        now_s += 5.0
        arm._watchdog.look()
        arm._watchdog.look()
        assert arm.machine.mode == "holding"
    assert [holding.waits_s for holding in begun] == [[pytest.approx(watchdog_module._HOLD_S)]] * 3
