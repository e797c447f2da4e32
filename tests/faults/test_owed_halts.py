"""Laws of a halt that the device has not taken: it is owed, told, and repeated by one thread until it is taken."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, StatefulRobotServer
from robotkit.safety import make_safe
from tests.support.franka_bench import Bench
from tests.support.recording_arm import Broken, InThread, PlainArm, RecordingArm, fail_with, joint_command
from tests.support.safe_arm import FreeClock
from tests.support.waiting import wait_until

ERRORS = [rk.DeviceFault("busy"), OSError("temporarily unavailable"), rk.RemoteTimeout("no answer"), Broken("raw")]


class Body:
    """A connected arm, how often its device was told to halt, and what its device does about that."""

    def __init__(self, robot: StatefulRobotServer, told: Callable[[], int], do: Callable[[Callable[[], object]], None]):
        self.robot, self.told, self.do = robot, told, do
        robot.connect()
        robot.get_state()

    def hear(self) -> None:
        self.do(lambda: None)

    def is_owed(self) -> bool:
        return self.robot.get_state().is_halt_owed


def recording(_: pytest.MonkeyPatch) -> Body:
    arm = RecordingArm()
    return Body(arm, lambda: arm.calls.count("halt"), lambda act: arm.on.update(halt=act))


def plain(_: pytest.MonkeyPatch) -> Body:
    inner = PlainArm()
    return Body(AdaptedRobot(inner), lambda: inner.calls.count("stop"), lambda act: inner.on.update(stop=act))


def franka(monkeypatch: pytest.MonkeyPatch) -> Body:
    bench, told, acts = Bench(monkeypatch), [], [lambda: None]

    def brake() -> None:
        told.append("brake")
        acts[-1]()
        original()

    body = Body(bench.robot, lambda: len(told), acts.append)
    original = bench.robot._link.brake
    monkeypatch.setattr(bench.robot._link, "brake", brake)
    return body


BODIES = {"recording": recording, "plain": plain, "franka": franka}
STOPS: dict[str, Callable[[StatefulRobotServer], None]] = {
    "stop": lambda arm: arm.stop(),
    "fault": lambda arm: arm._latch(arm.machine.fault_of(("torn",))),
}


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Body:
    made = BODIES[request.param](monkeypatch)
    made.robot._may_track = True  # of a plain arm, which is told nothing in a fault when it stands
    return made


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("by", STOPS)
def test_a2_a_halt_that_the_device_does_not_take_is_repeated_until_it_does(body, by, error):
    body.do(fail_with(error))
    try:
        STOPS[by](body.robot)
    except type(error):
        assert by == "stop", "a fault is told, and not that its halt failed"
    assert body.is_owed()
    wait_until(lambda: body.told() >= 3)
    assert body.is_owed()
    body.hear()
    wait_until(lambda: not body.is_owed())
    assert body.robot.machine.mode == ("stopped" if by == "stop" else "fault")
    wait_until(lambda: not body.robot._halts._has_thread)
    told = body.told()
    body.robot.recover()
    assert body.told() == told
    assert body.robot.machine.mode == "holding"


def test_a_halt_that_is_taken_at_once_is_told_once_and_starts_no_thread(body):
    body.robot.stop()
    assert (body.told(), body.is_owed(), body.robot._halts._has_thread) == (1, False, False)


def test_any_number_of_stops_takes_one_thread(body):
    threads = []

    def note_and_fail() -> None:
        threads.append(threading.get_ident())
        raise OSError("busy")

    body.do(note_and_fail)
    for _ in range(100):
        with pytest.raises(OSError, match="busy"):
            body.robot.stop()
    count = len(threads)
    wait_until(lambda: len(threads) >= count + 5)
    assert len(set(threads)) == 2, "that of the stops, and one"
    body.hear()
    wait_until(lambda: not body.is_owed())


def test_a_halt_that_is_owed_is_logged_once(body, caplog):
    body.do(fail_with(OSError("busy")))
    with pytest.raises(OSError, match="busy"):
        body.robot.stop()
    wait_until(lambda: body.told() >= 4)
    assert caplog.text.count("did not take a halt") == 1
    body.hear()
    wait_until(lambda: not body.is_owed())
    wait_until(lambda: "no halt of arm" in caplog.text)


@pytest.mark.parametrize(
    ("body", "end"),
    [("recording", "recover"), ("plain", "recover"), *[(name, "disconnect") for name in BODIES]],
    indirect=["body"],
)
def test_what_makes_the_arm_hold_or_closes_it_ends_what_was_owed(body, end):
    body.do(fail_with(OSError("busy")))
    with pytest.raises(OSError, match="busy"):
        body.robot.stop()
    if end == "disconnect":
        body.hear()
    getattr(body.robot, end)()
    told = body.told()
    assert not body.robot._halts.is_owed
    wait_until(lambda: not body.robot._halts._has_thread)
    assert body.told() == told


def test_a_recovery_that_fails_leaves_the_halt_owed_and_it_is_repeated_on():
    arm = RecordingArm()
    body = Body(arm, lambda: arm.calls.count("halt"), lambda act: arm.on.update(halt=act))
    body.do(fail_with(OSError("busy")))
    with pytest.raises(OSError, match="busy"):
        arm.stop()
    arm.on["start"] = fail_with(rk.DeviceFault("does not start"))
    with pytest.raises(OSError, match="busy"):
        arm.recover()
    assert arm.get_state().is_halt_owed
    told = body.told()
    wait_until(lambda: body.told() >= told + 2)
    body.hear()
    wait_until(lambda: not body.is_owed())
    assert arm.calls[-1] == "halt"


def test_a_plain_arm_is_not_told_a_halt_from_before_its_recovery_while_and_after_it_recovers(monkeypatch):
    """Its own recovery lets it hold: a stop in it, or after it, would be latched in the arm alone."""
    monkeypatch.setattr("robotkit.devices.halts.REPEAT_S", 0.001)
    inner = PlainArm()
    body = Body(AdaptedRobot(inner), lambda: inner.calls.count("stop"), lambda act: inner.on.update(stop=act))
    body.do(fail_with(OSError("busy")))
    with pytest.raises(OSError, match="busy"):
        body.robot.stop()
    wait_until(lambda: body.told() >= 3)
    counts = []

    def recover() -> None:
        counts.append(body.told())
        threading.Event().wait(0.02)
        counts.append(body.told())

    inner.on["recover"] = recover
    body.robot.recover()
    assert counts[0] == counts[1] == body.told()
    assert inner.calls[-1] == "recover"


def test_a_recovery_from_a_halt_that_hangs_at_the_device_is_refused(monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts._PAUSE_S", 0.0)
    arm = RecordingArm()
    arm.connect()
    hangs, go_on = threading.Event(), threading.Event()
    arm.on["halt"] = fail_with(OSError("busy"))
    with pytest.raises(OSError, match="busy"):
        arm.stop()
    arm.on["halt"] = lambda: (hangs.set(), go_on.wait(20.0))
    assert hangs.wait(20.0)
    recovery = InThread(arm.recover)
    wait_until(lambda: arm.calls.count("clear") == 1)
    assert arm.machine.mode == "stopped"
    error = recovery.join()
    assert isinstance(error, rk.DeviceFault)
    assert "told to halt" in str(error)
    go_on.set()
    wait_until(lambda: not arm._halts.is_owed)
    arm.recover()
    assert arm.machine.mode == "holding"


def test_the_watch_has_a_halt_repeated_that_hangs_at_the_device(monkeypatch):
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)
    monkeypatch.setattr("robotkit.devices.halts.OVERDUE_S", 0.0)
    arm = RecordingArm()
    safe = make_safe(arm, rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    arm.connect()
    hangs, go_on = threading.Event(), threading.Event()
    arm.on["halt"] = lambda: (arm.on.clear(), hangs.set(), go_on.wait(20.0))
    stopper = InThread(arm.stop)
    assert hangs.wait(20.0)
    assert arm._halts.is_owed
    safe._watchdog.look()
    wait_until(lambda: arm.calls.count("halt") == 2)
    wait_until(lambda: not arm._halts.is_owed)
    go_on.set()
    assert stopper.join() is None
    assert not arm._halts.is_owed


def test_a_process_that_may_have_no_more_threads_stops_all_the_same_and_the_watch_tries_again(monkeypatch):
    arm = RecordingArm()
    safe = make_safe(arm, rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    arm.connect()
    arm.on["halt"] = fail_with(OSError("busy"))
    with monkeypatch.context() as patch:
        no_thread = fail_with(RuntimeError("can't start new thread"))
        patch.setattr("_thread.start_new_thread", lambda *_: no_thread())
        with pytest.raises(OSError, match="busy"):
            arm.stop()
    assert arm.calls.count("halt") == 1
    arm.on.clear()
    safe._watchdog.look()
    wait_until(lambda: not arm._halts.is_owed)
    assert arm.calls.count("halt") == 2


def test_a_command_is_refused_by_a_stop_that_is_owed(body):
    body.do(fail_with(OSError("busy")))
    with pytest.raises(OSError, match="busy"):
        body.robot.stop()
    with pytest.raises(rk.RobotStopped):
        body.robot.send(joint_command(body.robot))
    body.hear()
