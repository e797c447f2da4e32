"""Every call x when the driver carries it out x what comes between: a halted arm is told to stop until it returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, StatefulRobotServer
from tests.support.recording_arm import InThread, PlainArm, RecordingArm, joint_command
from tests.support.waiting import wait_until

_STUCK_S = 20.0


class Rig:
    """An arm whose driver keeps one call: it carries it out when it may write, and returns when it may return."""

    def __init__(self, arm: StatefulRobotServer, device: PlainArm | RecordingArm, halt: str, close: str) -> None:
        self.arm, self.device, self.halt, self.close = arm, device, halt, close
        self.is_inside, self.may_write, self.may_return = threading.Event(), threading.Event(), threading.Event()

    def keep(self, primitive: str) -> None:
        """The next call of it."""

        def act() -> None:
            del self.device.on[primitive]
            self.is_inside.set()
            assert self.may_write.wait(_STUCK_S)
            self.device.calls.append("written")
            assert self.may_return.wait(_STUCK_S)

        self.device.on[primitive] = act

    def halts(self, after: str | None = None) -> int:
        calls = self.device.calls
        return calls[0 if after is None else calls.index(after) :].count(self.halt)

    def let_go(self) -> None:
        self.may_write.set()
        self.may_return.set()


def plain() -> Rig:
    inner = PlainArm()
    return Rig(AdaptedRobot(inner), inner, "stop", "disconnect")


def recording() -> Rig:
    arm = RecordingArm()
    return Rig(arm, arm, "halt", "close")


CALLS: dict[str, Callable[[StatefulRobotServer], object]] = {
    "send": lambda arm: arm.send(joint_command(arm)),
    "hold": lambda arm: arm.hold(),
    "move": lambda arm: arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad),
    "compliance": lambda arm: arm.set_compliance(rk.ComplianceParams()),
    "reset of the world": lambda arm: arm.forget_target(),
    "recover": lambda arm: arm.recover(),
    "recover of a moving arm": lambda arm: arm.recover(),
    "connect": lambda arm: (arm.disconnect(), arm.connect()),
}
PRIMITIVES = {
    (plain, "send"): "send", (plain, "hold"): "hold", (plain, "move"): "move", (plain, "recover"): "recover",
    (plain, "compliance"): "set_compliance", (plain, "reset of the world"): "forget_target",
    (plain, "recover of a moving arm"): "hold",
    (recording, "send"): "follow", (recording, "hold"): "hold", (recording, "move"): "travel",
    (recording, "recover"): "start", (recording, "compliance"): "compliance",
    (recording, "reset of the world"): "hold", (recording, "recover of a moving arm"): "hold",
    (recording, "connect"): "start",
}  # fmt: skip
BETWEEN: dict[str, Callable[[StatefulRobotServer], object]] = {
    "stop": lambda arm: arm.stop(),
    "stop of the watchdog": lambda arm: arm.stop_for("its client fell silent", "watchdog"),
    "fault": lambda arm: arm._latch(arm.machine.fault_of(("torn",))),
}
WRITES = ("before", "after, and waits on", "after, and returns")


def _cases() -> Iterator[object]:
    for (make, name), primitive in PRIMITIVES.items():
        for between in BETWEEN:
            if name != "recover" or between != "fault":  # a recovery clears the faults that came before it ends
                yield pytest.param(make, name, primitive, between, id=f"{make.__name__}-{name}-{between}")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for but what the test waits for, and a call counts from its beginning."""
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)
    monkeypatch.setattr("robotkit.devices.measuring_arm._YOUNG_S", 0.0)
    monkeypatch.setattr("robotkit.devices.stateful_robot._RETURN_S", 0.0)
    monkeypatch.setattr("robotkit.devices.halts.CLOSING_S", 0.0)


