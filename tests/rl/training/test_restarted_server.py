"""D7, R1: an actor whose robot server ends and is started again goes on; a real arm first waits for a person."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from robotkit.remote import remote_workcell
from tests.rl.training.test_recovery import environment, running, wait_until
from tests.serving import start, wait_for_url

START = "the server was started"
CELL = """
name = "fake"
clock = "real"
[robot]
type = "fake"
[gripper]
type = "fake"
[limits]
unlimited = true
"""


class Restarted:
    """A server process that is ended and started again at the same address."""

    def __init__(self, module: str, cell: Path) -> None:
        self._module, self._cell, self._processes = module, cell, []
        cell.write_text(CELL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = self.start()

    def start(self) -> str:
        self._processes.append(
            start(self._module, "--cell", str(self._cell), "--port", str(self._port), "--audit", "off")
        )
        return wait_for_url(self._processes[-1])

    def end(self, number: signal.Signals) -> None:
        process: subprocess.Popen[str] = self._processes[-1]
        process.send_signal(number)
        process.communicate()


@pytest.fixture(params=["servers", "tests.support.real_server"], ids=["simulated", "real"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restarted]:
    server = Restarted(request.param, tmp_path / "cell.toml")
    server.is_real = request.param != "servers"
    yield server
    server.end(signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "is_stopped"), [(signal.SIGTERM, False), (signal.SIGKILL, True)], ids=["ended", "killed_while_stopped"]
)
def test_r1_an_actor_goes_on_after_its_server_was_started_again_and_moves_no_real_arm_before_its_recovery(
    server: Restarted, tmp_path: Path, number: signal.Signals, is_stopped: bool
) -> None:
    cell, operator = remote_workcell(server.url), remote_workcell(server.url)
    with cell:
        if server.is_real:
            assert START in cell.get_state().robot.stop.cause
            cell.robot.recover()
        with running(environment(cell), tmp_path) as run:
            run.let_step(3)
            if is_stopped:
                operator.robot.stop()
                run.hub.grant(run.hub.env_steps + 1)
                wait_until(lambda: "robot is stopped" in (run.waits_for or ""))
            server.end(number)
            run.hub.grant(run.hub.env_steps + 1)
            wait_until(lambda: "robot server" in (run.waits_for or ""))
            server.start()
            with operator:
                if server.is_real:
                    wait_until(lambda: START in (run.waits_for or ""))
                    arm = operator.get_state().robot
                    assert (arm.mode, arm.stop.author, arm.recoveries) == ("stopped", "robotkit-serve", 0), run.failure
                    operator.robot.recover()
            run.let_step(3)
            assert run.failure is None
