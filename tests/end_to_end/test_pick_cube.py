"""The whole path once: a robot server, an actor that drives it and a learner, each in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

from rl.cli.demonstration.robot_server import RobotServer

from .runs import SMALL, assert_episodes_join, end, last_state, start, stored_by_actor

EVALUATED = ("--evaluation.where", "actor", "--evaluation.every-steps", "100", "--evaluation.episodes", "1")


def test_an_actor_learns_with_a_robot_behind_http(tmp_path: Path):
    out, log = tmp_path / "run", tmp_path / "train.log"
    with RobotServer("mujoco-pick-cube", tmp_path / "robot.log") as server:
        options = ("--env", "envs:PandaPickCube-v0", "--cell", server.url, "--steps", "300", *EVALUATED)
        process = start("train", *SMALL, *options, "--out", out, log=log)
        try:
            assert process.wait(180) == 0, log.read_text()
        finally:
            end(process)
    state = last_state(out)
    assert (state["env_steps"], state["updates"], state["episodes"]) == (300, 50, 3)
    (transitions,) = stored_by_actor(out).values()
    assert transitions["observations"].shape == (300, 10)
    assert_episodes_join(transitions)
    assert transitions["dones"].sum() == 3
    assert transitions["masks"].all(), "a time limit is no termination"
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any("evaluation/success_rate" in line for line in lines)