def begin(make: Callable[[], Rig], name: str, primitive: str) -> tuple[Rig, InThread]:
    """A call that is in the driver."""
    rig = make()
    rig.arm.connect()
    rig.arm.get_state()
    if name in ("hold", "recover of a moving arm"):
        rig.arm.send(joint_command(rig.arm))
    if name == "recover":
        rig.arm.stop_for("the first", "somebody")
    rig.device.calls.clear()
    rig.keep(primitive)
    caller = InThread(lambda: CALLS[name](rig.arm))
    assert rig.is_inside.wait(_STUCK_S)
    return rig, caller


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize(("make", "name", "primitive", "between"), list(_cases()))
def test_a2_an_arm_is_told_to_stop_until_every_call_of_before_has_returned(
    make, name, primitive, between, writes, hasty
):
    rig, caller = begin(make, name, primitive)
    if writes == "before":
        rig.may_write.set()
        wait_until(lambda: "written" in rig.device.calls)
    BETWEEN[between](rig.arm)
    wait_until(lambda: rig.halts() >= 3)
    if writes == "after, and returns":
        rig.may_return.set()
    rig.may_write.set()
    wait_until(lambda: "written" in rig.device.calls)
    if writes != "after, and returns":
        wait_until(lambda: rig.halts(after="written") >= 2)
        assert rig.arm._is_halt_owed()
        if name in ("send", "hold", "move", "compliance", "reset of the world"):
            with pytest.raises(rk.DeviceFault, match=r"has not returned .* call recover\(\) again"):
                rig.arm.recover()
    rig.may_return.set()
    caller.join()
    assert rig.halts(after="written") >= 1
    wait_until(lambda: not rig.arm._halts._has_thread)
    assert rig.device.calls[-1] == rig.halt, "it was told last to stop"
    assert rig.arm.get_state().mode == ("fault" if between == "fault" else "stopped")
    assert not rig.arm._is_halt_owed()
    told = rig.halts()
    rig.arm.recover()
    assert rig.arm.get_state().mode == "holding"
    assert rig.halts() == told


@pytest.mark.parametrize(
    ("make", "name"), [key for key in PRIMITIVES if "recover" not in key[1] and key[1] != "connect"]
)
def test_a2_no_call_of_a_connection_is_carried_out_on_the_next(make, name, hasty, caplog):
    rig, caller = begin(make, name, PRIMITIVES[make, name])
    rig.arm.disconnect()
    assert rig.device.calls[-2:] == [rig.halt, rig.close]
    assert "MAY STILL MOVE" in caplog.text
    for _ in range(2):
        with pytest.raises(rk.DeviceFault, match=r"\(\) has not returned .* call connect\(\) again"):
            rig.arm.connect()
    rig.let_go()
    caller.join()
    wait_until(lambda: rig.arm.machine.calls.oldest(with_halts=True) is None)
    rig.arm.connect()
    assert rig.device.calls.index("written") < len(rig.device.calls) - 1
    assert rig.arm.machine.mode == "holding"
    assert rig.device.calls[-1] in ("connect", "start")


def test_a2_the_hold_of_a_disconnection_that_hangs_is_not_carried_out_on_the_next_connection(hasty, monkeypatch):
    """It is waited for until it is in the driver, and no longer."""
    rig = plain()
    rig.arm.connect()
    rig.arm.send(joint_command(rig.arm))
    rig.keep("hold")
    wait = threading.Event.wait
    monkeypatch.setattr("robotkit.devices.adapter._HOLD_S", HOLD_S := 0.25)

    def wait_until_inside(event: threading.Event, timeout: float | None = None) -> bool:
        return not wait(rig.is_inside, _STUCK_S) if timeout == HOLD_S else wait(event, timeout)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", wait_until_inside)
        rig.arm.disconnect()
    assert rig.device.calls[-2:] == ["stop", "disconnect"]
    with pytest.raises(rk.DeviceFault, match=r"hold\(\) has not returned"):
        rig.arm.connect()
    rig.let_go()
    wait_until(lambda: rig.arm.machine.calls.oldest() is None)
    rig.arm.connect()
    assert rig.device.calls[-1] == "connect"
    assert rig.arm.machine.mode == "holding"


