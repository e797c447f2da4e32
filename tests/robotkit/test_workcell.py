"""Laws of a cell's life cycle when devices fail, and of its clock."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from robotkit import workcell
from robotkit.clock import RealClock
from robotkit.devices import closing
from tests.support.recording_arm import fail_with
from tests.support.waiting import wait_until


class Log:
    """Wraps the life cycle of a cell's devices and writes down what happens."""

    def __init__(self, cell, monkeypatch, *, fails_to_connect=None, fails_to_disconnect=()):
        self.entries = []
        for device in cell.devices():
            self._wrap(device, "connect", monkeypatch, device is fails_to_connect)
            self._wrap(device, "disconnect", monkeypatch, device in fails_to_disconnect)

    def _wrap(self, device, name, monkeypatch, fails):
        inner = getattr(device, name)

        def call():
            self.entries.append((name, device))
            if fails:
                raise rk.DeviceFault(f"{name} failed")
            inner()

        monkeypatch.setattr(device, name, call)

    def of(self, name):
        return [device for entry, device in self.entries if entry == name]


def test_devices_connect_in_order_and_disconnect_in_reverse(monkeypatch):
    cell = rk.make_workcell("fake")
    log = Log(cell, monkeypatch)
    with cell:
        assert log.of("connect") == cell.devices()
    assert log.of("disconnect") == cell.devices()[::-1]


def test_a_failed_connect_is_rolled_back(monkeypatch):
    cell = rk.make_workcell("fake")
    log = Log(cell, monkeypatch, fails_to_connect=cell.devices()[3])
    with pytest.raises(rk.DeviceFault):
        cell.connect()
    assert not cell.is_connected
    assert log.of("disconnect") == cell.devices()[:3][::-1]
    assert not any(device.is_connected for device in cell.devices())


def test_a_device_that_fails_to_disconnect_keeps_no_other_open(monkeypatch):
    cell = rk.make_workcell("fake")
    log = Log(cell, monkeypatch, fails_to_disconnect=[cell.gripper, cell.robot])
    cell.connect()
    with pytest.raises(rk.DeviceFault):
        cell.disconnect()
    assert log.of("disconnect") == cell.devices()[::-1]
    assert not cell.is_connected


REAL = {"world": None, "clock": "real", "trackers": {}, "robot.time_constant_s": 10.0, "limits.watchdog_s": 5.0}


@pytest.mark.parametrize("error", [None, SystemExit(1)])
def test_an_arm_that_moves_is_held_before_the_others_are_closed(monkeypatch, error):
    with rk.make_workcell("fake", **REAL) as cell:
        camera, modes = cell.cameras["front"], []

        def close():
            modes.append(cell.robot.machine.mode)
            if error is not None:
                raise error

        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.05
        monkeypatch.setattr(camera, "disconnect", close)
        assert cell.step(rk.PoseCommand(tcp_pose_in_base=pose)).robot.mode == "tracking"
        if error is None:
            cell.disconnect()
        else:
            with pytest.raises(rk.DeviceFault, match="SystemExit"):
                cell.disconnect()
    assert modes == ["holding"]
    assert not cell.robot.is_connected


def test_a_device_that_hangs_keeps_no_arm_connected_and_is_told_and_waited_for(monkeypatch, caplog):
    """Its neighbours are closed, what one of them raises is told, and it is not connected again before it is over."""
    assert (closing._ARM_WAITS_S, closing._CLOSED_S) == (1.0, 5.0), "as docs/safety.md says"
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 0.01)
    monkeypatch.setattr(closing, "_NAMED_S", 0.02)
    monkeypatch.setattr(closing, "_CLOSED_S", 0.05)
    cell = rk.make_workcell("fake", **REAL)
    goes_on, close, shut = threading.Event(), cell.cameras["front"].disconnect, cell.gripper.disconnect
    with cell:
        monkeypatch.setattr(cell.cameras["front"], "disconnect", lambda: (goes_on.wait(), close()))
        monkeypatch.setattr(cell.gripper, "disconnect", lambda: (shut(), fail_with(rk.DeviceFault("no"))()))
        with pytest.raises(rk.DeviceFault) as told:
            cell.disconnect()
    wait_until(lambda: "kept connected for it: front was told to disconnect" in caplog.text)
    assert str(told.value).startswith("front was told to disconnect, and its driver has not returned")
    assert told.value.__notes__ == ["gripper did not disconnect: no"]
    assert not cell.robot.is_connected
    assert not cell.gripper.is_connected
    with pytest.raises(rk.DeviceFault, match="front was told to disconnect"):
        cell.connect()
    assert not cell.robot.is_connected
    goes_on.set()
    wait_until(lambda: not cell.cameras["front"].is_connected)
    monkeypatch.undo()
    wait_until(lambda: _connects(cell))
    cell.disconnect()


def test_a_device_that_closes_slowly_is_closed_when_its_cell_is_left(monkeypatch):
    """What it raises by then is told, and the arm was not kept connected."""
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 0.01)
    cell, was_open = rk.make_workcell("fake", **REAL), []

    def close():
        wait_until(lambda: not cell.robot.is_connected)
        was_open.append(cell.robot.is_connected)
        raise rk.DeviceFault("late")

    cell.connect()
    monkeypatch.setattr(cell.gripper, "disconnect", close)
    with pytest.raises(rk.DeviceFault, match="late"):
        cell.disconnect()
    assert was_open == [False]


