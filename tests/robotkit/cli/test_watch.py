"""`robotkit watch`: one line, or one JSON object, that is always of the same form; nothing is commanded."""

from __future__ import annotations

import dataclasses
import json
from urllib.parse import unquote

import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import report as reports
from robotkit.cli.operation import watch as command
from robotkit.cli.operation.report import CellReport
from robotkit.cli.operation.status import ArmStatus
from robotkit.remote.identity import program_name
from servers import ServerSettings
from tests.serving import served, server_process, start
from tests.support.waiting import wait_until

KEYS = {field.name for field in dataclasses.fields(CellReport)}


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_look_at_a_server_is_its_state_and_takes_no_control(capsys):
    cell = rk.make_workcell("fake", clock="real")
    with served(cell, ServerSettings(lease_timeout_s=600.0)) as url, rk.make_workcell(url) as other:
        other.gripper.move(0.5)
        before = cell.robot.target_epoch
        assert main(["watch", url, "--once", "--json"]) == 0
        assert cell.robot.target_epoch == before
        state = cell.get_state()
    (seen,) = objects(capsys.readouterr().out)
    assert set(seen) == KEYS
    assert (seen["cell"], seen["clock"], seen["mode"], seen["stop"], seen["error"]) == (
        "fake", "real", "holding", None, None
    )  # fmt: skip
    assert seen["tcp_pose_in_base"] == pytest.approx(state.robot.tcp_pose_in_base.tolist())
    assert seen["joint_positions_rad"] == pytest.approx(state.robot.joint_positions_rad.tolist())
    assert seen["gripper"]["target_position"] == 0.5
    assert seen["poses"] == {"block": pytest.approx([0.5, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0])}
    assert seen["controlled_by"] == unquote(program_name())
    assert seen["controlled_for_s"] >= 0.0
    assert seen["round_trip_s"] > 0.0
    assert seen["age_s"] >= 0.0


@pytest.mark.parametrize("name", ["fake", "mujoco-pick-cube"])
def test_a_cell_in_this_process_is_only_read(name, capsys, monkeypatch):
    assert main(["watch", name, "--once", "--json"]) == 0
    (seen,) = objects(capsys.readouterr().out)
    assert set(seen) == KEYS
    assert (seen["mode"], seen["stop"]["author"]) == ("stopped", "robotkit watch")
    assert seen["controlled_by"] is None
    assert seen["errors"] == {}


def test_a_device_that_cannot_be_connected_hides_no_arm(monkeypatch, capsys):
    cell = rk.make_workcell("fake")

    def lost() -> None:
        raise rk.ConnectionFailed("unplugged")

    monkeypatch.setattr(cell.gripper, "connect", lost)
    monkeypatch.setattr("robotkit.cli.operation.connection.open_cell", lambda name, token: cell)
    assert main(["watch", "fake", "--once", "--json"]) == 0
    (seen,) = objects(capsys.readouterr().out)
    assert seen["gripper"] is None
    assert seen["errors"]["gripper"]["code"] == "not_connected"


def test_a_server_that_is_away_is_asked_until_it_is_back(capsys, monkeypatch):
    """A restart of the server ends no watch; the age of the link grows meanwhile."""
    look, failures, ticks = reports.look, iter([None, rk.ConnectionFailed("away"), rk.RemoteTimeout("away"), None]), []

    def look_or_fail(cell):
        failure = next(failures, KeyboardInterrupt())
        if failure is not None:
            raise failure
        return look(cell)

    monkeypatch.setattr(command, "look", look_or_fail)
    monkeypatch.setattr(command.time, "sleep", ticks.append)
    assert main(["watch", "fake", "--json"]) == 130
    seen = objects(capsys.readouterr().out)
    assert [one["error"] and one["error"]["code"] for one in seen] == [
        None,
        "connection_failed",
        "remote_timeout",
        None,
    ]
    assert all(set(one) == KEYS for one in seen)
    assert [one["mode"] for one in seen] == ["stopped", None, None, "stopped"]


