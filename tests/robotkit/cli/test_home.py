"""`robotkit home`: everything is checked and shown before the arm moves, and it never moves in a fault."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import home
from robotkit.remote import RemoteWorkcell
from servers import ServerSettings
from tests.serving import served
from tests.support.answering import Person

AWAY_RAD = np.array([0.0, 0.05, 0.02, 0.0, 0.0, -0.2, 0.0])


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real", **{"robot.joint_speed_rad_s": 20.0})


@pytest.fixture
def url(cell: rk.Workcell) -> Iterator[str]:
    """A server whose arm stands beside its reset joints."""
    with served(cell) as running:
        cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad + AWAY_RAD)
        yield running


def spoken(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def off_rad(cell: rk.Workcell) -> float:
    """How far the arm is from its reset joints."""
    return float(np.abs(cell.robot.get_state().joint_positions_rad - cell.robot.spec.reset_joint_positions_rad).max())


def test_it_says_how_far_and_how_fast_and_goes_there(cell, url, monkeypatch, capsys):
    person = Person(monkeypatch, "y")
    assert main(["home", url]) == 0
    said = spoken(capsys)
    assert "joint 6 turns farthest, 0.200 rad (11.5 degrees), and ends 0.054 m from where the tool is" in said
    assert "no joint faster than 10.00 rad/s" in said
    assert len(person.questions) == 1
    assert off_rad(cell) < 1e-3
    with rk.make_workcell(url) as other:
        assert isinstance(other, RemoteWorkcell)
        assert other.health().controlled_by is None, "control was given back"


def test_it_goes_nowhere_without_a_yes(cell, url, monkeypatch):
    Person(monkeypatch, "n")
    assert main(["home", url]) == 1
    assert off_rad(cell) == pytest.approx(0.2)


def test_an_arm_that_is_there_is_left_alone(url, monkeypatch, capsys):
    assert main(["home", url, "--yes"]) == 0
    person = Person(monkeypatch, "y")
    assert main(["home", url]) == 0
    assert "already" in spoken(capsys)
    assert not person.questions


@pytest.mark.parametrize("bring_down", [lambda arm: arm.stop(), lambda arm: arm.inner.inject_fault("joint_reflex")])
def test_an_arm_that_is_down_does_not_move(cell, url, bring_down, capsys):
    bring_down(cell.robot)
    assert main(["home", url, "--yes"]) == 1
    assert f"robotkit recover {url}" in capsys.readouterr().err
    assert off_rad(cell) == pytest.approx(0.2)
    assert cell.robot.get_state().mode in ("stopped", "fault")


def test_an_arm_that_somebody_commands_does_not_move(capsys):
    cell = rk.make_workcell("fake", clock="real")
    with served(cell, ServerSettings(lease_timeout_s=600.0)) as url, rk.make_workcell(url) as other:
        other.robot.move_to_joint_positions(other.robot.spec.reset_joint_positions_rad + AWAY_RAD)
        assert main(["home", url, "--yes"]) == 1
        assert "commands this cell" in capsys.readouterr().err
        assert off_rad(cell) == pytest.approx(0.2)


def test_an_arm_that_moved_while_a_person_read_does_not_move(cell, url, monkeypatch, capsys):
    """The way that they have seen is not the way that it would take."""
    elsewhere_rad = cell.robot.spec.reset_joint_positions_rad - AWAY_RAD
    Person(monkeypatch, "y", lambda: cell.robot.move_to_joint_positions(elsewhere_rad))
    assert main(["home", url]) == 1
    assert "since you were asked" in capsys.readouterr().err
    np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, elsewhere_rad, atol=1e-3)


def test_a_fault_that_comes_while_a_person_reads_is_not_cleared(cell, url, monkeypatch):
    Person(monkeypatch, "y", lambda: cell.robot.inner.inject_fault("joint_reflex"))
    assert main(["home", url]) == 1
    assert cell.robot.get_state().mode == "fault"
    assert off_rad(cell) == pytest.approx(0.2)


def way(cell: rk.Workcell, **limits: object) -> home.Way:
    goal_rad = cell.robot.spec.reset_joint_positions_rad
    return home.Way(goal_rad + AWAY_RAD, goal_rad, cell.robot.spec, rk.SafetyLimits(**limits))


def test_a_way_out_of_the_limits_of_the_server_is_refused_before_anybody_is_asked(monkeypatch, capsys):
    """Its reset joints are too low for its workspace, and the arm stands higher."""
    cell = rk.make_workcell("fake", clock="real", **{"limits.workspace.position_min_m": [0.2, -0.4, 0.31]})
    with served(cell) as url:
        cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad + AWAY_RAD)
        person = Person(monkeypatch, "y")
        assert main(["home", url]) == 1
    assert "at its goal" in capsys.readouterr().err
    assert not person.questions


def test_the_time_that_is_told_is_a_lower_bound(cell):
    told = way(cell, max_joint_speed_rad_s=0.1).describe()
    assert "It takes 2.0 s or more: no joint faster than 0.10 rad/s" in told
    assert "the tool no faster than 0.01 m/s" in way(cell, max_tcp_speed_m_s=0.01).describe()


@pytest.mark.parametrize("name", ["fake", "mujoco-pick-cube"])
def test_an_arm_in_this_process_goes_there_and_is_disconnected(name, monkeypatch):
    built = rk.make_workcell(name)
    built.connect()
    built.robot.move_to_joint_positions(built.robot.spec.reset_joint_positions_rad + 0.5 * AWAY_RAD)
    monkeypatch.setattr(home, "open_cell", lambda cell, token: built)
    seen, reset = [], built.robot.reset
    monkeypatch.setattr(
        built.robot, "reset", lambda: (seen.append(off_rad(built)), reset(), seen.append(off_rad(built)))
    )
    assert main(["home", name, "--yes"]) == 0
    assert seen == [pytest.approx(0.1, abs=0.02), pytest.approx(0.0, abs=0.02)]
    assert not any(device.is_connected for device in (built.robot, built.world))


def test_ctrl_c_in_the_middle_leaves_an_arm_in_this_process_at_rest(cell, monkeypatch, capsys):
    with cell:
        cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad + AWAY_RAD)
    monkeypatch.setattr(home, "open_cell", lambda name, token: cell)
    travel, clock = cell.robot.inner._travel, cell.clock

    def interrupted(goal_rad, right):
        clock_now_s = clock.now_s
        monkeypatch.setattr(right, "wait", lambda timeout_s: (_ for _ in ()).throw(KeyboardInterrupt))
        assert clock_now_s() > 0.0
        travel(goal_rad, right)

    monkeypatch.setattr(cell.robot.inner, "_travel", interrupted)
    assert main(["home", "fake", "--yes"]) == 130
    assert "the arm is at rest" in spoken(capsys)
    assert not cell.robot.is_connected
    with cell:
        state = cell.robot.get_state()
        assert state.mode == "holding"
        assert not state.joint_velocities_rad_s.any()
        assert off_rad(cell) > 0.1
