"""`robotkit recover`: a person sees why the arm is down before anything is done, and nothing moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import recover
from servers import ServerSettings
from tests.serving import served
from tests.support.answering import Person


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell) as running:
        yield running


def spoken(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("answer", "status", "mode"), [("y", 0, "holding"), ("n", 1, "stopped"), ("", 1, "stopped")])
def test_the_cause_is_shown_and_only_a_yes_recovers(cell, url, monkeypatch, capsys, answer, status, mode):
    cell.robot.stop_for("somebody came near", "Ada")
    person = Person(monkeypatch, answer)
    assert main(["recover", url]) == status
    said = spoken(capsys)
    assert "somebody came near (by Ada, " in said
    assert "s ago)" in said
    assert len(person.questions) == 1
    assert cell.robot.get_state().mode == mode
    assert (f"The arm is {mode}." in said) == (status == 0)


def test_a_fault_behind_a_server_is_named_and_recovered(cell, url, capsys):
    where = cell.robot.get_state().joint_positions_rad
    cell.robot.inner.inject_fault("joint_reflex")
    assert main(["recover", url, "--yes"]) == 0
    assert "in a fault: joint_reflex" in spoken(capsys)
    state = cell.robot.get_state()
    assert state.mode == "holding"
    np.testing.assert_allclose(state.joint_positions_rad, where)


def test_an_arm_that_is_well_is_left_alone(cell, url, monkeypatch, capsys):
    """A recovery of an arm that tracks would end what it does."""
    person = Person(monkeypatch, "y")
    before = cell.robot.target_epoch
    assert main(["recover", url]) == 0
    assert "nothing to recover from: the arm is holding" in spoken(capsys)
    assert not person.questions
    assert cell.robot.target_epoch == before


def test_a_stop_that_comes_while_a_person_reads_is_not_undone(cell, url, monkeypatch, capsys):
    """They have not seen it."""
    cell.robot.stop_for("a first cause", "Ada")
    Person(monkeypatch, "y", lambda: cell.robot.stop_for("a second cause", "Bob"))
    assert main(["recover", url]) == 1
    assert "something happened to the arm since you were asked" in capsys.readouterr().err
    assert cell.robot.get_state().mode == "stopped"


@pytest.mark.parametrize("first_causes", [(), ("a first cause",)], ids=["a fault", "a stop within the fault"])
@pytest.mark.parametrize("is_behind_a_server", [True, False], ids=["behind a server", "in this process"])
def test_a_stop_is_not_undone_unseen_where_the_arm_cannot_be_measured(
    cell, request, monkeypatch, capsys, first_causes, is_behind_a_server
):
    """Its state repeats the last measurement, with the target epoch of then, and a fault is told before a stop."""

    def fail() -> None:
        raise rk.ConnectionFailed("no packet")

    def loses_its_line() -> None:
        monkeypatch.setattr(cell.robot.inner, "_measure", fail)
        for cause in first_causes:
            cell.robot.stop_for(cause, "Ada")

    if is_behind_a_server:
        name = request.getfixturevalue("url")
        loses_its_line()
    else:
        name, connect = "fake", cell.robot.connect
        monkeypatch.setattr(recover, "open_cell", lambda name, token: cell)
        monkeypatch.setattr(cell.robot, "connect", lambda: (connect(), loses_its_line()))
    Person(monkeypatch, "y", lambda: cell.robot.stop_for("a cause that nobody has read", "Bob"))
    assert main(["recover", name]) == 1
    assert "something happened to the arm since you were asked" in capsys.readouterr().err
    assert cell.robot.machine.stop is not None
    assert cell.robot.machine.recoveries == 0


def test_a_fault_that_persists_is_an_error(cell, url, monkeypatch, capsys):
    cell.robot.inner.inject_fault("user_stopped")
    monkeypatch.setattr(cell.robot.inner, "_clear_faults", fail_to_clear)
    assert main(["recover", url, "--yes"]) == 1
    assert "the button is still pressed" in capsys.readouterr().err
    assert cell.robot.get_state().mode == "fault"


def fail_to_clear() -> None:
    raise rk.DeviceFault("the button is still pressed")


def test_without_a_terminal_the_answer_has_to_be_given(cell, url, monkeypatch, capsys):
    cell.robot.stop()
    monkeypatch.setattr("sys.stdin", None)
    assert main(["recover", url]) == 2
    assert "--yes" in capsys.readouterr().err
    assert cell.robot.get_state().mode == "stopped"


@pytest.mark.parametrize(("token", "status"), [("for programs", 1), ("for people", 0)])
def test_another_persons_stop_needs_the_token_for_people(cell, monkeypatch, token, status):
    settings = ServerSettings(command_token="for programs", operate_token="for people")
    with served(cell, settings) as url:
        assert main(["stop", url, "--token", "for people"]) == 0
        monkeypatch.setenv("ROBOTKIT_TOKEN", token)
        assert main(["recover", url, "--yes"]) == status
        assert cell.robot.get_state().mode == ("stopped" if status else "holding")


@pytest.fixture
def local(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> rk.Workcell:
    """The cell that the command opens in this process."""
    monkeypatch.setattr(recover, "open_cell", lambda name, token: cell)
    return cell


def test_a_fault_of_an_arm_in_this_process_is_recovered(local, monkeypatch, capsys):
    monkeypatch.setattr(local.robot.inner, "_open", lambda: local.robot.machine.fault_of(("joint_reflex",)))
    seen = []
    monkeypatch.setattr(local.robot.inner, "_clear_faults", lambda: seen.append(local.robot.get_state().mode))
    assert main(["recover", "fake", "--yes"]) == 0
    assert "in a fault: joint_reflex" in spoken(capsys)
    assert seen == ["fault"]
    assert not local.robot.is_connected


def test_looking_at_an_arm_in_this_process_starts_no_control(local, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(local.robot.inner, "_start", lambda: started.append(True))
    assert main(["recover", "fake", "--yes"]) == 0
    assert "the arm reports no fault" in spoken(capsys)
    assert not started


def test_a_camera_that_is_lost_keeps_no_arm_from_recovery(local, monkeypatch):
    def lost() -> None:
        raise rk.ConnectionFailed("unplugged")

    monkeypatch.setattr(local.cameras["front"], "connect", lost)
    monkeypatch.setattr(local.robot.inner, "_open", lambda: local.robot.machine.fault_of(("joint_reflex",)))
    assert main(["recover", "fake", "--yes"]) == 0