@pytest.mark.parametrize("primitive", ["stop", "recover"])
def test_a2_a_driver_that_hangs_keeps_no_disconnection_from_closing_it(primitive, hasty, monkeypatch, caplog):
    """Which may be what ends its call, of a socket without a time-out."""
    assert AdaptedRobot._may_hang_s == 0.5, "as docs/safety.md says"
    monkeypatch.setattr(AdaptedRobot, "_may_hang_s", 0.0)
    monkeypatch.setattr("robotkit.devices.halts._PAUSE_S", 0.0)
    rig = plain()
    rig.arm.connect()
    rig.arm.send(joint_command(rig.arm))
    rig.device.on["disconnect"] = rig.let_go
    if primitive == "recover":
        rig.arm.stop()
    rig.keep(primitive)
    caller = InThread(rig.arm.stop if primitive == "stop" else rig.arm.recover)
    assert rig.is_inside.wait(_STUCK_S)
    rig.device.on[primitive] = lambda: rig.may_return.wait(_STUCK_S)
    assert InThread(rig.arm.disconnect).join() is None
    assert "disconnect" in rig.device.calls
    caller.join()
    wait_until(lambda: rig.arm.machine.calls.oldest(with_halts=True) is None)
    assert "MAY STILL MOVE" in caplog.text
    rig.device.on.clear()
    rig.arm.connect()
    if primitive == "recover":
        assert rig.arm.machine.mode == "stopped", "a stop stays through a new connection"


def test_a_stop_that_hangs_in_the_driver_lets_nobody_connect_again(hasty, monkeypatch):
    monkeypatch.setattr(AdaptedRobot, "_may_hang_s", 0.0)
    rig = plain()
    rig.arm.connect()
    rig.keep("stop")
    stop = InThread(rig.arm.stop)
    assert rig.is_inside.wait(_STUCK_S)
    rig.arm.disconnect()
    with pytest.raises(rk.DeviceFault, match=r"stop\(\) has not returned from the driver"):
        rig.arm.connect()
    rig.let_go()
    stop.join()
    wait_until(lambda: rig.arm.machine.calls.oldest(with_halts=True) is None)
    rig.arm.connect()


@pytest.mark.parametrize("make", [plain, recording])
def test_a_stop_that_comes_in_a_call_that_returns_is_told_twice_and_not_owed(make, hasty, monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts.Halts.repeat", lambda _: None)
    monkeypatch.setattr("robotkit.devices.measuring_arm._YOUNG_S", 60.0)
    rig, owed = make(), []
    rig.arm.connect()
    rig.arm.get_state()
    rig.device.on[PRIMITIVES[make, "send"]] = lambda: (
        InThread(rig.arm.stop).join(),
        owed.append(rig.arm._is_halt_owed()),
    )
    for _ in range(3):
        rig.device.calls.clear()
        rig.arm.send(joint_command(rig.arm))
        assert rig.device.calls == [PRIMITIVES[make, "send"], rig.halt, rig.halt]
        owed.append(rig.arm._is_halt_owed())
        rig.arm.recover()
        rig.device.calls.clear()
        rig.arm.hold()
        assert rig.halts() == 0
    assert not any(owed)


def test_a_recovery_ends_that_a_call_may_have_outlived_the_halt_so_that_a_disconnection_tells_no_other():
    inner = PlainArm()
    arm = AdaptedRobot(inner)
    arm.connect()
    arm.machine.calls.on_return = lambda: None  # as where a halt of another thread does for it
    is_inside, may_return = threading.Event(), threading.Event()

    def call() -> None:
        with arm.machine.calls.under_way("send"):
            is_inside.set()
            assert may_return.wait(_STUCK_S)

    caller = InThread(call)
    assert is_inside.wait(_STUCK_S)
    arm.stop()
    may_return.set()
    assert caller.join() is None
    arm.recover()
    inner.calls.clear()
    arm.disconnect()
    assert inner.calls == ["disconnect"]
