"""SERL's `async_bin_relocation_fwbw_drq` with its flags and defaults: two agents set each other up.

`record_fw_demo.sh` and `record_bw_demo.sh` record demonstrations; then `run_fw_learner.sh`, `run_bw_learner.sh` and
`run_actor.sh` belong in three terminals. All run in simulation, where the object is tracked. A real cell needs
`--cell http://control-pc:5000 --human spacemouse` and a reward classifier for each way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from examples.async_bin_relocation_fwbw_drq.evaluate_cycle import evaluate_cycle
from examples.async_bin_relocation_fwbw_drq.two_learners import run_actor_of_two
from examples.serl.flags import RealFlags, checkpoint_of, command_of, end_as_command, learning, parse
from examples.serl_envs import set_reward_classifiers
from rl.cli import main as run_command
from rl.cli.training import parse_train_options
from rl.errors import ConfigError
from rl.utils.subprocesses import StopSignal


@dataclass(frozen=True)
class Flags(RealFlags):
    """DrQ on the images of bin relocation, there and back."""

    env: str = "FrankaBinRelocation-Vision-v0"
    """Name of the environment."""
    exp_name: str = "async_bin_relocation_fwbw_drq"
    """Name of the experiment, and of its directories under runs/ when there are no paths."""
    fwbw: Literal["fw", "bw"] = "fw"
    """Way of the learner, forward or backward."""
    fw_ckpt_path: Path | None = None
    """With --eval_checkpoint_step: directory of the forward run."""
    bw_ckpt_path: Path | None = None
    """With --eval_checkpoint_step: directory of the backward run."""
    fw_reward_classifier_ckpt_path: Path | None = None
    """Directory of the reward classifier of the way forward; without one the tracked object decides."""
    bw_reward_classifier_ckpt_path: Path | None = None
    """Directory of the reward classifier of the way backward."""
    fw_port: int = 6678
    """Port of the forward learner."""
    bw_port: int = 6690
    """Port of the backward learner."""

    def port(self) -> int | None:
        """Port of the learner of this way."""
        return self.fw_port if self.fwbw == "fw" else self.bw_port

    def directory(self) -> Path:
        """The directory of the learner's run."""
        return self.checkpoint_path or self.run_of(self.fwbw)

    def run_of(self, way: Literal["fw", "bw"]) -> Path:
        """Directory of the run of a way."""
        given = self.fw_ckpt_path if way == "fw" else self.bw_ckpt_path
        return given or Path("runs") / f"{self.exp_name}-{way}-s{self.seed}"

    def classifiers(self) -> Mapping[int, Path]:
        """Reward classifiers by task."""
        given = dict(enumerate((self.fw_reward_classifier_ckpt_path, self.bw_reward_classifier_ckpt_path)))
        found = {task_id: path for task_id, path in given.items() if path is not None}
        if len(found) == 1:
            raise ConfigError("the cycle needs a reward classifier for each way, or none: give both --fw_… and --bw_…")
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Be a learner or the actor, or evaluate a pair of checkpoints."""
    end_as_command(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    flags, rest = parse(Flags, arguments)
    if flags.classifiers():
        set_reward_classifiers(flags.env, flags.classifiers())
    if flags.learner:
        run_command([*command_of(flags), *rest])
    else:
        act(flags, rest)


def act(flags: Flags, rest: list[str]) -> None:
    """Be the actor, or evaluate a pair of checkpoints, as `--actor` asks."""
    torch.set_num_threads(1)
    config = parse_train_options("actor", [*learning(flags), *rest])
    if flags.eval_checkpoint_step:
        checkpoints = [checkpoint_of(flags.run_of(way), flags.eval_checkpoint_step) for way in ("fw", "bw")]
        evaluate_cycle(config, checkpoints, flags.eval_n_trajs)
    else:
        run_actor_of_two(config, (flags.fw_port, flags.bw_port), StopSignal().listen())


if __name__ == "__main__":
    main()