def test_a_wrong_token_ends_a_watch(monkeypatch):
    cell = rk.make_workcell("fake")
    answers = iter([None, rk.Unauthorized("the token is wrong")])

    def look_or_fail(_):
        failure = next(answers)
        if failure is not None:
            raise failure
        return reports.unseen(cell, rk.StaleState("x")), None

    monkeypatch.setattr(command, "look", look_or_fail)
    assert main(["watch", "fake", "--rate-hz", "50"]) == 1


def test_the_line_tells_who_why_and_how_old():
    with rk.make_workcell("fake") as cell:
        cell.robot.stop_for("somebody came near", "[/red] Ada")
        seen = dataclasses.replace(reports.look(cell)[0], controlled_by="anna@lab train.py", round_trip_s=0.004)
    line = command.line(seen, 0.5).plain
    for word in (
        "stopped: somebody came near (by [/red] Ada)", "tool +0.500 +0.000 +0.300 m", "force 0.0 N", "gripper 1.00",
        "link 4 ms, 0.5 s ago", "anna@lab train.py has control",
    ):  # fmt: skip
        assert word in line
    assert "NO ANSWER for 7.0 s: away" in command.line(reports.unseen(cell, rk.RemoteTimeout("away")), 7.0).plain


def test_a_stop_that_the_device_has_not_taken_is_told():
    with rk.make_workcell("fake") as cell:
        seen = dataclasses.replace(reports.look(cell)[0], is_halt_owed=True)
    assert "MAY STILL MOVE - USE THE HARDWARE STOP" in command.line(seen, 0.1).plain
    assert "may still move" in " ".join(ArmStatus("stopped", (), None, None, None, 0, is_halt_owed=True).lines())


def test_an_arm_that_moves_although_it_is_stopped_is_told_in_words_that_are_true_of_a_guided_one():
    with rk.make_workcell("fake") as cell:
        seen = dataclasses.replace(reports.look(cell)[0], moves_on=True)
    said = command.line(seen, 0.1).plain
    assert "IT MOVES - USE THE HARDWARE STOP, UNLESS SOMEBODY GUIDES IT" in said
    assert "MAY STILL MOVE" not in said
    told = " ".join(ArmStatus("stopped", (), None, None, None, 0, moves_on=True).lines())
    assert "The arm moves although it is stopped: use the hardware stop, unless somebody guides it." in told


def test_an_old_answer_is_not_shown_as_the_state():
    with rk.make_workcell("fake") as cell:
        seen = reports.look(cell)[0]
    fresh, old = command.line(seen, 0.9), command.line(seen, 4.0)
    assert "NO ANSWER" not in fresh.plain
    assert "green" in str(fresh.spans)
    assert "NO ANSWER for 4.0 s, before that: holding" in old.plain
    assert "green" not in str(old.spans)
    assert "NO ANSWER" not in command.line(seen, 4.0, silent_after_s=5.0).plain


def test_the_age_of_a_silent_link_grows_without_a_new_look(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now_s[0])
    cell = rk.make_workcell("fake")
    look = command.Look(reports.unseen(cell, rk.RemoteTimeout("away")), 99.0)
    assert "for 1.0 s" in look.__rich__().plain
    now_s[0] = 104.0
    assert "for 5.0 s" in look.__rich__().plain


@pytest.mark.parametrize("rate_hz", ["0", "-1", "nan", "1000"])
def test_a_senseless_rate_is_a_users_error(rate_hz, capsys):
    assert main(["watch", "fake", f"--rate-hz={rate_hz}"]) == 2
    assert "--rate-hz" in capsys.readouterr().err


def test_what_is_not_there_at_the_first_look_is_an_error():
    assert main(["watch", "http://127.0.0.1:1"]) == 1
    assert main(["watch", "mujoco-pick-cub"]) == 2


def test_a_watch_outlives_its_server_and_ends_with_a_signal():
    """As a process, beside a server that is killed."""
    with server_process("--cell", "fake", "--clock", "real") as (url, server):
        process = start("robotkit", "watch", url, "--json", "--rate-hz", "50")
        try:
            assert json.loads(process.stdout.readline())["error"] is None
            server.kill()
            wait_until(lambda: json.loads(process.stdout.readline())["error"] is not None)
            process.terminate()
            process.communicate(timeout=60)
            assert process.returncode == 130
        finally:
            process.kill()
            process.communicate()
