"""SERL's `record_demo` for bin relocation: demonstrations of one way, on top of `robotkit-train record demos`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from envs.tasks.bin_relocation import BACKWARD, FORWARD
from examples.serl_envs import BIN_BACKWARD, BIN_FORWARD, env_id, set_reward_classifiers
from rl.cli import main as run_command


@dataclass(frozen=True)
class Flags:
    """Record successful episodes of one way; whatever else is given goes on to `robotkit-train record demos`."""

    demo_path: Path
    """File to write."""
    fwbw: Literal["fw", "bw"] = "fw"
    """Forward or backward."""
    human: str = "spacemouse"
    """The one who acts: spacemouse, gamepad, keyboard, or in simulation expert."""
    successes_needed: int = 20
    """Successful episodes to keep."""
    reward_classifier_ckpt_path: Path | None = None
    """Reward classifier of this way, for a cell that does not track the object."""


def main() -> None:
    """Record."""
    flags, rest = tyro.cli(Flags, use_underscores=True, return_unknown_args=True)
    name, task_id = (BIN_FORWARD, FORWARD) if flags.fwbw == "fw" else (BIN_BACKWARD, BACKWARD)
    if flags.reward_classifier_ckpt_path is not None:
        set_reward_classifiers(name, {task_id: flags.reward_classifier_ckpt_path})
    who = ("--human", flags.human, "--episodes", str(flags.successes_needed))
    where = ("--env", env_id(name), "--out", str(flags.demo_path))
    run_command(["record", "demos", "--sees-images", *where, *who, *rest])


if __name__ == "__main__":
    main()
