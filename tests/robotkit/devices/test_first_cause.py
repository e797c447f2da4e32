"""Of several failures the first is raised, or the one that ends the program, and the others are its notes."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from robotkit.console import exit_status
from robotkit.devices import closing
from robotkit.devices.first_cause import noted_on, raise_first
from tests.support.recording_arm import fail_with
from tests.support.waiting import wait_until

REAL = {"world": None, "clock": "real", "trackers": {}, "robot.time_constant_s": 10.0}


def test_the_first_error_is_raised_and_the_others_are_its_notes():
    raise_first([])
    with pytest.raises(ValueError, match="one") as told:
        raise_first([("", ValueError("one")), ("front", rk.DeviceFault("two")), ("arm", OSError("three"))])
    assert told.value.__notes__ == ["front did not disconnect: two", "arm did not disconnect: OSError: three"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_the_program_is_raised_in_place_of_any_error(error):
    with pytest.raises(type(error)) as told:
        raise_first([("front", rk.DeviceFault("one")), ("arm", error)])
    assert told.value.__notes__ == ["front did not disconnect: one"]
    with pytest.raises(type(error)), noted_on(ValueError("one")):
        raise error


def test_the_notes_of_an_error_become_those_of_its_cause():
    cause = ValueError("of the program")
    with noted_on(cause):
        raise_first([("front", rk.DeviceFault("one")), ("arm", OSError("two"))])
    assert cause.__notes__ == ["one", "arm did not disconnect: OSError: two"]


def test_a_failed_connect_tells_its_own_error_and_not_that_of_the_rollback(monkeypatch):
    monkeypatch.setattr(closing, "_ARM_WAITS_S", 0.01)
    monkeypatch.setattr(closing, "_NAMED_S", 0.02)
    monkeypatch.setattr(closing, "_CLOSED_S", 0.05)
    cell, goes_on = rk.make_workcell("fake", **REAL), threading.Event()
    close = cell.gripper.disconnect
    monkeypatch.setattr(cell.gripper, "disconnect", lambda: (goes_on.wait(), close()))
    monkeypatch.setattr(cell.cameras["front"], "connect", fail_with(rk.ConnectionFailed("no camera")))
    with pytest.raises(rk.ConnectionFailed, match="no camera") as told:
        cell.connect()
    (note,) = told.value.__notes__
    assert note.startswith("gripper did not disconnect: gripper was told to disconnect, and its driver has not")
    assert not cell.robot.is_connected
    goes_on.set()
    wait_until(lambda: not cell.gripper.is_connected)


@pytest.mark.parametrize("error", [ValueError("of the program"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("part", ["cell", "device"])
def test_what_a_program_raised_is_not_replaced_as_its_cell_or_device_is_left(monkeypatch, error, part):
    cell = rk.make_workcell("fake")
    close = cell.gripper.disconnect
    monkeypatch.setattr(cell.gripper, "disconnect", lambda: (close(), fail_with(rk.DeviceFault("no"))()))

    def leave():
        with cell if part == "cell" else cell.gripper:
            raise error

    with pytest.raises(type(error)) as told:
        leave()
    assert told.value is error
    assert any("no" in note for note in error.__notes__)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_ctrl_c_while_a_device_is_closed_stays_what_is_raised(monkeypatch, error):
    cell = rk.make_workcell("fake", **REAL)
    cell.connect()
    monkeypatch.setattr(cell.robot.inner, "disconnect", fail_with(rk.DeviceFault("one")))
    monkeypatch.setattr(cell, "_hold_what_moves", fail_with(error))
    with pytest.raises(type(error)) as told:
        cell.disconnect()
    assert told.value.__notes__ == ["robot did not disconnect: one"]
    assert not cell.gripper.is_connected
    monkeypatch.undo()
    cell.robot.disconnect()


def test_a_command_prints_the_notes_of_its_error(capsys):
    error = rk.ConnectionFailed("no camera")
    error.add_note("gripper did not disconnect: it hangs")
    assert exit_status(fail_with(error)) == 1
    assert capsys.readouterr().err == "error: no camera; gripper did not disconnect: it hangs\n"


@pytest.mark.parametrize("options", [{}, REAL])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), rk.ConnectionFailed("no")])
@pytest.mark.parametrize("way", ["connect", "only"])
def test_what_comes_when_a_device_has_just_been_connected_leaves_none_connected(monkeypatch, options, error, way):
    """An error of its own is another thing: then the device has cleaned up after itself."""
    names = len(rk.make_workcell("fake", **options).devices())
    for number in range(names):
        cell = rk.make_workcell("fake", **options)
        device, closed = cell.devices()[number], []
        connect, close = device.connect, device.disconnect
        is_over = isinstance(error, Exception)
        monkeypatch.setattr(device, "connect", lambda: (None if is_over else connect(), fail_with(error)()))  # noqa: B023
        monkeypatch.setattr(device, "disconnect", lambda: (closed.append(1), close()))  # noqa: B023
        with pytest.raises(type(error)) as told:
            cell.connect() if way == "connect" else cell.only(*cell.devices()).__enter__()
        assert told.value is error
        assert not [one for one in cell.devices() if one.is_connected]
        assert bool(closed) != is_over
