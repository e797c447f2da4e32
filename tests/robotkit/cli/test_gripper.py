"""`robotkit gripper`: the fingers go where they are told, and a wrong word moves nothing."""

from __future__ import annotations

import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import gripper as command
from robotkit.registry import grippers
from robotkit.remote import RemoteWorkcell
from servers import ServerSettings
from tests.serving import served
from tests.support.robotiq_emulator import RobotiqEmulator


def use(monkeypatch: pytest.MonkeyPatch, cell: rk.Workcell) -> rk.Workcell:
    monkeypatch.setattr(command, "open_cell", lambda name, token: cell)
    return cell


@pytest.mark.parametrize("name", ["fake", "mujoco-pick-cube"])
@pytest.mark.parametrize(("word", "position"), [("close", 0.0), ("0.4", 0.4), ("open", 1.0)])
def test_the_fingers_go_where_they_are_told_and_the_arm_stays_alone(name, word, position, monkeypatch, capsys):
    cell = use(monkeypatch, rk.make_workcell(name))
    monkeypatch.setattr(cell.robot, "connect", lambda: pytest.fail("the arm is not connected"))
    measured, read = [], cell.gripper.get_state
    monkeypatch.setattr(cell.gripper, "get_state", lambda: (measured.append(read()), measured[-1])[1])
    assert main(["gripper", name, word]) == 0
    assert measured[-1].position == pytest.approx(position, abs=0.03)
    assert not measured[-1].is_moving
    assert f"to {measured[-1].position:.2f}" in capsys.readouterr().out
    assert not cell.gripper.is_connected


@pytest.mark.parametrize("clock", ["real", "lockstep"])
def test_fingers_behind_a_server_go_there_and_control_is_given_back(clock):
    cell = rk.make_workcell("fake", clock=clock)
    with served(cell) as url:
        assert main(["gripper", url, "close"]) == 0
        assert cell.gripper.get_state().position == pytest.approx(0.0, abs=0.01)
        with rk.make_workcell(url) as other:
            assert isinstance(other, RemoteWorkcell)
            assert other.health().controlled_by is None


def test_another_clients_fingers_stay(capsys):
    cell = rk.make_workcell("fake", clock="real")
    with served(cell, ServerSettings(lease_timeout_s=600.0)) as url, rk.make_workcell(url) as other:
        other.gripper.move(0.7)
        assert main(["gripper", url, "close"]) == 1
        assert "commands this cell" in capsys.readouterr().err
        assert cell.gripper.get_state().target_position == 0.7


@pytest.mark.parametrize("word", ["opne", "1.1", "-0.5", "nan", "inf", "half"])
def test_a_wrong_word_is_a_users_error_and_moves_nothing(word, capsys):
    assert main(["gripper", "fake", "--", word] if word.startswith("-") else ["gripper", "fake", word]) == 2
    assert "open, close, or 0 (closed) to 1 (open)" in capsys.readouterr().err


def test_a_position_that_these_fingers_do_not_have_is_a_users_error(monkeypatch, capsys):
    cell = use(monkeypatch, rk.make_workcell("fake"))
    cell.gripper.spec = cell.gripper.spec.model_copy(update={"positions": (0.0, 1.0)})
    monkeypatch.setattr(cell.gripper, "connect", lambda: pytest.fail("nothing is opened"))
    assert main(["gripper", "fake", "0.5"]) == 2
    assert "it takes: 0, 1" in capsys.readouterr().err


def test_a_cell_without_a_gripper_is_a_users_error(monkeypatch, capsys):
    use(monkeypatch, rk.make_workcell("fake", gripper=None))
    assert main(["gripper", "fake", "open"]) == 2
    assert "has no gripper" in capsys.readouterr().err


def test_fingers_that_do_not_come_to_rest_are_an_error(monkeypatch, capsys):
    cell = use(monkeypatch, rk.make_workcell("fake"))
    read = cell.gripper.get_state
    monkeypatch.setattr(cell.gripper, "get_state", lambda: read().model_copy(update={"is_moving": True}))
    assert main(["gripper", "fake", "close", "--timeout-s", "0.1"]) == 1
    assert "still move after 0.1 s" in capsys.readouterr().err


def test_a_gripper_that_is_not_ready_moves_only_when_it_may(monkeypatch, capsys):
    """Activation takes the fingers to both ends."""
    with RobotiqEmulator() as emulator:
        cell = use(monkeypatch, rk.make_workcell("fake", clock="real"))
        cell.gripper = grippers.make("robotiq", **emulator.options)
        assert main(["gripper", "fake", "close"]) == 1
        assert "not activated" in capsys.readouterr().err
        assert emulator.model.writes == 0
        assert main(["gripper", "fake", "close", "--activate"]) == 0
        assert "to 0.0" in capsys.readouterr().out
