"""SERL's `bc_policy` with its flags, on top of `robotkit-train bc` and `evaluate`; for people who come from SERL.

`examples/async_peg_insert_drq/record_demo.sh` records what `run_bc.sh` clones; `--eval_checkpoint_step` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from examples.serl.flags import end_as_command, measuring
from examples.serl_envs import env_id, set_reward_classifiers
from rl.cli import main as run_command
from rl.errors import ConfigError


@dataclass(frozen=True)
class Flags:
    """Behaviour cloning from images; whatever else is given goes on to `robotkit-train`.

    Not taken over from SERL: replay_buffer_capacity (all demonstrations are used), gripper (the environment's id says
    whether the policy moves it) and remove_xy.
    """

    env: str = "FrankaPegInsert-Vision-v0"
    """Name of the environment: SERL's, ours, or `module:Id-v0` of one's own."""
    agent: Literal["bc"] = "bc"
    """Name of the agent."""
    exp_name: str = "bc_policy"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""
    max_traj_length: int = 100
    """Steps of an episode; kept for the scripts, because the environment has its own time limit."""
    seed: int = 42
    """Random seed."""
    batch_size: int = 256
    """Transitions of a step."""
    epochs: int = 200
    """Passes over the demonstrations; SERL counts steps (max_steps)."""
    encoder_type: str = "small"
    """SERL's is resnet-pretrained, whose weights are a file: see encoder_path."""
    encoder_path: Path | None = None
    """Weights of resnet-pretrained, from `robotkit-train convert`."""
    demo_paths: tuple[Path, ...] = ()
    """Demonstrations, from record_demo.sh or `robotkit-train import serl`."""
    checkpoint_path: Path | None = None
    """Directory of the run."""
    eval_checkpoint_step: int = 0
    """Measure the checkpoint after so many epochs instead of training."""
    eval_n_trajs: int = 100
    """Episodes of that."""
    reward_classifier_ckpt_path: Path | None = None
    """Reward classifier, for a cell where nothing else tells success."""
    cell: str | None = None
    """Workcell: a name, a .toml file or the URL of a robot server; the MuJoCo cell of the task by default."""


def arguments_of(flags: Flags) -> list[str]:
    """The flags as arguments of `robotkit-train`."""
    out = flags.checkpoint_path or Path("runs") / f"{flags.exp_name}-s{flags.seed}"
    if flags.eval_checkpoint_step:
        return measuring(out, flags.eval_checkpoint_step, flags.eval_n_trajs, flags.cell)
    cell = [] if flags.cell is None else ["--cell", flags.cell]
    trunk = [] if flags.encoder_path is None else ["--bc.encoder.pretrained-path", str(flags.encoder_path)]
    learning = {
        "out": out,
        "env": env_id(flags.env),
        "seed": flags.seed,
        "batch-size": flags.batch_size,
        "epochs": flags.epochs,
        "bc.encoder.encoder-type": flags.encoder_type,
    }
    words = [word for name, value in learning.items() for word in (f"--{name}", str(value))]
    return ["bc", "--sees-images", *words, "--demos", *map(str, flags.demo_paths), *trunk, *cell]


def main(arguments: Sequence[str] | None = None) -> None:
    """Clone, or evaluate."""
    end_as_command(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    flags, rest = tyro.cli(Flags, args=arguments, use_underscores=True, return_unknown_args=True)
    if not flags.demo_paths and not flags.eval_checkpoint_step:
        raise ConfigError("say what to clone: --demo_paths FILE ..., which record_demo.sh writes")
    if flags.reward_classifier_ckpt_path is not None:
        set_reward_classifiers(flags.env, {0: flags.reward_classifier_ckpt_path})
    run_command([*arguments_of(flags), *rest])


if __name__ == "__main__":
    main()
