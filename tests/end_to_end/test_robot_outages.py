"""F18: the robot's server ends and starts again; actor and learner wait, say so, and go on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import start as start_module
from tests.serving import wait_for_url

from .runs import SMALL, end, free_port, start, wait_for_status

REACH = (*SMALL[2:], "--env", "envs:PandaReach-v0", "--evaluation.every-steps", "0", "--steps", "100000")


@contextmanager
def robot_server(port: int) -> Iterator[subprocess.Popen[str]]:
    process = start_module("servers", "--cell", "fake", "--port", str(port), "--lease-timeout-s", "0.2")
    try:
        wait_for_url(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def waits_for(status: dict) -> str | None:
    return status["actors"]["actor-0"]["waiting_for"]


def steps_beyond(port: int, steps: int) -> int:
    return wait_for_status(port, lambda found: found["env_steps"] > steps, 60.0)["env_steps"]


def test_f18_a_bare_actor_waits_through_restarts_of_the_robot_server(tmp_path: Path):
    link, robot, log = free_port(), free_port(), tmp_path / "actor.log"
    learner = start("learner", *REACH, "--link.port", link, "--out", tmp_path / "run", log=tmp_path / "learner.log")
    actor = None
    try:
        with robot_server(robot):
            url = f"http://127.0.0.1:{robot}"
            actor = start("actor", *REACH, "--link.port", link, "--cell", url, log=log)
            steps_beyond(link, 120)
        waiting = wait_for_status(link, lambda found: waits_for(found) is not None)
        assert actor.poll() is None
        assert url in waits_for(waiting)
        with robot_server(robot):
            steps_beyond(link, waiting["env_steps"] + 20)
            wait_for_status(link, lambda found: waits_for(found) is None)
        wait_for_status(link, lambda found: waits_for(found) is not None)
        actor.send_signal(signal.SIGTERM)
        assert actor.wait(15.0) == 0, log.read_text()
        said = log.read_text()
        assert "THE ROBOT MOVES BY ITSELF" in said
        assert "goes on after" in said
        assert said.count("The actor waits") <= 6, "not each try is told"
        assert "Traceback" not in said
        assert learner.poll() is None
    finally:
        end(learner, *([actor] if actor else []))
