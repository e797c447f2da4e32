"""A command that opens the devices of a cell one by one closes them within a bound: none keeps the arm connected."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

import pytest

import robotkit as rk
from robotkit.calibration import capture
from robotkit.cli import check, main, sensor_checks
from robotkit.cli.operation.connection import connected
from robotkit.devices import closing
from tests.support.recording_arm import fail_with
from tests.support.waiting import wait_until

REAL = {"world": None, "clock": "real", "trackers": {}, "robot.time_constant_s": 10.0}


@pytest.fixture
def cell(monkeypatch):
    """A cell whose front camera takes until the end of the test to close; the others are waited for a moment."""
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 0.01)
    monkeypatch.setattr(closing, "_NAMED_S", 0.02)
    monkeypatch.setattr(closing, "_CLOSED_S", 0.05)
    cell, goes_on = rk.make_workcell("fake", **REAL), threading.Event()
    camera, was_asked = cell.cameras["front"], threading.Event()
    close = camera.disconnect
    monkeypatch.setattr(camera, "disconnect", lambda: (was_asked.set(), goes_on.wait(), close()))
    camera.was_asked, camera.goes_on = was_asked, goes_on
    monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
    with ExitStack() as stack:
        stack.callback(lambda: wait_until(lambda: not camera.is_connected))
        stack.callback(goes_on.set)
        yield cell


def test_a_check_names_a_device_that_does_not_close_and_disconnects_the_arm(cell):
    lines = {
        line.subject: line.found for line in check.Check("bench", watch_s=0.02).examine() if line.status == "failed"
    }
    assert "front was told to disconnect, and its driver has not returned" in lines["front"]
    assert not cell.robot.is_connected
    wait_until(lambda: not cell.gripper.is_connected)


def test_a_check_closes_what_is_connected_also_where_the_arm_is_not(cell, monkeypatch):
    monkeypatch.setattr(cell.robot, "connect", fail_with(rk.ConnectionFailed("no")))
    lines = {
        line.subject: line.found for line in check.Check("bench", watch_s=0.02).examine() if line.status == "failed"
    }
    assert "front was told to disconnect, and its driver has not returned" in lines["front"]
    wait_until(lambda: not cell.gripper.is_connected)


def test_a_check_that_is_interrupted_while_a_device_closes_disconnects_the_arm_and_ends_with_130(cell, monkeypatch):
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 5.0)  # the signal comes in this wait, and ends it

    def interrupt():
        if cell.cameras["front"].was_asked.wait(10.0):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    assert main(["check", "fake", "--watch-s", "0.02"]) == 130
    thread.join()
    assert not cell.robot.is_connected
    wait_until(lambda: not cell.gripper.is_connected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_check_that_is_told_to_end_disconnects_the_arm_and_ends_with_130(monkeypatch, number):
    cell = rk.make_workcell("fake", cameras={})
    monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(sensor_checks, "clock_finding", lambda *_: signal.raise_signal(number))
    assert main(["check", "fake"]) == 130
    assert not cell.robot.is_connected
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_command_that_operates_the_cell_disconnects_the_arm_also_while_another_device_hangs(cell):
    def operate(error):
        with connected(cell, cell.robot, cell.gripper, *cell.cameras.values()):
            raise error

    with pytest.raises(rk.MotionFailed, match="of itself") as told:
        operate(rk.MotionFailed("of itself"))
    (note,) = told.value.__notes__
    assert note.startswith("front did not disconnect: front was told to disconnect, and its driver has not returned")
    assert not cell.robot.is_connected
    wait_until(lambda: not cell.gripper.is_connected)


def test_a_calibration_disconnects_the_arm_also_while_its_camera_hangs(cell):
    told = []

    def calibrate():
        try:
            with capture.connected(cell, "front", with_robot=True):
                assert cell.robot.is_connected
        except rk.DeviceFault as error:
            told.append(error.message)

    calibration = threading.Thread(target=calibrate, daemon=True)
    calibration.start()
    wait_until(lambda: cell.cameras["front"].was_asked.is_set() and not cell.robot.is_connected)
    wait_until(lambda: told)
    assert told[0].startswith("front was told to disconnect, and its driver has not returned")


def test_a_closing_that_is_over_says_nothing_of_the_next(cell, monkeypatch):
    camera = cell.cameras["front"]
    close = camera.disconnect
    monkeypatch.setattr(camera, "disconnect", lambda: (close(), fail_with(rk.DeviceFault("late"))()))

    def trouble():
        try:
            with cell.only(cell.robot, camera):
                pass
        except rk.DeviceFault as error:
            return error.message
        return None

    assert trouble().startswith("front was told to disconnect, and its driver has not returned")
    assert trouble().startswith("front was told to disconnect"), "it is still being closed"
    assert not cell.robot.is_connected
    monkeypatch.setattr(camera, "disconnect", close)
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 60.0)
    monkeypatch.setattr(closing, "_CLOSED_S", 60.0)
    camera.goes_on.set()
    wait_until(lambda: trouble() is None, deadline_s=20.0)