def test_a_disconnection_that_ends_as_somebody_connects_again_is_named_or_over(monkeypatch):
    """Whether it is over is asked once: an answer that is gone by then is no error to raise."""
    answers = iter(())
    monkeypatch.setattr(closing.BoundedCalls, "unanswered", property(lambda calls: next(answers, None)))
    cell = rk.make_workcell("fake", **REAL)
    cell.connect()
    cell.disconnect()
    answers = iter([rk.DeviceFault("it is being closed")])
    with pytest.raises(rk.DeviceFault, match="it is being closed"):
        cell.connect()


def _connects(cell):
    try:
        cell.connect()
    except rk.DeviceFault:
        return False
    return True


def test_an_arm_that_moves_is_held_before_the_others_are_closed_where_no_thread_can_be_started(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with rk.make_workcell("fake", **REAL) as cell:
        modes = []
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.05
        monkeypatch.setattr(cell.cameras["front"], "disconnect", lambda: modes.append(cell.robot.machine.mode))
        assert cell.step(rk.PoseCommand(tcp_pose_in_base=pose)).robot.mode == "tracking"
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            cell.disconnect()
    assert modes == ["holding"]
    assert not cell.robot.is_connected


@pytest.mark.parametrize("mode", ["holding", "stopped"])
def test_an_arm_that_stands_is_not_told_to_hold_when_its_cell_is_left(monkeypatch, mode):
    with rk.make_workcell("fake", **REAL) as cell:
        held = []
        monkeypatch.setattr(cell.robot, "hold", lambda: held.append(True))
        if mode == "stopped":
            cell.robot.stop()
    assert held == []


def test_an_arm_in_a_joint_motion_is_held_before_its_cell_is_left(monkeypatch):
    with rk.make_workcell("fake", **REAL) as cell:
        held, hold = [], cell.robot.hold
        monkeypatch.setattr(cell.robot, "hold", lambda: (held.append(cell.robot.machine.mode), hold()))
        cell.robot.machine.begin_travel()
    assert held == ["travelling"]


def test_the_arm_forgets_its_target_when_the_world_has_been_reset(monkeypatch):
    with rk.make_workcell("fake") as cell:
        calls, reset, forget = [], cell.world.reset, cell.robot.forget_target
        monkeypatch.setattr(cell.world, "reset", lambda *asked: (reset(*asked), calls.append("reset")))
        monkeypatch.setattr(cell.robot, "forget_target", lambda: (calls.append("forget"), forget()))
        cell.reset(seed=0)
    assert calls == ["reset", "forget"]


def test_a_hold_that_hangs_or_fails_keeps_no_device_open(monkeypatch):
    assert workcell._HOLD_S == 0.2, "as docs/safety.md says"
    monkeypatch.setattr(workcell, "_HOLD_S", 0.01)
    goes_on, keeps_process = threading.Event(), []

    def hang():
        keeps_process.append(not threading.current_thread().daemon)
        goes_on.wait()

    for hold in (hang, fail_with(SystemExit(1)), fail_with(rk.DeviceFault("no"))):
        with rk.make_workcell("fake", **REAL) as cell:
            cell.step(rk.PoseCommand(tcp_pose_in_base=cell.robot.get_state().tcp_pose_in_base))
            monkeypatch.setattr(cell.robot, "hold", hold)
        assert not any(device.is_connected for device in cell.devices())
    goes_on.set()
    wait_until(lambda: keeps_process == [False])


def test_a_cell_without_a_world_resets_its_arm_and_places_nothing():
    config = {"world": None, "clock": "real", "trackers": {}, "robot.time_constant_s": 0.01}
    with rk.make_workcell("fake", **config) as cell:
        assert not cell.can_place_objects
        state = cell.reset()
        assert state.robot.joint_positions_rad == pytest.approx(cell.robot.spec.reset_joint_positions_rad, abs=1e-3)
        with pytest.raises(rk.Unsupported, match="by hand"):
            cell.reset(object_poses_in_base={"block": [0.5, 0, 0, 0, 0, 0, 1]})


def test_a_cell_without_a_gripper_says_so():
    with rk.make_workcell("fake", gripper=None) as cell, pytest.raises(rk.Unsupported, match="no gripper"):
        cell.step(gripper=rk.GripperCommand(position=0.0))


class Time:
    """A wall clock that tests can turn; sleeping oversleeps a little."""

    def __init__(self):
        self.now_s = 100.0
        self.oversleeps_s = 0.001

    def sleep(self, duration_s):
        assert duration_s > 0
        self.now_s += duration_s + self.oversleeps_s


@pytest.fixture
def turned():
    time = Time()
    return time, RealClock(lambda: time.now_s, time.sleep)


def test_lateness_never_adds_up_to_drift(turned):
    time, clock = turned
    for step in range(1, 101):
        time.now_s += 0.03
        clock.advance(0.1)
        assert clock.now_s() == pytest.approx(100.0 + 0.1 * step + 0.001)


def test_a_late_caller_does_not_catch_up_in_a_burst(turned):
    time, clock = turned
    time.now_s += 10.0
    for step in range(1, 4):
        clock.advance(0.1)
        assert clock.now_s() == pytest.approx(110.0 + 0.1 * step + 0.001)


def test_one_missed_tick_is_caught_up(turned):
    time, clock = turned
    clock.advance(0.1)
    time.now_s += 0.15
    clock.advance(0.1)
    clock.advance(0.1)
    assert clock.now_s() == pytest.approx(100.301)


def test_the_wall_passes_by_itself(turned):
    assert not turned[1].is_lockstep
    assert turned[1].now_s() == 100.0
