"""However a command that moves the arm is ended, the arm is left at rest and its control free."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli.operation.connection import connected
from robotkit.remote import RemoteWorkcell
from tests.serving import server_process, start
from tests.support.waiting import wait_until

AWAY_RAD = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -0.7, 0.0])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a process of its own, whose arm takes seconds to its reset joints."""
    file = tmp_path_factory.mktemp("cells") / "slow.toml"
    file.write_text('base = "fake"\nname = "slow"\nclock = "real"\n[robot]\njoint_speed_rad_s = 0.2\n')
    with server_process("--cell", str(file)) as (address, _):
        yield address


def say_when(process: subprocess.Popen[str], word: str) -> None:
    """Wait until the process prints a line that begins with `word`."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(word):
            return
    raise AssertionError("".join(said))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("share", [0.0, 0.1], ids=["at-its-start", "under-way"])
def test_a_signal_leaves_the_arm_at_rest_and_its_control_free(url, number, share):
    with rk.make_workcell(url) as cell:
        goal_rad = cell.robot.spec.reset_joint_positions_rad
        start_rad = goal_rad + AWAY_RAD * 0.4
        if np.abs(cell.robot.get_state().joint_positions_rad - start_rad).max() > 0.01:
            cell.robot.move_to_joint_positions(start_rad)
    process = start("robotkit", "home", url, "--yes", PYTHONUNBUFFERED="1")
    with rk.make_workcell(url) as cell:
        assert isinstance(cell, RemoteWorkcell)
        try:
            say_when(process, "Moving")

            def way_done() -> float:
                off_rad = np.abs(cell.robot.get_state().joint_positions_rad - start_rad).max()
                return float(off_rad / np.abs(goal_rad - start_rad).max())

            wait_until(lambda: way_done() >= share)
            process.send_signal(number)
            process.wait(60)
        finally:
            process.kill()
            process.communicate()
        wait_until(
            lambda: not cell.robot.get_state().joint_velocities_rad_s.any() and cell.health().controlled_by is None
        )
        assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
        assert cell.robot.get_state().mode == "holding"
        assert way_done() < 1.0


def test_a_server_that_dies_under_way_is_not_said_to_have_stopped_the_arm(tmp_path):
    file = tmp_path / "slow.toml"
    file.write_text('base = "fake"\nname = "slow"\nclock = "real"\n[robot]\njoint_speed_rad_s = 0.2\n')
    with server_process("--cell", str(file)) as (address, server):
        with rk.make_workcell(address) as cell:
            cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad + AWAY_RAD * 0.2)
        process = start("robotkit", "home", address, "--yes", PYTHONUNBUFFERED="1")
        say_when(process, "Moving")
        server.kill()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "STOP NOT CONFIRMED - USE THE HARDWARE STOP" in output
    assert "Traceback" not in output


def test_signals_are_given_back_and_an_ignored_one_stays_ignored():
    """A watch under nohup outlives its terminal."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        cell = rk.make_workcell("fake")
        with connected(cell, cell.robot):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # a second one does not disturb what the first one has begun
        assert not cell.robot.is_connected
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])
    assert before == {number: signal.getsignal(number) for number in before}


def test_a_command_that_is_run_beside_the_main_thread_needs_no_signals(capfd):
    from robotkit.cli import main

    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(main(["home", "fake", "--yes"])))
    thread.start()
    thread.join(60)
    assert statuses == [0]
