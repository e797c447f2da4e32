"""Learner and actors are killed at random moments: nothing acknowledged is lost, nothing doubled, training goes on."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from .runs import (
    SMALL,
    assert_continuous,
    end,
    free_port,
    last_state,
    start,
    status,
    stored_by_actor,
    wait_for_status,
)


class Run:
    """A learner and two actors on one port, each of which can be killed."""

    def __init__(self, out: Path, steps: int) -> None:
        self.out, self.port, self.steps = out, free_port(), steps
        self.acknowledged: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("learner", "actor-0", "actor-1"):
            self.start(name, is_first=True)

    def start(self, name: str, *, is_first: bool = False) -> None:
        common = (*SMALL, "--link.port", self.port, "--steps", self.steps, "--seed", 3)
        if name == "learner":
            resume = () if is_first else ("--resume",)
            arguments = ("learner", *common, "--out", self.out, "--checkpoint-every", 20, *resume)
        else:
            arguments = ("actor", *common, "--name", name, "--link.connect-timeout-s", 20)
        self.processes[name] = start(*arguments, log=self.out.parent / f"{name}.log")

    def kill_and_restart(self, name: str) -> None:
        self.note_acknowledged()
        end(self.processes[name])
        self.start(name)

    def note_acknowledged(self) -> int:
        """Remember what the learner says that it has stored."""
        found = status(self.port)
        for name, actor in (found or {"actors": {}})["actors"].items():
            self.acknowledged[f"{name}/{actor['attempt']}"] = actor["stored"]
        return found["env_steps"] if found else 0

    def ended_well(self, name: str, status: int) -> bool:
        """True too for an actor that was started anew and found that the training was over."""
        came_late = name != "learner" and status == 2 and "no learner answers" in self.log_of(name)
        return status == 0 or came_late

    def log_of(self, name: str) -> str:
        return (self.out.parent / f"{name}.log").read_text()[-2000:]

    def log(self) -> str:
        return "\n".join(map(self.log_of, self.processes))


def live_through(out: Path, kills: int, steps: int, seed: int) -> None:
    chance = random.Random(seed)
    run = Run(out, steps)
    try:
        for number in range(kills):
            reached = steps * (number + 1) // (kills + 3)
            wait_for_status(run.port, lambda found, reached=reached: found["env_steps"] >= reached, 120.0)
            time.sleep(chance.uniform(0.0, 0.3))
            run.kill_and_restart(chance.choice(("learner", "learner", "actor-0", "actor-1")))
        while run.processes["learner"].poll() is None:
            run.note_acknowledged()
            time.sleep(0.05)
        for name, process in run.processes.items():
            assert run.ended_well(name, process.wait(60)), run.log()
    finally:
        end(*run.processes.values())
    check(run, steps)


def check(run: Run, steps: int) -> None:
    stored = stored_by_actor(run.out)
    for transitions in stored.values():
        assert_continuous(transitions)
    for actor, count in run.acknowledged.items():
        assert count == 0 or len(stored[actor]["rewards"]) >= count, f"{actor}: acknowledged and lost"
    total = sum(len(transitions["rewards"]) for transitions in stored.values())
    assert steps <= total <= steps + 40, "more than the lead that was allowed"
    state = last_state(run.out)
    # What an actor sends while the last checkpoint is written is stored, and counted by whoever resumes.
    assert steps <= state["env_steps"] <= total
    assert state["updates"] == (steps - 100) // 4
    curve = [json.loads(line) for line in (run.out / "metrics.jsonl").read_text().splitlines()]
    assert max(line.get("updates", 0) for line in curve) == state["updates"] // 10 * 10


def test_three_kills(tmp_path: Path):
    live_through(tmp_path / "run", kills=3, steps=1600, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_kills(tmp_path: Path, seed: int):
    live_through(tmp_path / "run", kills=20, steps=6000, seed=seed)
