"""Laws of every body: it is held, and its control begins, where it was measured just now; else it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext, Measurement, StatefulRobotServer, measuring_arm
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.safety import make_safe
from tests.support.franka_bench import Bench
from tests.support.recording_arm import Broken, PlainArm, RecordingArm, fail_with, joint_command
from tests.support.safe_arm import FreeClock, shifted
from tests.support.watched_arm import pose_command

Change = Callable[[Measurement], Measurement]


@dataclass
class Body:
    """An arm whose measurements are changed, and which writes down what it was told."""

    robot: StatefulRobotServer
    told: list[str] = field(default_factory=list)
    change: Change = lambda measured: measured

    def __post_init__(self) -> None:
        robot, measure = self.robot, self.robot._measure
        robot._measure = lambda: self.change(measure())
        for name in ("_hold", "_halt", "_start"):
            setattr(robot, name, self._telling(name, getattr(robot, name)))

    def _telling(self, name: str, call: Callable[[], None]) -> Callable[[], None]:
        def tell() -> None:
            self.told.append(name)
            call()

        return tell


def recording(_: pytest.MonkeyPatch) -> Body:
    return Body(RecordingArm())


def fake(_: pytest.MonkeyPatch) -> Body:
    return Body(FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock())))


def plain(_: pytest.MonkeyPatch) -> Body:
    return Body(AdaptedRobot(PlainArm()))


def franka(monkeypatch: pytest.MonkeyPatch) -> Body:
    return Body(Bench(monkeypatch).robot)


BODIES = {"recording": recording, "fake": fake, "plain": plain, "franka": franka}


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Body:
    monkeypatch.setattr(measuring_arm, "_FRESH_S", 0.0)
    monkeypatch.setattr(measuring_arm, "_POLL_PERIOD_S", 0.0)
    return BODIES[request.param](monkeypatch)


def aged(age_s: float) -> Change:
    return lambda measured: measured._replace(stamp_s=measured.stamp_s - age_s)


def failing(error: BaseException) -> Change:
    return lambda _: fail_with(error)()


TROUBLES: dict[str, tuple[Change, type[BaseException]]] = {
    "old": (aged(0.051), rk.StaleState),
    "in the future": (aged(-0.051), rk.StaleState),
    "a fault": (failing(rk.DeviceFault("no encoder")), rk.DeviceFault),
    "silent": (failing(rk.StaleState("no packets")), rk.StaleState),
    "its driver's own error": (failing(Broken("no")), rk.DeviceFault),
    "no number": (lambda measured: measured._replace(tcp_pose_in_base=np.full(7, np.nan)), rk.DeviceFault),
}
HOLDS: dict[str, Callable[[StatefulRobotServer], object]] = {
    "a hold": lambda arm: arm.hold(),
    "the end of a joint motion": lambda arm: arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad),
    "a reset of the world": lambda arm: arm.forget_target(),
}


def falls_silent(body: Body, hold: str, change: Change) -> None:
    """From here on, or from the end of its joint motion on."""
    travel = body.robot._travel

    def change_it(*args: object) -> None:
        if args:
            travel(*args)
        body.change = change

    body.robot._travel = change_it
    if hold != "the end of a joint motion":
        change_it()


def moving(body: Body) -> StatefulRobotServer:
    arm = body.robot
    arm.connect()
    arm.send(joint_command(arm) if "joint" in arm.spec.command_kinds else pose_command())
    body.told.clear()
    return arm


@pytest.mark.parametrize(("change", "error"), TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("hold", HOLDS)
def test_b6_an_arm_that_is_not_measured_just_now_is_stopped_and_held_at_no_old_place(body, hold, change, error):
    arm = moving(body)
    falls_silent(body, hold, change)
    with pytest.raises(error):
        HOLDS[hold](arm)
    assert "_hold" not in body.told
    assert "_halt" in body.told
    assert arm.machine.mode == "stopped"
    assert "could not be held" in arm.machine.stop.cause
    body.change = lambda measured: measured
    arm.recover()
    assert arm.machine.mode == "holding"


@pytest.mark.parametrize("hold", HOLDS)
def test_b6_an_arm_that_was_measured_50_ms_ago_is_held(body, hold):
    arm = moving(body)
    falls_silent(body, hold, aged(0.05))
    HOLDS[hold](arm)
    assert arm.machine.mode == "holding"


@pytest.mark.parametrize(("change", "error"), TROUBLES.values(), ids=TROUBLES)
def test_b6_control_begins_where_the_arm_is_measured_just_now_or_not_at_all(body, change, error):
    arm = body.robot
    body.change = change
    with pytest.raises(error):
        arm.connect()
    assert not arm.is_connected
    body.change = lambda measured: measured
    arm.connect()
    arm.stop()
    body.told.clear()
    body.change = change
    with pytest.raises(error):
        arm.recover()
    assert "_start" not in body.told
    assert arm.machine.mode == "stopped"


def test_an_interrupted_hold_leaves_an_arm_that_tracks_to_its_watchdog(body):
    arm = moving(body)
    body.change = failing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        arm.hold()
    assert arm.machine.mode == "tracking"


@pytest.mark.parametrize("late", range(3))
def test_p3_a_process_that_is_kept_from_running_holds_after_a_fresh_try(monkeypatch, late):
    """However long each of the first tries takes, another one is made."""
    clock, seconds = FreeClock(), iter(range(100))
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=clock))
    arm.connect()
    monkeypatch.setattr(measuring_arm.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(measuring_arm, "_POLL_PERIOD_S", 0.0)
    tries, measure = iter(range(100)), arm._measure

    def measure_late() -> Measurement:
        measured = measure()
        if next(tries) < late:
            clock.advance(0.2)
        return measured

    arm._measure = measure_late
    arm.hold()
    assert arm.machine.mode == "holding"


def test_in_lock_step_no_time_passes_and_a_silent_arm_is_held_until_some_does():
    arm = make_safe(FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock())), rk.SafetyLimits(), ManualClock())
    body = arm.inner
    arm.connect()
    arm.send(shifted(arm, 0.01))
    body.inject_silence(True)
    arm.hold()
    assert arm.machine.mode == "holding"
    body.context.clock.advance(0.06)
    with pytest.raises(rk.StaleState):
        arm.hold()
    assert arm.machine.mode == "stopped"


@pytest.mark.parametrize(("limit_s", "held_age_s"), [(None, 0.05), (0.03, 0.03), (0.5, 0.05)])
def test_the_age_is_that_of_the_cells_limits(limit_s, held_age_s):
    for arm in (FakeRobot(FakeRobot.Config(), CellContext()), PlainArm()):
        robot = make_safe(arm, rk.SafetyLimits(state_max_age_s=limit_s), FreeClock())
        assert robot.inner.held_age_s == held_age_s


@pytest.mark.parametrize("is_silent", [False, True])
def test_b6_a_franka_arm_is_held_at_no_packet_that_came_after_a_pause(monkeypatch, is_silent):
    """The first packet that is seen after a pause may have come at its beginning, whatever its stamp says."""
    bench = Bench(monkeypatch)
    bench.robot.connect()
    bench.robot.send(pose_command())
    bench.now_s += 1.0
    if is_silent:
        bench.arm.state  # noqa: B018 - a packet came since, which nobody has looked at
        bench.arm.tick_s = 0.0
        with pytest.raises(rk.StaleState):
            bench.robot.hold()
    else:
        bench.robot.hold()
    assert bench.robot.machine.mode == ("stopped" if is_silent else "holding")
